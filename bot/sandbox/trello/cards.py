"""Trello: creating, reading, changing and deleting cards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.sandbox.rules import Service
from bot.sandbox.search.index import index_document
from bot.sandbox.trello import tables
from bot.sandbox.trello.arguments import (
    FILTERS,
    due_of,
    filter_of,
    flag_of,
    given_values,
    ids_of,
    may_write,
    only_fields,
    position_of,
    text_of,
    value_of,
)
from bot.sandbox.trello.attachments import attach_link
from bot.sandbox.trello.board_json import (
    action_json,
    attachment_id,
    attachment_json,
    board_json,
    card_json,
    list_json,
    member_json,
)
from bot.sandbox.trello.board_rows import (
    actions_of,
    card_or_refuse,
    cards_of,
    change_card,
    check_board,
    index_card,
    known_labels,
    list_or_refuse,
    new_id,
    note_action,
)
from bot.sandbox.trello.members import members_on
from bot.sandbox.web.call import Call, json_answer
from bot.sandbox.web.database import next_number
from bot.sandbox.web.site import Routes
from bot.sandbox.web.uploads import attachments_of

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

routes = Routes()


@routes.on("GET", "/1/boards/<board>/cards")
def get_board_cards(call: Call, board: str) -> Response:
    check_board(call, board)
    closed = filter_of(call)
    return json_answer([only_fields(call, card_json(call, row)) for row in cards_of(call, closed=closed)])


@routes.on("GET", "/1/boards/<board>/cards/<wanted>")
def get_board_cards_filtered(call: Call, board: str, wanted: str) -> Response:
    check_board(call, board)
    if wanted not in FILTERS:
        raise call.refuse(400, "invalid value for filter")
    rows = cards_of(call, closed=FILTERS[wanted])
    return json_answer([only_fields(call, card_json(call, row)) for row in rows])


@routes.on("POST", "/1/cards")
def post_card(call: Call) -> Response:
    may_write(call)
    values = given_values(call)
    home = list_or_refuse(call, values.get("idList") if isinstance(values.get("idList"), str) else None)
    number = next_number(call.db, "card", 1)
    card = {
        "id": new_id(call.db, call.now),
        "number": number,
        "short_link": f"sRc{number:05d}",
        "list": home.id,
        "name": text_of(call, values, "name") or "",
        "description": text_of(call, values, "desc") or "",
        "position": position_of(call, values, [row.position for row in cards_of(call, closed=None)], "bottom"),
        "due": due_of(call, values),
        "due_complete": bool(flag_of(call, values, "dueComplete")),
        "closed": False,
        "labels": known_labels(call, ids_of(call, values, "idLabels") or []),
        "members": ids_of(call, values, "idMembers") or [],
        "cover": None,
        "created": call.now,
        "updated": call.now,
    }
    call.db.execute(tables.card.insert().values(**card))
    note_action(call, str(card["id"]), "createCard", {})
    address = text_of(call, values, "urlSource")
    if address:
        attach_link(call, card_or_refuse(call, str(card["id"])), address, address)
    return card_answer(call, str(card["id"]))


def card_answer(call: Call, number: str) -> Response:
    row = card_or_refuse(call, number)
    index_card(call, row)
    return json_answer(only_fields(call, card_json(call, row)))


@routes.on("GET", "/1/cards/<number>")
def get_card(call: Call, number: str) -> Response:
    row = card_or_refuse(call, number)
    answer = only_fields(call, card_json(call, row))
    if call.request.args.get("attachments") == "true":
        answer["attachments"] = [attachment_json(call, one) for one in attachments_of(call, row.id)]
    if call.request.args.get("members") == "true":
        members = [member_json(call, one) for one in members_on(call, row)]
        answer["members"] = [only_fields(call, one, "member_fields") for one in members]
    wanted = call.request.args.get("actions")
    if wanted:
        answer["actions"] = [action_json(call, one, row) for one in actions_of(call, row.id, wanted)]
    return json_answer(answer)


@routes.on("PUT", "/1/cards/<number>")
def put_card(call: Call, number: str) -> Response:
    may_write(call)
    row = card_or_refuse(call, number)
    change_card(call, row, changes_of(call, row, given_values(call)))
    return card_answer(call, row.id)


def changes_of(call: Call, row: Any, values: dict[str, Any]) -> dict[str, Any]:
    """Read new values of a card's fields as columns."""
    changes: dict[str, Any] = {}
    for name, column in (("name", "name"), ("desc", "description")):
        text = text_of(call, values, name)
        if text is not None:
            changes[column] = text
    for name, column in (("closed", "closed"), ("dueComplete", "due_complete")):
        flag = flag_of(call, values, name)
        if flag is not None:
            changes[column] = flag
    if "due" in values:
        changes["due"] = due_of(call, values)
    if "idLabels" in values:
        changes["labels"] = known_labels(call, ids_of(call, values, "idLabels") or [])
    if "idMembers" in values:
        changes["members"] = ids_of(call, values, "idMembers") or []
    if "pos" in values:
        changes["position"] = position_of(call, values, [one.position for one in cards_of(call, closed=None)])
    if "idList" in values:
        changes["list"] = list_or_refuse(call, str(values["idList"])).id
    if "idAttachmentCover" in values:
        changes["cover"] = _cover(call, row, values["idAttachmentCover"])
    return changes


def _cover(call: Call, row: Any, wanted: Any) -> str | None:
    if wanted in (None, "", "null"):
        return None
    if wanted not in {attachment_id(one) for one in attachments_of(call, row.id)}:
        raise call.refuse(400, "invalid value for idAttachmentCover")
    return str(wanted)


@routes.on("DELETE", "/1/cards/<number>")
def delete_card(call: Call, number: str) -> Response:
    may_write(call)
    row = card_or_refuse(call, number)
    call.db.execute(tables.card.delete().where(tables.card.c.id == row.id))
    index_document(call.db, Service.TRELLO, row.id, call.now, None)
    return json_answer({"limits": {}})


CARD_FIELDS = ("name", "desc", "closed", "due", "dueComplete", "pos", "idList", "idLabels", "idMembers")


@routes.on("PUT", "/1/cards/<number>/<field>")
def put_card_field(call: Call, number: str, field: str) -> Response:
    """Change one field, whose new value is called `value`."""
    may_write(call)
    row = card_or_refuse(call, number)
    change_card(call, row, changes_of(call, row, {field: value_of(call, field, CARD_FIELDS)}))
    return card_answer(call, row.id)


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


@routes.on("GET", "/1/boards/<board>/cards/<int:short>")
def get_card_by_number(call: Call, board: str, short: int) -> Response:
    check_board(call, board)
    row = next((one for one in cards_of(call, closed=None) if one.number == short), None)
    if row is None:
        raise call.refuse(404, "The requested resource was not found.")
    return json_answer(only_fields(call, card_json(call, row)))
