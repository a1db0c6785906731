"""What every method of Slack's Web API begins with: its arguments, its token, the scopes that it takes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from bot.sandbox.slack import tables
from bot.sandbox.web.call import Call, Refusal, is_storable, json_answer
from bot.sandbox.web.credentials import same

if TYPE_CHECKING:
    from bot.sandbox.seed import Channel

PAGE = 100
LARGEST_PAGE = 999
# A kind of conversation as a list may be asked for it -> what the names of its scopes begin with.
KINDS = {"public_channel": "channels", "private_channel": "groups", "mpim": "mpim", "im": "im"}


def api_error(code: str, **more: Any) -> Refusal:
    return Refusal(json_answer({"ok": False, "error": code, **more}))


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a method was given, by JSON, form or query."""

    values: dict[str, Any]

    def text(self, name: str) -> str | None:
        value = self.values.get(name)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return str(value)
        raise api_error("invalid_arguments", response_metadata={"messages": [f"[ERROR] {name} must be a string"]})

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = self.values.get(name, default)
        return value if isinstance(value, bool) else str(value).lower() in ("true", "1")

    def whole(self, name: str, default: int, high: int) -> int:
        value = self.text(name) or ""
        return max(1, min(high, int(value))) if value.isascii() and value.isdigit() and len(value) < 10 else default  # noqa: PLR2004

    def structure(self, name: str, wrong: str) -> Any:
        """Read an argument that may be JSON, or JSON inside a string."""
        value = self.values.get(name)
        if not isinstance(value, str):
            return value
        if not value:
            return None
        try:
            parsed = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise api_error(wrong) from error
        if not is_storable(parsed):
            raise api_error(wrong)
        return parsed


def read_arguments(call: Call, *scopes: str) -> Arguments:
    """Read the arguments; refuse who has no token or whose token lacks one of the scopes."""
    values = _given(call)
    given = call.request.authorization
    token = given.token if given is not None and given.type == "bearer" else values.get("token")
    if not token:
        raise api_error("not_authed")
    wanted = call.seed.slack_token if call.caller.is_bot else call.caller.slack_token
    if not isinstance(token, str) or not same(token, wanted):
        raise api_error("invalid_auth")
    for scope in scopes:
        require_scope(call, scope)
    return Arguments({name: value for name, value in values.items() if name != "token"})


def read_open(call: Call) -> Arguments:
    """Read the arguments of a method that asks for no token."""
    return Arguments(_given(call))


def _given(call: Call) -> dict[str, Any]:
    request = call.request
    if request.method == "POST" and request.mimetype == "application/json":
        body = call.json_body() if request.get_data() else {}
        if not isinstance(body, dict):
            raise api_error("json_not_object")
        return {**request.args.to_dict(), **body}
    values = {**request.args.to_dict(), **request.form.to_dict()}
    if not is_storable(values):
        raise api_error("invalid_charset")
    return values


# ---- scopes


def granted_scopes(call: Call) -> tuple[str, ...]:
    """List what the app was installed with; people may do everything."""
    rules = call.rulebook.slack
    return tuple(one for one in rules.scopes if one not in rules.missing_scopes)


def require_scope(call: Call, scope: str, *, shown: str = "") -> None:
    """Refuse where the app lacks a scope; *shown* is what Slack names as needed, where others would do as well."""
    granted = granted_scopes(call)
    if call.caller.is_bot and scope not in granted:
        raise api_error("missing_scope", needed=shown or scope, provided=",".join(granted))


def kind_of(channel: Channel) -> str:
    if channel.user:
        return "im"
    return "private_channel" if channel.private else "public_channel"


def require_for_some_kind(call: Call, what: str) -> None:
    """Refuse where there is no kind of conversation that the app may do this with, as `history`."""
    every = [f"{prefix}:{what}" for prefix in KINDS.values()]
    if call.caller.is_bot and not set(every) & set(granted_scopes(call)):
        require_scope(call, every[0], shown=",".join(every))


def require_for_kind(call: Call, channel: Channel, what: str) -> None:
    require_scope(call, f"{KINDS[kind_of(channel)]}:{what}")


# ---- channels


def is_member(call: Call, channel: Channel) -> bool:
    """Say whether who asks is in the channel; the stand-in's people are in all."""
    if call.account is not None and not call.account.is_bot:
        return True
    where = tables.membership.c.channel == channel.id
    joined = call.db.execute(select(tables.membership.c.joined).where(where)).scalar_one_or_none()
    return channel.member if joined is None else bool(joined)


def find_channel(call: Call, wanted: str | None, *, by_name: bool = False) -> Channel:
    """Find a channel by id (or name, or the person it is with); a private one is hidden from who is not in it."""
    name = (wanted or "").removeprefix("#")
    for one in (*call.seed.channels, *call.seed.direct_channels):
        if one.user and one.user == wanted and by_name:
            return one
        if (one.id == wanted or (by_name and not one.user and one.name == name)) and not (
            one.private and not is_member(call, one)
        ):
            return one
    raise api_error("channel_not_found")


def paged(arguments: Arguments, items: list[Any]) -> tuple[list[Any], str]:
    """Return one page and the cursor to the next, empty at the end."""
    size = arguments.whole("limit", PAGE, LARGEST_PAGE)
    text = arguments.text("cursor") or "at:0"
    word, _, number = text.partition(":")
    if word != "at" or not number.isascii() or not number.isdigit():
        raise api_error("invalid_cursor")
    start = int(number[:9])
    return items[start : start + size], f"at:{start + size}" if start + size < len(items) else ""
