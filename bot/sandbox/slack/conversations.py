"""Slack's conversations: which there are, who is in them, what was said in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects.sqlite import insert

from bot.sandbox.slack import tables
from bot.sandbox.slack.message_rows import find_message, message_json, messages_of
from bot.sandbox.slack.method_calls import (
    KINDS,
    Arguments,
    api_error,
    find_channel,
    is_member,
    kind_of,
    paged,
    read_arguments,
    require_for_kind,
    require_for_some_kind,
    require_scope,
)
from bot.sandbox.web.call import Call, json_answer
from bot.sandbox.web.site import Routes

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from bot.sandbox.seed import Channel

routes = Routes()


def _channel_json(call: Call, channel: Channel) -> dict[str, Any]:
    created = 1_760_000_000
    if channel.user:
        shown = {"id": channel.id, "is_im": True, "user": channel.user, "created": created, "is_archived": False}
        return shown | {"is_org_shared": False, "is_user_deleted": False, "priority": 0}
    owner = call.seed.slack_bot_user
    return {
        "id": channel.id,
        "name": channel.name,
        "name_normalized": channel.name,
        "is_channel": True,
        "is_group": False,
        "is_im": False,
        "is_mpim": False,
        "is_private": channel.private,
        "is_archived": channel.archived,
        "is_general": channel.name == "general",
        "is_member": is_member(call, channel),
        "is_shared": False,
        "is_org_shared": False,
        "created": created,
        "creator": owner,
        "unlinked": 0,
        "num_members": len(call.seed.people) + 1,
        "topic": {"value": channel.topic, "creator": owner, "last_set": created},
        "purpose": {"value": channel.topic, "creator": owner, "last_set": created},
    }


def _listed(call: Call, arguments: Arguments) -> list[Channel]:
    """Return the conversations of the kinds that were asked for, each of which takes a scope of its own."""
    kinds = [one.strip() for one in (arguments.text("types") or "public_channel").split(",") if one.strip()]
    if not set(kinds) <= KINDS.keys():
        raise api_error("invalid_types")
    for kind in kinds:
        require_scope(call, f"{KINDS[kind]}:read")
    every = (*call.seed.channels, *call.seed.direct_channels)
    return [one for one in every if kind_of(one) in kinds and (not one.private or is_member(call, one))]


@routes.on("POST", "/api/conversations.list")
@routes.on("GET", "/api/conversations.list")
def list_conversations(call: Call) -> Response:
    arguments = read_arguments(call)
    found = _listed(call, arguments)
    if arguments.flag("exclude_archived"):
        found = [one for one in found if not one.archived]
    page, cursor = paged(arguments, found)
    shown = [_channel_json(call, one) for one in page]
    return json_answer({"ok": True, "channels": shown, "response_metadata": {"next_cursor": cursor}})


@routes.on("POST", "/api/conversations.info")
@routes.on("GET", "/api/conversations.info")
def conversation_info(call: Call) -> Response:
    channel = _seen(call, read_arguments(call))
    return json_answer({"ok": True, "channel": _channel_json(call, channel)})


def _seen(call: Call, arguments: Arguments) -> Channel:
    """Find a channel whose kind the app may look at."""
    require_for_some_kind(call, "read")
    channel = find_channel(call, arguments.text("channel"))
    require_for_kind(call, channel, "read")
    return channel


@routes.on("POST", "/api/conversations.members")
@routes.on("GET", "/api/conversations.members")
def list_members(call: Call) -> Response:
    arguments = read_arguments(call)
    channel = _seen(call, arguments)
    people = [one.slack_user for one in call.seed.people]
    page, cursor = paged(arguments, [*([call.seed.slack_bot_user] if is_member(call, channel) else []), *people])
    return json_answer({"ok": True, "members": page, "response_metadata": {"next_cursor": cursor}})


@routes.on("POST", "/api/users.conversations")
@routes.on("GET", "/api/users.conversations")
def list_own_conversations(call: Call) -> Response:
    arguments = read_arguments(call)
    found = [one for one in _listed(call, arguments) if is_member(call, one)]
    page, cursor = paged(arguments, found)
    shown = [_channel_json(call, one) for one in page]
    return json_answer({"ok": True, "channels": shown, "response_metadata": {"next_cursor": cursor}})


@routes.on("POST", "/api/conversations.join")
def join(call: Call) -> Response:
    arguments = read_arguments(call, "channels:join")
    channel = find_channel(call, arguments.text("channel"))
    if channel.private:
        raise api_error("method_not_supported_for_channel_type")
    if channel.archived:
        raise api_error("is_archived")
    was_in = is_member(call, channel)
    statement = insert(tables.membership).values(channel=channel.id, joined=True)
    call.db.execute(statement.on_conflict_do_update(index_elements=["channel"], set_={"joined": True}))
    answer: dict[str, Any] = {"ok": True, "channel": _channel_json(call, channel)}
    return json_answer(answer | ({"warning": "already_in_channel"} if was_in else {}))


def _between(arguments: Arguments, rows: list[Any]) -> list[Any]:
    """Keep the messages between oldest and latest; the limits themselves only where `inclusive`."""
    inclusive = arguments.flag("inclusive")
    for name, keeps_later in (("oldest", True), ("latest", False)):
        text = arguments.text(name)
        if not text or text == "0":
            continue
        try:
            limit = float(text)
        except ValueError as error:
            raise api_error(f"invalid_ts_{name}") from error
        rows = [
            row
            for row in rows
            if (inclusive and float(row.ts) == limit)
            or (float(row.ts) > limit if keeps_later else float(row.ts) < limit)
        ]
    return rows


@routes.on("POST", "/api/conversations.history")
@routes.on("GET", "/api/conversations.history")
def history(call: Call) -> Response:
    arguments = read_arguments(call)
    channel = _readable(call, arguments)
    rows = messages_of(call, channel)
    replies = _reply_counts(rows)
    shown = [row for row in rows if row.thread_ts is None or row.broadcast][::-1]
    page, cursor = paged(arguments, _between(arguments, shown))
    with_metadata = arguments.flag("include_all_metadata")
    messages = [message_json(call, row, with_metadata=with_metadata) | replies.get(row.ts, {}) for row in page]
    answer = {"ok": True, "messages": messages, "has_more": bool(cursor), "pin_count": 0}
    answer |= {"channel_actions_ts": None, "channel_actions_count": 0}
    return json_answer(answer | ({"response_metadata": {"next_cursor": cursor}} if cursor else {}))


def _readable(call: Call, arguments: Arguments) -> Channel:
    require_for_some_kind(call, "history")
    channel = find_channel(call, arguments.text("channel"))
    require_for_kind(call, channel, "history")
    if not is_member(call, channel):
        raise api_error("not_in_channel")
    return channel


@routes.on("POST", "/api/conversations.open")
def open_direct(call: Call) -> Response:
    """Open the conversation with one person; the stand-in knows none with several."""
    arguments = read_arguments(call, "im:write")
    wanted = arguments.text("channel") or arguments.text("users") or ""
    found = next((one for one in call.seed.direct_channels if wanted in (one.id, one.user)), None)
    if found is None:
        raise api_error("channel_not_found" if arguments.text("channel") else "user_not_found")
    shown = _channel_json(call, found) if arguments.flag("return_im") else {"id": found.id}
    return json_answer({"ok": True, "channel": shown})


@routes.on("POST", "/api/conversations.leave")
def leave(call: Call) -> Response:
    arguments = read_arguments(call, "channels:manage")
    channel = find_channel(call, arguments.text("channel"))
    if not is_member(call, channel):
        return json_answer({"ok": False, "not_in_channel": True})
    statement = insert(tables.membership).values(channel=channel.id, joined=False)
    call.db.execute(statement.on_conflict_do_update(index_elements=["channel"], set_={"joined": False}))
    return json_answer({"ok": True})


def _reply_counts(rows: list[Any]) -> dict[str, dict[str, Any]]:
    counts: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row.thread_ts:
            before = counts.get(row.thread_ts, {"reply_count": 0})["reply_count"]
            counts[row.thread_ts] = {
                "thread_ts": row.thread_ts,
                "reply_count": before + 1,
                "latest_reply": row.ts,
                "subscribed": False,
            }
    return counts


@routes.on("POST", "/api/conversations.replies")
@routes.on("GET", "/api/conversations.replies")
def replies(call: Call) -> Response:
    arguments = read_arguments(call)
    channel = _readable(call, arguments)
    root = find_message(call, channel, arguments.text("ts"))
    if root is None:
        raise api_error("thread_not_found")
    root_ts = root.thread_ts or root.ts
    rows = messages_of(call, channel)
    thread = [row for row in rows if root_ts in (row.ts, row.thread_ts)]
    page, cursor = paged(arguments, _between(arguments, thread))
    with_metadata = arguments.flag("include_all_metadata")
    counts = _reply_counts(rows)
    messages = [message_json(call, row, with_metadata=with_metadata) | counts.get(row.ts, {}) for row in page]
    for message in messages:
        if message["ts"] != root_ts:
            message["parent_user_id"] = root.author
    answer: dict[str, Any] = {"ok": True, "messages": messages, "has_more": bool(cursor)}
    return json_answer(answer | ({"response_metadata": {"next_cursor": cursor}} if cursor else {}))
