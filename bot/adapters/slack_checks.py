"""Whether a Slack workspace, or a webhook, lets Herald do what it will have to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from bot.adapters.checking import check_clock, listed, unanswered
from bot.adapters.slack import SlackLink, next_page
from bot.adapters.slack_channels import is_channel_id
from bot.checks import Check
from bot.config import SlackSection, WebhookSection
from bot.errors import AccountError, IntegrationError

_PAGE = 200
_WRITING, _READING, _LISTING = "chat:write", "channels:history", "channels:read"
_SHARING = "files:write"
_PRIVATE = {_READING: "groups:history", _LISTING: "groups:read"}  # the same for private channels
_NOT_OURS = {"invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive"}


def check_slack(config: SlackSection, channels: Sequence[str], now: datetime) -> Iterator[Check]:
    """Look at everything that a message's life leans on, without posting one."""
    link = SlackLink(config)
    try:
        who, headers = link.call_whole(
            "say who we are", lambda client: client.auth_test(), lambda answer, headers: (dict(answer), dict(headers))
        )
    except AccountError as error:
        if error.fields.get("error") not in _NOT_OURS:
            yield from unanswered(error, config.base)
            return
        yield Check("address", ok=True, said=f"{config.base} answers")
        yield Check("credentials", ok=False, said=str(error), remedy="Set the bot token (xoxb-…) of the app.")
        return
    except IntegrationError as error:
        yield from unanswered(error, config.base)
        return
    yield Check("address", ok=True, said=f"{config.base} answers")
    if (clock := check_clock({name.title(): value for name, value in headers.items()}, now)) is not None:
        yield clock
    yield Check("credentials", ok=True, said=f"we are {who.get('user')} in {who.get('team')}")
    scopes = _scopes(headers)
    by_name = [name for name in channels if not is_channel_id(name)]
    yield from _check_scopes(scopes, needs_listing=bool(by_name), shares_charts=config.charts)
    for name in channels:
        yield from _check_channel(link, name, scopes)


def check_webhook(config: WebhookSection, channels: Sequence[str]) -> Iterator[Check]:
    """A webhook answers nothing but a message, so there is little to look at."""
    host = urlsplit(config.webhook_url.get_secret_value()).hostname
    if host is None:
        remedy = "Set the whole address that the chat gave for the webhook."
        yield Check("address", ok=False, said="webhook_url is no address", remedy=remedy)
        return
    told = listed(sorted(set(channels)))
    yield Check("address", ok=True, said=f"{host}, for {told}; a webhook cannot be asked without posting")


def _scopes(headers: Mapping[str, str]) -> frozenset[str] | None:
    """Read what the token may do; None where Slack does not say."""
    said = next((value for name, value in headers.items() if name.lower() == "x-oauth-scopes"), None)
    return None if said is None else frozenset(each.strip() for each in said.split(","))


def _check_scopes(scopes: frozenset[str] | None, *, needs_listing: bool, shares_charts: bool) -> Iterator[Check]:
    if scopes is None:
        return
    whys = {
        _WRITING: "to post and to edit",
        _READING: "to find a message again after a broken connection",
        **({_SHARING: "to show charts"} if shares_charts else {}),
        **({_LISTING: "to find a channel by its name; or name it by its id"} if needs_listing else {}),
    }
    for scope, why in whys.items():
        has = bool({scope, _PRIVATE.get(scope, scope)} & scopes)
        remedy = "" if has else f"Add {scope} to the app's bot scopes and install it again."
        yield Check(f"scope {scope}", ok=has, said="given" if has else f"is missing; it is needed {why}", remedy=remedy)


def _check_channel(link: SlackLink, name: str, scopes: frozenset[str] | None) -> Iterator[Check]:
    """Look a channel up in the list where we may see that, and by its history where we may not."""
    if scopes is None or {_LISTING, _PRIVATE[_LISTING]} & scopes:
        found = _look_up(link, name, scopes)
        if found is not None:
            yield from _judge_channel(name, found)
            return
        if not is_channel_id(name):
            yield _unseen(name)
            return
    if not is_channel_id(name) or (scopes is not None and not {_READING, _PRIVATE[_READING]} & scopes):
        return  # a scope that is missing: said above
    try:
        link.call(
            f"show what was posted to {name}",
            lambda client: client.conversations_history(channel=name, limit=1),
            lambda answer: len(answer["messages"]),
        )
    except AccountError as error:
        if error.fields.get("error") == "not_in_channel":
            yield _uninvited(name)
        else:
            yield _unseen(name)
        return
    yield Check(f"channel {name}", ok=True, said="we can read it")


def _look_up(link: SlackLink, name: str, scopes: frozenset[str] | None) -> Mapping[str, Any] | None:
    kinds = ["public_channel"] if scopes is None or _LISTING in scopes else []
    kinds += ["private_channel"] if scopes is not None and _PRIVATE[_LISTING] in scopes else []
    cursor: str | None = None
    while True:
        page, cursor = link.call(
            "list the channels",
            lambda client, at=cursor: client.conversations_list(  # type: ignore[misc]
                cursor=at, limit=_PAGE, types=",".join(kinds)
            ),
            lambda answer: (list(answer["channels"]), next_page(answer)),
        )
        for each in page:
            if name in (each["id"], each["name"], f"#{each['name']}"):
                return each  # type: ignore[no-any-return]
        if not cursor:
            return None


def _judge_channel(name: str, found: Mapping[str, Any]) -> Iterator[Check]:
    shown = f"#{found['name']}"
    if found.get("is_archived"):
        remedy = "Unarchive it, or name another."
        yield Check(f"channel {name}", ok=False, said=f"{shown} is archived", remedy=remedy)
    elif not found.get("is_member"):
        yield _uninvited(name)
    else:
        yield Check(f"channel {name}", ok=True, said=f"we are in {shown}")


def _unseen(name: str) -> Check:
    remedy = "Check its name or id, and invite the app to it if it is private."
    return Check(f"channel {name}", ok=False, said="Slack shows the app no such channel", remedy=remedy)


def _uninvited(name: str) -> Check:
    return Check(f"channel {name}", ok=False, said="we are not in it", remedy="Say /invite @herald there.")
