"""Slack: posting, changing and deleting messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from bot.sandbox.slack import block_kit, tables
from bot.sandbox.slack.message_rows import Content, find_message, insert_message, message_json, numbered, permalink
from bot.sandbox.slack.method_calls import Arguments, api_error, find_channel, is_member, read_arguments
from bot.sandbox.slack.users import slack_user
from bot.sandbox.web.call import Call, Refusal, json_answer
from bot.sandbox.web.site import Routes

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from bot.sandbox.seed import Channel

routes = Routes()


def read_content(call: Call, arguments: Arguments, *, has_files: bool = False) -> Content:
    text = arguments.text("text") or ""
    blocks = arguments.structure("blocks", "invalid_blocks_format") or []
    attachments = arguments.structure("attachments", "invalid_attachments") or []
    if not text and not blocks and not attachments and not has_files:
        raise api_error("no_text")
    if len(text) > block_kit.MESSAGE_TEXT:
        raise api_error("msg_too_long")
    try:
        blocks = block_kit.check_blocks(blocks)
    except block_kit.BlockError as error:
        messages = [f"[ERROR] {error}"]
        raise api_error("invalid_blocks", errors=[str(error)], response_metadata={"messages": messages}) from error
    if not isinstance(attachments, list) or not all(isinstance(one, dict) for one in attachments):
        raise api_error("invalid_attachments")
    if len(attachments) > block_kit.ATTACHMENTS:
        raise api_error("too_many_attachments")
    for one in attachments:
        _check_attachment_blocks(one)
    everything = [*blocks, *(block for one in attachments for block in one.get("blocks") or [])]
    if block_kit.size_of(everything) > call.rulebook.slack.message_budget:
        raise api_error("msg_blocks_too_long")
    return Content(text, blocks, attachments, _metadata(arguments))


def _check_attachment_blocks(attachment: dict[str, Any]) -> None:
    try:
        block_kit.check_blocks(attachment.get("blocks") or [])
    except block_kit.BlockError as error:
        raise api_error("invalid_attachments", errors=[str(error)]) from error


def _metadata(arguments: Arguments) -> dict[str, Any] | None:
    given = arguments.structure("metadata", "invalid_metadata_format")
    if given is None:
        return None
    if not isinstance(given, dict) or not isinstance(given.get("event_type"), str):
        raise api_error("invalid_metadata_format")
    if not isinstance(given.get("event_payload"), dict):
        raise api_error("invalid_metadata_schema")
    return {"event_type": given["event_type"], "event_payload": given["event_payload"]}


def respect_the_pace(call: Call, channel: Channel) -> None:
    """Allow one message a second and channel, where the rules ask for it."""
    if not call.rulebook.slack.one_message_a_second:
        return
    where = tables.message.c.channel == channel.id
    last = call.db.execute(select(func.max(tables.message.c.ts)).where(where)).scalar_one_or_none()
    if last and call.now - float(last) < 1.0:
        raise Refusal(json_answer({"ok": False, "error": "ratelimited"}, 429, {"Retry-After": "1"}))


@routes.on("POST", "/api/chat.postMessage")
def post_message(call: Call) -> Response:
    arguments = read_arguments(call, "chat:write")
    channel = find_channel(call, arguments.text("channel"), by_name=True)
    if channel.archived:
        raise api_error("is_archived")
    if not is_member(call, channel):
        raise api_error("not_in_channel")
    content = read_content(call, arguments)
    respect_the_pace(call, channel)
    thread_ts = thread_of(call, channel, arguments)
    row = insert_message(
        call,
        channel,
        content,
        author=slack_user(call, call.caller),
        username=arguments.text("username") or call.caller.display_name,
        thread_ts=thread_ts,
        broadcast=arguments.flag("reply_broadcast"),
    )
    shown = message_json(call, row, with_metadata=True)
    return json_answer({"ok": True, "channel": channel.id, "ts": row.ts, "message": shown})


def thread_of(call: Call, channel: Channel, arguments: Arguments) -> str | None:
    wanted = arguments.text("thread_ts")
    if not wanted:
        return None
    parent = find_message(call, channel, wanted)
    if parent is None:
        raise api_error("thread_not_found")
    return str(parent.thread_ts or parent.ts)


def _own_message(call: Call, channel: Channel, arguments: Arguments, refusal: str) -> Any:
    """Find a message of who asks."""
    row = find_message(call, channel, arguments.text("ts"))
    if row is None:
        raise api_error("message_not_found")
    if row.author != slack_user(call, call.caller):
        raise api_error(refusal)
    return row


@routes.on("POST", "/api/chat.update")
def update_message(call: Call) -> Response:
    arguments = read_arguments(call, "chat:write")
    channel = find_channel(call, arguments.text("channel"))
    row = _own_message(call, channel, arguments, "cant_update_message")
    content = read_content(call, arguments)
    # Giving a text without blocks or attachments takes those away that were there.
    values: dict[str, Any] = {"text": content.text, "blocks": content.blocks, "edited": call.now}
    values["attachments"] = numbered(content.attachments)
    if content.metadata is not None:
        values["metadata"] = content.metadata
    call.db.execute(tables.message.update().where(tables.message.c.id == row.id).values(**values))
    row = find_message(call, channel, row.ts)
    assert row is not None
    answer = {"ok": True, "channel": channel.id, "ts": row.ts, "text": row.text}
    return json_answer(answer | {"message": message_json(call, row, with_metadata=True)})


@routes.on("POST", "/api/chat.delete")
def delete_message(call: Call) -> Response:
    arguments = read_arguments(call, "chat:write")
    channel = find_channel(call, arguments.text("channel"))
    row = _own_message(call, channel, arguments, "cant_delete_message")
    call.db.execute(tables.reaction.delete().where(tables.reaction.c.message == row.id))
    call.db.execute(tables.message.delete().where(tables.message.c.id == row.id))
    return json_answer({"ok": True, "channel": channel.id, "ts": row.ts})


@routes.on("POST", "/api/chat.getPermalink")
@routes.on("GET", "/api/chat.getPermalink")
def get_permalink(call: Call) -> Response:
    arguments = read_arguments(call)
    channel = find_channel(call, arguments.text("channel"))
    row = find_message(call, channel, arguments.text("message_ts"))
    if row is None:
        raise api_error("message_not_found")
    return json_answer({"ok": True, "channel": channel.id, "permalink": call.base + permalink(row)})
