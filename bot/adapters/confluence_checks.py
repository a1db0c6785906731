"""Whether a Confluence lets Herald do what it will have to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from bot.adapters.checking import check_clock, unanswered
from bot.adapters.confluence import ConfluenceLink, ConfluenceWiki
from bot.adapters.refusals import Answer
from bot.checks import Check
from bot.config import ConfluenceSection
from bot.errors import IntegrationError, PermanentError
from bot.ports import PageDraft

_NOT_FOUND = 404
_CREATE, _ATTACH, _UPDATE = ("create", "page"), ("create", "attachment"), ("update", "page")
_SENTENCES = {_CREATE: "add pages", _ATTACH: "attach files", _UPDATE: "change pages"}
_REMEDIES = {
    _CREATE: "Give the account Add page in the space.",
    _ATTACH: "Give the account Add attachment in the space.",
    _UPDATE: "Give the account Add page in the space, and lift restrictions from its home page.",
}


@dataclass(frozen=True, slots=True)
class _Space:
    """A space as one of the deployments shows it; *permitted* is None where it does not say."""

    name: str
    home: str
    permitted: frozenset[tuple[str, str]] | None = None


def check_confluence(config: ConfluenceSection, now: datetime, *, fix: bool) -> Iterator[Check]:
    """Look at everything that a page's life leans on; with *fix*, make the parent page where it is missing."""
    link = ConfluenceLink(config)
    find = _find_on_cloud if config.deployment == "cloud" else _find_in_data_center
    try:
        space, headers = find(link, config)
    except IntegrationError as error:
        yield from unanswered(error, config.base)
        return
    yield Check("address", ok=True, said=f"{config.base} answers as Confluence {_NAMES[config.deployment]}")
    if (clock := check_clock(headers, now)) is not None:
        yield clock
    if space is None:
        remedy = "Check space (its key, as in the address of its pages), and let the account see it."
        yield Check("space", ok=False, said=f"the account sees no space {config.space!r}", remedy=remedy)
        return
    yield Check("credentials", ok=True, said="accepted")
    yield Check("space", ok=True, said=f"{config.space}, {space.name}")
    permitted = _permitted(link, config, space)
    for operation, what in _SENTENCES.items():
        if permitted is None or (operation == _CREATE and config.deployment == "datacenter"):
            yield Check(f"may {what}", ok=True, said="Confluence does not say; the first report will show it")
            continue
        may = operation in permitted
        yield Check(f"may {what}", ok=may, said="yes" if may else "no", remedy="" if may else _REMEDIES[operation])
    if config.parent is not None:
        yield _check_parent(config, config.parent, fix=fix)


_NAMES = {"cloud": "Cloud", "datacenter": "Data Center"}


def _find_on_cloud(link: ConfluenceLink, config: ConfluenceSection) -> tuple[_Space | None, Mapping[str, str]]:
    def parse(answer: Answer) -> tuple[list[str], Mapping[str, str]]:
        results = answer.json()["results"]
        return [str(each["id"]) for each in results if each["key"] == config.space], answer.headers

    send = partial(link.request, "GET", "api/v2/spaces", params={"keys": config.space})
    ids, headers = link.wire.read(f"show the space {config.space}", send, parse)
    if not ids:
        return None, headers
    space = link.ask(
        f"show what we may do in {config.space}",
        "GET",
        f"api/v2/spaces/{ids[0]}",
        lambda answer: _Space(str(answer["name"]), str(answer.get("homepageId") or ""), _operations(answer)),
        params={"include-operations": "true"},
    )
    return space, headers


def _find_in_data_center(link: ConfluenceLink, config: ConfluenceSection) -> tuple[_Space | None, Mapping[str, str]]:
    def parse(answer: Answer) -> tuple[_Space | None, Mapping[str, str]]:
        found = [each for each in answer.json()["results"] if each["key"] == config.space]
        home = str((found[0].get("homepage") or {}).get("id", "")) if found else ""
        return (_Space(str(found[0]["name"]), home) if found else None), answer.headers

    params = {"spaceKey": config.space, "expand": "homepage"}
    send = partial(link.request, "GET", "rest/api/space", params=params)
    return link.wire.read(f"show the space {config.space}", send, parse)


def _permitted(link: ConfluenceLink, config: ConfluenceSection, space: _Space) -> frozenset[tuple[str, str]] | None:
    """Gather what we may do in the space and on its home page; None where the service does not say."""
    if not space.home:
        return space.permitted
    cloud = config.deployment == "cloud"
    path = f"api/v2/pages/{space.home}" if cloud else f"rest/api/content/{space.home}"
    params = {"include-operations": "true"} if cloud else {"expand": "operations"}
    try:
        on_home = link.ask("show what we may do on its home page", "GET", path, _operations, params=params)
    except PermanentError as error:
        if error.status != _NOT_FOUND:
            raise
        return space.permitted
    if on_home is None:
        return space.permitted
    return on_home | (space.permitted or frozenset())


def _operations(answer: Mapping[str, Any]) -> frozenset[tuple[str, str]] | None:
    held = answer.get("operations")
    rows = held.get("results") if isinstance(held, dict) else held
    if rows is None:
        return None
    return frozenset((str(each["operation"]), str(each["targetType"])) for each in rows)


def _check_parent(config: ConfluenceSection, title: str, *, fix: bool) -> Check:
    wiki = ConfluenceWiki(config.model_copy(update={"parent": None}))
    page = wiki.find(title)
    if page is not None:
        return Check("parent page", ok=True, said=page.url)
    if fix:
        return Check("parent page", ok=True, said=f"made: {wiki.create(PageDraft(title, '')).url}")
    remedy = "Make it, or let `herald doctor --fix` do so."
    return Check("parent page", ok=False, said=f"{config.space} has no page titled {title!r}", remedy=remedy)
