"""Trello: the labels of the board and of a card."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.sandbox.trello import tables
from bot.sandbox.trello.arguments import given_values, ids_of, may_write, only_fields, required_text, text_of
from bot.sandbox.trello.board_json import label_json
from bot.sandbox.trello.board_rows import (
    card_or_refuse,
    cards_of,
    change_card,
    check_board,
    index_card,
    known_labels,
    labels_of,
    new_id,
)
from bot.sandbox.web.call import Call, json_answer
from bot.sandbox.web.site import Routes

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

routes = Routes()
COLOURS = ("yellow", "purple", "blue", "red", "green", "orange", "black", "sky", "pink", "lime")


@routes.on("GET", "/1/boards/<board>/labels")
def get_labels(call: Call, board: str) -> Response:
    check_board(call, board)
    size = call.number("limit", 50, high=1000)
    return json_answer([label_json(call, row) for row in labels_of(call)[:size]])


@routes.on("POST", "/1/cards/<number>/idLabels")
def add_label(call: Call, number: str) -> Response:
    may_write(call)
    row = card_or_refuse(call, number)
    wanted = known_labels(call, ids_of(call, given_values(call), "value") or [])
    if not wanted:
        raise call.refuse(400, "invalid value for value")
    if wanted[0] in row.labels:
        raise call.refuse(400, "that label is already on the card")
    change_card(call, row, {"labels": [*row.labels, *wanted]})
    index_card(call, card_or_refuse(call, row.id))
    return json_answer([*row.labels, *wanted])


@routes.on("DELETE", "/1/cards/<number>/idLabels/<label>")
def remove_label(call: Call, number: str, label: str) -> Response:
    may_write(call)
    row = card_or_refuse(call, number)
    if label not in row.labels:
        raise call.refuse(400, "that label is not on the card")
    change_card(call, row, {"labels": [one for one in row.labels if one != label]})
    index_card(call, card_or_refuse(call, row.id))
    return json_answer({"_value": None})


@routes.on("POST", "/1/cards/<number>/labels")
def make_label_on_card(call: Call, number: str) -> Response:
    """Make a label of the board and put it on the card at once."""
    may_write(call)
    row = card_or_refuse(call, number)
    label = insert_label(call, given_values(call))
    change_card(call, row, {"labels": [*row.labels, label["id"]]})
    index_card(call, card_or_refuse(call, row.id))
    return json_answer([label])


def insert_label(call: Call, values: dict[str, Any]) -> dict[str, Any]:
    colour = values.get("color")
    if colour not in (*COLOURS, None, "", "null"):
        raise call.refuse(400, "invalid value for color")
    row = {
        "id": new_id(call.db, call.now),
        "name": required_text(call, values, "name"),
        "color": colour if colour in COLOURS else None,
    }
    call.db.execute(tables.label.insert().values(**row))
    return {**row, "idBoard": call.seed.board.id, "limits": {}}


@routes.on("POST", "/1/labels")
def post_label(call: Call) -> Response:
    may_write(call)
    values = given_values(call)
    check_board(call, str(values.get("idBoard", "")))
    return json_answer(insert_label(call, values))


def _label(call: Call, number: str) -> Any:
    row = next((one for one in labels_of(call) if one.id == number), None)
    if row is None:
        raise call.refuse(404, "The requested resource was not found.")
    return row


@routes.on("GET", "/1/labels/<number>")
def get_label(call: Call, number: str) -> Response:
    return json_answer(only_fields(call, label_json(call, _label(call, number))))


@routes.on("PUT", "/1/labels/<number>")
def put_label(call: Call, number: str) -> Response:
    may_write(call)
    row, values = _label(call, number), given_values(call)
    colour = values.get("color", row.color)
    if colour not in (*COLOURS, None, "", "null"):
        raise call.refuse(400, "invalid value for color")
    changes = {"name": text_of(call, values, "name") or row.name, "color": colour if colour in COLOURS else None}
    call.db.execute(tables.label.update().where(tables.label.c.id == row.id).values(**changes))
    return json_answer(label_json(call, _label(call, number)))


@routes.on("DELETE", "/1/labels/<number>")
def delete_label(call: Call, number: str) -> Response:
    """Take a label off the board and off every card."""
    may_write(call)
    row = _label(call, number)
    call.db.execute(tables.label.delete().where(tables.label.c.id == row.id))
    for card in cards_of(call, closed=None):
        if row.id in card.labels:
            change_card(call, card, {"labels": [one for one in card.labels if one != row.id]})
            index_card(call, card_or_refuse(call, card.id))
    return json_answer({"limits": {}})


@routes.on("GET", "/1/boards/<board>/labels/<number>")
def get_label_of_board(call: Call, board: str, number: str) -> Response:
    check_board(call, board)
    return get_label(call, number)
