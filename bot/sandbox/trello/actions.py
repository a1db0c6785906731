"""Trello: what happened to a card; comments are actions too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from bot.sandbox.trello import tables
from bot.sandbox.trello.arguments import given_values, may_write, required_text
from bot.sandbox.trello.board_json import action_json
from bot.sandbox.trello.board_rows import (
    actions_of,
    between,
    card_or_refuse,
    cards_of,
    change_card,
    check_board,
    find_card,
    index_card,
    note_action,
)
from bot.sandbox.web.call import Call, json_answer
from bot.sandbox.web.site import Routes

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

routes = Routes()


@routes.on("GET", "/1/cards/<number>/actions")
def get_actions(call: Call, number: str) -> Response:
    card = card_or_refuse(call, number)
    wanted = call.request.args.get("filter") or "commentCard,updateCard:idList"
    rows = between(call, actions_of(call, card.id, wanted))
    page, size = call.number("page", 0, high=19), call.number("limit", 50, high=1000)
    return json_answer([action_json(call, row, card) for row in rows[page * size : (page + 1) * size]])


@routes.on("POST", "/1/cards/<number>/actions/comments")
def post_comment(call: Call, number: str) -> Response:
    may_write(call)
    card = card_or_refuse(call, number)
    text = required_text(call, given_values(call), "text")
    action = note_action(call, card.id, "commentCard", {"text": text})
    change_card(call, card, {})
    index_card(call, card)
    return json_answer(action_json(call, _action(call, card, action), card))


def _action(call: Call, card: Any, number: str) -> Any:
    where = (tables.card_action.c.card == card.id) & (tables.card_action.c.id == number)
    row = call.db.execute(select(tables.card_action).where(where)).first()
    if row is None:
        raise call.refuse(404, "action not found")
    return row


@routes.on("PUT", "/1/cards/<number>/actions/<action>/comments")
def put_comment(call: Call, number: str, action: str) -> Response:
    may_write(call)
    card = card_or_refuse(call, number)
    row = _action(call, card, action)
    text = required_text(call, given_values(call), "text")
    where = tables.card_action.c.id == row.id
    call.db.execute(tables.card_action.update().where(where).values(data={"text": text}, edited=call.now))
    return json_answer(action_json(call, _action(call, card, action), card))


def _comment(call: Call, number: str) -> Any:
    where = (tables.card_action.c.id == number) & (tables.card_action.c.type == "commentCard")
    row = call.db.execute(select(tables.card_action).where(where)).first()
    if row is None:
        raise call.refuse(404, "action not found")
    return row


@routes.on("GET", "/1/actions/<number>")
def get_action(call: Call, number: str) -> Response:
    row = _comment(call, number)
    return json_answer(action_json(call, row, card_or_refuse(call, row.card)))


@routes.on("PUT", "/1/actions/<number>")
def put_action(call: Call, number: str) -> Response:
    may_write(call)
    row = _comment(call, number)
    text = required_text(call, given_values(call), "text")
    where = tables.card_action.c.id == row.id
    call.db.execute(tables.card_action.update().where(where).values(data={"text": text}, edited=call.now))
    index_card(call, card_or_refuse(call, row.card))
    return json_answer(action_json(call, _comment(call, number), card_or_refuse(call, row.card)))


@routes.on("DELETE", "/1/actions/<number>")
def delete_action(call: Call, number: str) -> Response:
    may_write(call)
    row = _comment(call, number)
    call.db.execute(tables.card_action.delete().where(tables.card_action.c.id == row.id))
    index_card(call, card_or_refuse(call, row.card))
    return json_answer({"_value": None})


@routes.on("DELETE", "/1/cards/<number>/actions/<action>/comments")
def delete_comment(call: Call, number: str, action: str) -> Response:
    if _comment(call, action).card != card_or_refuse(call, number).id:
        raise call.refuse(404, "action not found")
    return delete_action(call, action)


@routes.on("GET", "/1/boards/<board>/actions")
def get_board_actions(call: Call, board: str) -> Response:
    """List what happened on the board, the newest first."""
    check_board(call, board)
    wanted = call.request.args.get("filter") or "all"
    cards = [row for row in cards_of(call, closed=None) if find_card(call, row.id)]
    found = [(one, card) for card in cards for one in between(call, actions_of(call, card.id, wanted))]
    found.sort(key=lambda each: str(each[0].id), reverse=True)
    size = call.number("limit", 50, high=1000)
    return json_answer([action_json(call, one, card) for one, card in found[:size]])
