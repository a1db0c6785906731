"""Trello: the lists of the board."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.sandbox.trello import tables
from bot.sandbox.trello.arguments import (
    filter_of,
    flag_of,
    given_values,
    may_write,
    only_fields,
    position_of,
    required_text,
    text_of,
    value_of,
)
from bot.sandbox.trello.board_json import card_json, list_json
from bot.sandbox.trello.board_rows import (
    card_or_refuse,
    cards_of,
    change_card,
    check_board,
    index_card,
    list_or_refuse,
    lists_of,
    new_id,
)
from bot.sandbox.web.call import Call, json_answer
from bot.sandbox.web.site import Routes

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

routes = Routes()


@routes.on("GET", "/1/boards/<board>/lists")
def get_lists(call: Call, board: str) -> Response:
    check_board(call, board)
    if call.request.args.get("filter") == "none":
        return json_answer([])
    return json_answer([only_fields(call, list_json(call, row)) for row in lists_of(call, closed=filter_of(call))])


@routes.on("POST", "/1/lists")
def post_list(call: Call) -> Response:
    may_write(call)
    values = given_values(call)
    name = required_text(call, values, "name")
    check_board(call, str(values.get("idBoard", "")))
    positions = [row.position for row in lists_of(call, closed=None)]
    position = position_of(call, values, positions)
    number = new_id(call.db, call.now)
    call.db.execute(tables.board_list.insert().values(id=number, name=name, closed=False, position=position))
    return json_answer(list_json(call, list_or_refuse(call, number)))


@routes.on("PUT", "/1/lists/<number>")
def put_list(call: Call, number: str) -> Response:
    may_write(call)
    row = list_or_refuse(call, number)
    values = given_values(call)
    closed = flag_of(call, values, "closed")
    changes = {"name": text_of(call, values, "name") or row.name, "closed": row.closed if closed is None else closed}
    call.db.execute(tables.board_list.update().where(tables.board_list.c.id == row.id).values(**changes))
    return json_answer(list_json(call, list_or_refuse(call, number)))


@routes.on("GET", "/1/lists/<number>/cards")
def get_list_cards(call: Call, number: str) -> Response:
    row = list_or_refuse(call, number)
    return json_answer([only_fields(call, card_json(call, one)) for one in cards_of(call) if one.list == row.id])


LIST_FIELDS = ("name", "closed", "pos")


@routes.on("GET", "/1/lists/<number>")
def get_list(call: Call, number: str) -> Response:
    return json_answer(only_fields(call, list_json(call, list_or_refuse(call, number))))


@routes.on("PUT", "/1/lists/<number>/<field>")
def put_list_field(call: Call, number: str, field: str) -> Response:
    may_write(call)
    row = list_or_refuse(call, number)
    values = {field: value_of(call, field, LIST_FIELDS)}
    match field:
        case "name":
            changes: dict[str, Any] = {"name": required_text(call, values, "name")}
        case "closed":
            changes = {"closed": bool(flag_of(call, values, "closed"))}
        case _:
            changes = {"position": position_of(call, values, [one.position for one in lists_of(call, closed=None)])}
    call.db.execute(tables.board_list.update().where(tables.board_list.c.id == row.id).values(**changes))
    return json_answer(list_json(call, list_or_refuse(call, number)))


@routes.on("POST", "/1/lists/<number>/archiveAllCards")
def archive_all_cards(call: Call, number: str) -> Response:
    return _change_all_cards(call, number, {"closed": True})


@routes.on("POST", "/1/lists/<number>/moveAllCards")
def move_all_cards(call: Call, number: str) -> Response:
    values = given_values(call)
    check_board(call, str(values.get("idBoard", "")))
    return _change_all_cards(call, number, {"list": list_or_refuse(call, str(values.get("idList", ""))).id})


def _change_all_cards(call: Call, number: str, changes: dict[str, Any]) -> Response:
    may_write(call)
    home = list_or_refuse(call, number)
    rows = [one for one in cards_of(call) if one.list == home.id]
    for row in rows:
        change_card(call, row, changes)
        index_card(call, card_or_refuse(call, row.id))
    return json_answer([card_json(call, card_or_refuse(call, row.id)) for row in rows])
