"""Whether a Slack workspace lets Herald do what it will have to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial

from bot.domain.checks import Check
from bot.errors import AccountError, IntegrationError
from bot.services.checks import PROBE, check_clock, unanswered, unsaid, walled
from bot.services.evidence import object_in
from bot.services.slack.answers import who_in
from bot.services.slack.channels import Channels, is_channel_id
from bot.services.slack.chat import SlackChat
from bot.services.slack.config import SlackSection
from bot.services.slack.connection import SlackConnection

_WRITING, _READING, _LISTING = "chat:write", "channels:history", "channels:read"
_SHARING, _KNOWING = "files:write", "users:read"
_PRIVATE = {_READING: "groups:history", _LISTING: "groups:read"}  # the same for private channels
_READS, _LISTS = {_READING, _PRIVATE[_READING]}, {_LISTING, _PRIVATE[_LISTING]}
_NOT_SAID = "; Slack does not say whether it is archived"
_NOT_OURS = {"invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive"}


def check_slack(config: SlackSection, channels: Sequence[str], now: datetime) -> Iterator[Check]:
    """Look at everything that a message's life leans on, without posting one."""
    link = SlackConnection(config)
    try:
        who, headers = link.call_whole(
            "say who we are", lambda client: client.auth_test(), lambda answer, headers: (who_in(answer), dict(headers))
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
    yield from _check_scopes(scopes, _whys(config, needs_listing=bool(by_name)))
    for name in channels:
        if scopes is None or is_channel_id(name) or _LISTS & scopes:  # else said above
            yield from walled(f"channel {name}", partial(_check_channel, config, link, name, scopes, now))


def _scopes(headers: Mapping[str, str]) -> frozenset[str] | None:
    """Read what the token may do; None where Slack does not say."""
    said = next((value for name, value in headers.items() if name.lower() == "x-oauth-scopes"), None)
    return None if said is None else frozenset(each.strip() for each in said.split(","))


def _whys(config: SlackSection, *, needs_listing: bool) -> dict[str, str]:
    """Say what each scope is needed for, of those that are needed."""
    reading = "to find a message again after a broken connection"
    whys = {_WRITING: "to post and to edit", _READING: reading}
    if config.charts:
        whys[_SHARING] = "to show charts"
    if needs_listing:
        whys[_LISTING] = "to find a channel by its name; or name it by its id"
    if config.replies:
        whys[_READING] = f"{reading}, and to read what is answered in threads"
        if config.people.speakers.is_open:
            whys[_KNOWING] = "to know who answers in a thread; or list who may in people"
    return whys


def _check_scopes(scopes: frozenset[str] | None, whys: Mapping[str, str]) -> Iterator[Check]:
    if scopes is None:
        yield unsaid("scopes", "Slack", "what can be tried without posting is tried")
        return
    for scope, why in whys.items():
        has = bool({scope, _PRIVATE.get(scope, scope)} & scopes)
        other = f" (for private channels {_PRIVATE[scope]})" if scope in _PRIVATE else ""
        remedy = "" if has else f"Add {scope}{other} to the app's bot scopes and install it again."
        yield Check(f"scope {scope}", ok=has, said="given" if has else f"is missing; it is needed {why}", remedy=remedy)


def _check_channel(
    config: SlackSection, link: SlackConnection, name: str, scopes: frozenset[str] | None, now: datetime
) -> Iterator[Check]:
    """Find the channel and read what was posted to it, by the calls that find a message whose posting broke off."""
    check = f"channel {name}"
    channel_id = Channels(link).id_of(name)
    is_archived = None
    with suppress(IntegrationError):  # the bot never asks this, and may not have the scope
        is_archived = link.call(
            f"show the channel {name}",
            lambda client: client.conversations_info(channel=channel_id),
            lambda answer: bool(object_in(answer, "channel").get("is_archived")),
        )
    if is_archived:
        yield Check(check, ok=False, said=f"{name} is archived", remedy="Unarchive it, or name another.")
        return
    if scopes is not None and not _READS & scopes:
        return  # said above
    try:
        SlackChat(config).find(channel_id, PROBE, now)
    except AccountError as error:
        if error.fields.get("error") != "not_in_channel":
            raise
        yield Check(check, ok=False, said="we are not in it", remedy="Say /invite @herald there.")
        return
    yield Check(check, ok=True, said=f"we read {channel_id}" + ("" if is_archived is False else _NOT_SAID))
