"""Who we are to a Confluence, whether it shows us the space, and what we may do there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from bot.errors import AccountError, PermanentError
from bot.ports import Right
from bot.services.evidence import id_in, json_in, prove, rows_in, text_in

if TYPE_CHECKING:
    from bot.services.confluence.config import ConfluenceSection
    from bot.services.confluence.connection import ConfluenceConnection
    from bot.services.refusals import Answer

Operation = tuple[str, str]  # what, and on which kind of thing

OPERATIONS: Mapping[Right, Operation] = {
    Right.CREATE: ("create", "page"),
    Right.ATTACH: ("create", "attachment"),
    Right.EDIT: ("update", "page"),
}


@dataclass(frozen=True, slots=True)
class Space:
    """A space as one of the deployments shows it; *permitted* is None where it does not say."""

    name: str
    home: str
    is_archived: bool = False
    permitted: frozenset[Operation] | None = None


def who(link: ConfluenceConnection) -> str | None:
    """Ask who we are; None where we are nobody."""
    return link.ask("show who we are", "GET", "rest/api/user/current", _name_of)


def _name_of(user: Any) -> str | None:
    prove(isinstance(user, dict), "is no object")
    prove(any(key in user for key in ("type", "accountId", "userKey", "username")), "shows no user")
    is_somebody = user.get("type") != "anonymous" and any(user.get(key) for key in ("accountId", "userKey", "username"))
    return str(user.get("displayName") or user.get("publicName") or "somebody") if is_somebody else None


def find_space(link: ConfluenceConnection, config: ConfluenceSection) -> tuple[Space | None, Mapping[str, str]]:
    """Show the space that config names, where our account may see it, and the headers of the first answer."""
    return _find_on_cloud(link, config) if config.deployment == "cloud" else _find_in_data_center(link, config)


def _find_on_cloud(link: ConfluenceConnection, config: ConfluenceSection) -> tuple[Space | None, Mapping[str, str]]:
    def parse(answer: Answer) -> tuple[list[str], Mapping[str, str]]:
        return [id_in(each) for each in spaces_of(config.space, json_in(answer))], answer.headers

    send = partial(link.request, "GET", "api/v2/spaces", params={"keys": config.space})
    ids, headers = link.wire.read(f"show the space {config.space}", send, parse)
    if not ids:
        return None, headers
    try:
        space = link.ask(
            f"show what we may do in {config.space}",
            "GET",
            f"api/v2/spaces/{ids[0]}",
            lambda answer: Space(
                str(answer.get("name") or config.space),
                str(answer.get("homepageId") or ""),
                answer.get("status") == "archived",
                _operations(answer),
            ),
            params={"include-operations": "true"},
        )
    except (PermanentError, AccountError):  # the space is shown, and more need not be
        space = Space(config.space, "")
    return space, headers


def _find_in_data_center(
    link: ConfluenceConnection, config: ConfluenceSection
) -> tuple[Space | None, Mapping[str, str]]:
    def parse(answer: Answer) -> tuple[Space | None, Mapping[str, str]]:
        spaces = spaces_of(config.space, json_in(answer))
        if not spaces:
            return None, answer.headers
        found = spaces[0]
        home = str((found.get("homepage") or {}).get("id", ""))
        is_archived = str(found.get("status", "")).lower() == "archived"
        return Space(str(found.get("name") or config.space), home, is_archived), answer.headers

    params = {"spaceKey": config.space, "expand": "homepage"}
    send = partial(link.request, "GET", "rest/api/space", params=params)
    return link.wire.read(f"show the space {config.space}", send, parse)


def permitted(link: ConfluenceConnection, config: ConfluenceSection, space: Space) -> frozenset[Operation] | None:
    """Gather what we may do in the space and on its home page; None where the service does not say."""
    if not space.home:
        return space.permitted
    cloud = config.deployment == "cloud"
    path = f"api/v2/pages/{space.home}" if cloud else f"rest/api/content/{space.home}"
    params = {"include-operations": "true"} if cloud else {"expand": "operations"}
    try:
        on_home = link.ask("show what we may do on its home page", "GET", path, _operations, params=params)
    except (PermanentError, AccountError):  # it is hidden from us, and says nothing of other pages
        return space.permitted
    if on_home is None:
        return space.permitted
    return on_home | (space.permitted or frozenset())


def may(config: ConfluenceSection, allowed: frozenset[Operation] | None, right: Right) -> bool | None:
    """Say whether we have a right in the space; None where Confluence does not say: Data Center never of new pages."""
    if allowed is None or right not in OPERATIONS:
        return None
    if right is Right.CREATE and config.deployment == "datacenter":
        return None
    return OPERATIONS[right] in allowed


def _operations(answer: Any) -> frozenset[Operation] | None:
    held = answer.get("operations")
    rows = held.get("results") if isinstance(held, dict) else held
    if rows is None:
        return None
    return frozenset((text_in(each, "operation"), text_in(each, "targetType")) for each in rows_in(rows))


def spaces_of(key: str, answer: Any) -> list[Mapping[str, Any]]:
    """Read the spaces of that key: one, or none."""
    spaces = rows_in(answer, "results")
    found = [each for each in spaces if text_in(each, "key") == key]
    prove(bool(found) or not spaces, f"shows other spaces than {key}")
    return found
