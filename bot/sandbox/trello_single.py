"""Trello's other addresses for the same things: one field, list, label, member or action at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from bot.sandbox import tables
from bot.sandbox.trello import (
    COLOURS,
    action_json,
    actions_of,
    board_json,
    card_answer,
    card_json,
    card_or_refuse,
    cards_of,
    change_card,
    changes_of,
    check_board,
    find_card,
    flag_of,
    given_values,
    ids_of,
    index_card,
    label_json,
    labels_of,
    list_json,
    list_or_refuse,
    lists_of,
    may_write,
    member_json,
    new_id,
    only_fields,
    position_of,
    required_text,
    text_of,
)
from bot.sandbox.web import Call, Routes, json_answer

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

routes = Routes()

CARD_FIELDS = ("name", "desc", "closed", "due", "dueComplete", "pos", "idList", "idLabels", "idMembers")
LIST_FIELDS = ("name", "closed", "pos")
LABEL_FIELDS = ("name", "color")

# ---- cards


@routes.on("PUT", "/1/cards/<number>/<field>")
def put_card_field(call: Call, number: str, field: str) -> Response:
    """Change one field, whose new value is called `value`."""
    may_write(call)
    row = card_or_refuse(call, number)
    change_card(call, row, changes_of(call, row, {field: _value(call, field, CARD_FIELDS)}))
    return card_answer(call, row.id)


def _value(call: Call, field: str, known: tuple[str, ...]) -> Any:
    values = given_values(call)
    if field not in known:
        raise call.refuse(404, f"Cannot PUT {call.request.path}")
    if "value" not in values:
        raise call.refuse(400, "invalid value for value")
    return values["value"]


@routes.on("GET", "/1/cards/<number>/list")
def get_list_of_card(call: Call, number: str) -> Response:
    row = list_or_refuse(call, card_or_refuse(call, number).list)
    return json_answer(only_fields(call, list_json(call, row)))


@routes.on("GET", "/1/cards/<number>/board")
def get_board_of_card(call: Call, number: str) -> Response:
    card_or_refuse(call, number)
    return json_answer(only_fields(call, board_json(call)))


@routes.on("GET", "/1/cards/<number>/pluginData")
@routes.on("GET", "/1/cards/<number>/checklists")
@routes.on("GET", "/1/cards/<number>/customFieldItems")
def get_nothing_of_card(call: Call, number: str) -> Response:
    """Answer for what no card of this board has."""
    card_or_refuse(call, number)
    return json_answer([])


@routes.on("GET", "/1/cards/<number>/members")
def get_members_of_card(call: Call, number: str) -> Response:
    row = card_or_refuse(call, number)
    known = call.seed.trello_member in row.members
    return json_answer([only_fields(call, member_json(call))] if known else [])


@routes.on("POST", "/1/cards/<number>/idMembers")
@routes.on("POST", "/1/cards/<number>/members")
def add_member(call: Call, number: str) -> Response:
    may_write(call)
    row = card_or_refuse(call, number)
    wanted = ids_of(call, given_values(call), "value") or []
    if wanted != [call.seed.trello_member]:
        raise call.refuse(400, "invalid value for value")
    if wanted[0] in row.members:
        raise call.refuse(400, "member is already on the card")
    change_card(call, row, {"members": [*row.members, *wanted]})
    return json_answer([member_json(call)])


@routes.on("DELETE", "/1/cards/<number>/idMembers/<member>")
def remove_member(call: Call, number: str, member: str) -> Response:
    may_write(call)
    row = card_or_refuse(call, number)
    if member not in row.members:
        raise call.refuse(400, "member is not on the card")
    change_card(call, row, {"members": [one for one in row.members if one != member]})
    return json_answer([])


@routes.on("POST", "/1/cards/<number>/labels")
def make_label_on_card(call: Call, number: str) -> Response:
    """Make a label of the board and put it on the card at once."""
    may_write(call)
    row = card_or_refuse(call, number)
    label = insert_label(call, given_values(call))
    change_card(call, row, {"labels": [*row.labels, label["id"]]})
    index_card(call, card_or_refuse(call, row.id))
    return json_answer([label])


# ---- comments, which are actions


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


# ---- lists


@routes.on("GET", "/1/lists/<number>")
def get_list(call: Call, number: str) -> Response:
    return json_answer(only_fields(call, list_json(call, list_or_refuse(call, number))))


@routes.on("PUT", "/1/lists/<number>/<field>")
def put_list_field(call: Call, number: str, field: str) -> Response:
    may_write(call)
    row = list_or_refuse(call, number)
    values = {field: _value(call, field, LIST_FIELDS)}
    match field:
        case "name":
            changes: dict[str, Any] = {"name": required_text(call, values, "name")}
        case "closed":
            changes = {"closed": bool(flag_of(call, values, "closed"))}
        case _:
            changes = {"position": position_of(call, values, [one.position for one in lists_of(call, closed=None)])}
    call.db.execute(tables.trello_list.update().where(tables.trello_list.c.id == row.id).values(**changes))
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


# ---- labels


def insert_label(call: Call, values: dict[str, Any]) -> dict[str, Any]:
    colour = values.get("color")
    if colour not in (*COLOURS, None, "", "null"):
        raise call.refuse(400, "invalid value for color")
    row = {
        "id": new_id(call.db, call.now),
        "name": required_text(call, values, "name"),
        "color": colour if colour in COLOURS else None,
    }
    call.db.execute(tables.trello_label.insert().values(**row))
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
    call.db.execute(tables.trello_label.update().where(tables.trello_label.c.id == row.id).values(**changes))
    return json_answer(label_json(call, _label(call, number)))


@routes.on("DELETE", "/1/labels/<number>")
def delete_label(call: Call, number: str) -> Response:
    """Take a label off the board and off every card."""
    may_write(call)
    row = _label(call, number)
    call.db.execute(tables.trello_label.delete().where(tables.trello_label.c.id == row.id))
    for card in cards_of(call, closed=None):
        if row.id in card.labels:
            change_card(call, card, {"labels": [one for one in card.labels if one != row.id]})
            index_card(call, card_or_refuse(call, card.id))
    return json_answer({"limits": {}})


# ---- the board and who is on it


@routes.on("GET", "/1/boards/<board>/members")
def get_members(call: Call, board: str) -> Response:
    check_board(call, board)
    return json_answer([only_fields(call, member_json(call))])


@routes.on("GET", "/1/boards/<board>/customFields")
@routes.on("GET", "/1/boards/<board>/checklists")
def get_nothing_of_board(call: Call, board: str) -> Response:
    check_board(call, board)
    return json_answer([])


@routes.on("GET", "/1/boards/<board>/labels/<number>")
def get_label_of_board(call: Call, board: str, number: str) -> Response:
    check_board(call, board)
    return get_label(call, number)


@routes.on("GET", "/1/boards/<board>/actions")
def get_board_actions(call: Call, board: str) -> Response:
    """List what happened on the board, the newest first."""
    check_board(call, board)
    wanted = call.request.args.get("filter") or "all"
    cards = [row for row in cards_of(call, closed=None) if find_card(call, row.id)]
    found = [(one, card) for card in cards for one in actions_of(call, card.id, wanted)]
    found.sort(key=lambda each: str(each[0].id), reverse=True)
    size = call.number("limit", 50, high=1000)
    return json_answer([action_json(call, one, card) for one, card in found[:size]])


@routes.on("GET", "/1/boards/<board>/cards/<int:short>")
def get_card_by_number(call: Call, board: str, short: int) -> Response:
    check_board(call, board)
    row = next((one for one in cards_of(call, closed=None) if one.number == short), None)
    if row is None:
        raise call.refuse(404, "The requested resource was not found.")
    return json_answer(only_fields(call, card_json(call, row)))


@routes.on("GET", "/1/members/<member>/boards")
@routes.on("GET", "/1/members/<member>/boards/all")
def get_boards_of_member(call: Call, member: str) -> Response:
    if member not in ("me", call.seed.trello_member, call.seed.bot.name):
        raise call.refuse(404, "The requested resource was not found.")
    wants_closed = call.request.args.get("filter") == "closed"
    return json_answer([] if wants_closed else [only_fields(call, board_json(call))])
