"""Slack's reactions: an emoji that somebody leaves on a message."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from bot.sandbox.slack import tables
from bot.sandbox.slack.message_rows import find_message, message_json
from bot.sandbox.slack.method_calls import Arguments, api_error, find_channel, is_member, paged, read_arguments
from bot.sandbox.web.call import Call, json_answer
from bot.sandbox.web.site import Routes

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

routes = Routes()

_NAME = re.compile(r"[a-z0-9_+'-]{1,100}(?:::skin-tone-[2-6])?")


def _target(call: Call, arguments: Arguments) -> Any:
    """Find the message that an emoji is left on."""
    if not arguments.text("channel") or not arguments.text("timestamp"):
        raise api_error("no_item_specified")
    channel = find_channel(call, arguments.text("channel"))
    row = find_message(call, channel, arguments.text("timestamp"))
    if row is None:
        raise api_error("message_not_found")
    if channel.archived:
        raise api_error("is_archived")
    if not is_member(call, channel):
        raise api_error("not_in_channel")
    return row


def _name(arguments: Arguments) -> str:
    name = (arguments.text("name") or "").strip(":")
    if not _NAME.fullmatch(name):
        raise api_error("invalid_name")
    return name


def _ours(call: Call, row: Any, name: str) -> Any:
    table = tables.reaction.c
    return (table.message == row.id) & (table.name == name) & (table.account == call.seed.slack_bot_user)


@routes.on("POST", "/api/reactions.add")
def add_reaction(call: Call) -> Response:
    arguments = read_arguments(call, "reactions:write")
    name, row = _name(arguments), _target(call, arguments)
    if call.db.execute(select(tables.reaction.c.id).where(_ours(call, row, name))).first() is not None:
        raise api_error("already_reacted")
    values = {"message": row.id, "name": name, "account": call.seed.slack_bot_user}
    call.db.execute(tables.reaction.insert().values(**values))
    return json_answer({"ok": True})


@routes.on("POST", "/api/reactions.remove")
def remove_reaction(call: Call) -> Response:
    arguments = read_arguments(call, "reactions:write")
    name, row = _name(arguments), _target(call, arguments)
    if not call.db.execute(tables.reaction.delete().where(_ours(call, row, name))).rowcount:
        raise api_error("no_reaction")
    return json_answer({"ok": True})


@routes.on("POST", "/api/reactions.get")
@routes.on("GET", "/api/reactions.get")
def get_reactions(call: Call) -> Response:
    row = _target(call, read_arguments(call, "reactions:read"))
    return json_answer({"ok": True, "type": "message", "channel": row.channel, "message": message_json(call, row)})


@routes.on("POST", "/api/reactions.list")
@routes.on("GET", "/api/reactions.list")
def list_reactions(call: Call) -> Response:
    """List what the app itself has left an emoji on, the newest message first."""
    arguments = read_arguments(call, "reactions:read")
    marked = select(tables.reaction.c.message).where(tables.reaction.c.account == call.seed.slack_bot_user)
    rows = call.db.execute(select(tables.message).where(tables.message.c.id.in_(marked)))
    page, cursor = paged(arguments, sorted(rows, key=lambda row: str(row.ts), reverse=True))
    items = [{"type": "message", "channel": row.channel, "message": message_json(call, row)} for row in page]
    return json_answer({"ok": True, "items": items, "response_metadata": {"next_cursor": cursor}})
