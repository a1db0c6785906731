"""The stand-in for Trello: a board with lists, cards, labels, comments, attachments and search."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sqlalchemy import select
from werkzeug.wrappers import Response

from bot.sandbox import tables
from bot.sandbox.jira_refusals import same
from bot.sandbox.jira_store import attachments_of
from bot.sandbox.rules import Service
from bot.sandbox.safehtml import is_web_address
from bot.sandbox.tables import index_document, next_number, visible_documents
from bot.sandbox.uploads import find_upload, read_upload, send_file, store_upload
from bot.sandbox.web import Call, Dialect, Routes, is_storable, iso_time, json_answer, row_id

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from werkzeug.wrappers import Request

    from bot.sandbox.seed import Account, SandboxSeed

routes = Routes()

TEXT_LIMIT = 16_384  # characters of a name, a description, a comment
COLOURS = ("yellow", "purple", "blue", "red", "green", "orange", "black", "sky", "pink", "lime")
STEP = 16_384.0  # between the positions of neighbours
LARGEST_SEARCH = 1000
_ID = re.compile("[0-9a-fA-F]{24}")
_OAUTH = re.compile(r'oauth_(consumer_key|token)="([^"]*)"')
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)?)?", re.ASCII)


def _error(status: int, text: str, _path: str = "") -> Response:
    """Answer with a word and a sentence, as Trello's description has it (live ones are plain text here and there)."""
    words = {400: "BAD_REQUEST", 401: "UNAUTHORIZED", 404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}
    return json_answer({"code": words.get(status, "ERROR"), "message": text}, status)


def credentials(request: Request) -> tuple[str, str]:
    """Read key and token from the query or from an OAuth header."""
    header = dict(_OAUTH.findall(request.headers.get("Authorization", "")))
    key = request.args.get("key") or header.get("consumer_key", "")
    return key, request.args.get("token") or header.get("token", "")


def authenticate(request: Request, seed: SandboxSeed) -> Account | None:
    key, token = credentials(request)
    is_known = same(key, seed.trello_key) and same(token, seed.trello_token)
    return seed.bot if is_known else None


def dialect() -> Dialect:
    return Dialect(authenticate, _error, lambda: _error(401, "invalid key"))


def make_board(db: Connection, seed: SandboxSeed, now: float) -> None:
    """Give the board its first lists and labels, once."""
    if db.execute(select(tables.trello_list.c.id)).first() is not None:
        return
    for number, name in enumerate(seed.board.lists, 1):
        values = {"id": new_id(db, now), "name": name, "closed": False, "position": number * STEP}
        db.execute(tables.trello_list.insert().values(**values))
    for name, colour in seed.board.labels:
        db.execute(tables.trello_label.insert().values(id=new_id(db, now), name=name, color=colour))


def new_id(db: Connection, now: float) -> str:
    """Make an id as Trello's are: the time, then a number, 24 hexadecimal digits together."""
    return f"{int(now):08x}{next_number(db, 'trello', 0x1A2B3C0001):016x}"


# ---- arguments


def given_values(call: Call) -> dict[str, Any]:
    """Collect what was given by query, form or JSON."""
    request = call.request
    values: dict[str, Any] = {**request.form.to_dict(), **request.args.to_dict()}
    if request.mimetype == "application/json" and request.get_data():
        values |= call.json_object()
    if not is_storable(values):
        raise call.refuse(400, "invalid value for text")
    return {key: value for key, value in values.items() if key not in ("key", "token")}


def text_of(call: Call, values: dict[str, Any], name: str) -> str | None:
    value = values.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > TEXT_LIMIT:
        raise call.refuse(400, f"invalid value for {name}")
    return value


def required_text(call: Call, values: dict[str, Any], name: str) -> str:
    value = text_of(call, values, name)
    if value is None or not value.strip():
        raise call.refuse(400, f"invalid value for {name}")
    return value


def flag_of(call: Call, values: dict[str, Any], name: str) -> bool | None:
    value = values.get(name)
    if value is None or isinstance(value, bool):
        return value
    if str(value).lower() not in ("true", "false"):
        raise call.refuse(400, f"invalid value for {name}")
    return str(value).lower() == "true"


def ids_of(call: Call, values: dict[str, Any], name: str) -> list[str] | None:
    value = values.get(name)
    if value is None:
        return None
    ids = [one for one in value.split(",") if one] if isinstance(value, str) else value
    if not isinstance(ids, list) or not all(isinstance(one, str) and _ID.fullmatch(one) for one in ids):
        raise call.refuse(400, f"invalid value for {name}")
    return ids


def _due(call: Call, values: dict[str, Any]) -> str | None:
    value = values.get("due")
    if value in (None, "", "null"):
        return None
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise call.refuse(400, "invalid value for due")
    return value


def may_write(call: Call) -> None:
    if call.rulebook.trello.read_only:
        raise call.refuse(401, "unauthorized card permission requested")


def only_fields(call: Call, answer: dict[str, Any], name: str = "fields") -> dict[str, Any]:
    """Keep the fields that were asked for; the id always comes."""
    wanted = call.words(name)
    if not wanted or "all" in wanted:
        return answer
    return {key: value for key, value in answer.items() if key == "id" or key in wanted}


# ---- the board


def check_board(call: Call, board: str) -> None:
    if board not in (call.seed.board.id, call.seed.board.short_link):
        if not _ID.fullmatch(board):
            raise call.refuse(400, "invalid id")
        raise call.refuse(404, "board not found")


@routes.on("GET", "/1/boards/<board>")
def get_board(call: Call, board: str) -> Response:
    check_board(call, board)
    shown = only_fields(call, board_json(call))
    if call.request.args.get("memberships") in ("me", "all"):
        kind = "observer" if call.rulebook.trello.read_only else "normal"
        member = {"id": call.seed.trello_member, "idMember": call.seed.trello_member, "memberType": kind}
        shown["memberships"] = [member | {"unconfirmed": False, "deactivated": False}]
    return json_answer(shown)


def board_json(call: Call) -> dict[str, Any]:
    where = f"{call.base}/b/{call.seed.board.short_link}"
    return {
        "id": call.seed.board.id,
        "name": call.seed.board.name,
        "desc": "",
        "closed": False,
        "pinned": False,
        "starred": False,
        "url": f"{where}/{quote(call.seed.board.name.lower().replace(' ', '-'))}",
        "shortUrl": where,
        "shortLink": call.seed.board.short_link,
    }


def lists_of(call: Call, *, closed: bool | None = False) -> list[Any]:
    rows = call.db.execute(select(tables.trello_list).order_by(tables.trello_list.c.position))
    return [row for row in rows if closed is None or row.closed is closed]


def list_json(call: Call, row: Any) -> dict[str, Any]:
    answer = {"id": row.id, "name": row.name, "closed": row.closed, "pos": row.position}
    return answer | {"idBoard": call.seed.board.id, "subscribed": False}


FILTERS: dict[str, bool | None] = {"all": None, "closed": True, "open": False, "": False, "visible": False}


def _filter(call: Call, name: str = "filter") -> bool | None:
    wanted = call.request.args.get(name, "")
    if wanted not in FILTERS:
        raise call.refuse(400, f"invalid value for {name}")
    return FILTERS[wanted]


@routes.on("GET", "/1/boards/<board>/lists")
def get_lists(call: Call, board: str) -> Response:
    check_board(call, board)
    if call.request.args.get("filter") == "none":
        return json_answer([])
    return json_answer([only_fields(call, list_json(call, row)) for row in lists_of(call, closed=_filter(call))])


def labels_of(call: Call) -> list[Any]:
    return list(call.db.execute(select(tables.trello_label).order_by(tables.trello_label.c.id)))


def label_json(call: Call, row: Any) -> dict[str, Any]:
    return {"id": row.id, "idBoard": call.seed.board.id, "name": row.name, "color": row.color}


@routes.on("GET", "/1/boards/<board>/labels")
def get_labels(call: Call, board: str) -> Response:
    check_board(call, board)
    size = call.number("limit", 50, high=1000)
    return json_answer([label_json(call, row) for row in labels_of(call)[:size]])


@routes.on("GET", "/1/boards/<board>/cards")
def get_board_cards(call: Call, board: str) -> Response:
    check_board(call, board)
    closed = _filter(call)
    return json_answer([only_fields(call, card_json(call, row)) for row in cards_of(call, closed=closed)])


@routes.on("GET", "/1/boards/<board>/cards/<wanted>")
def get_board_cards_filtered(call: Call, board: str, wanted: str) -> Response:
    check_board(call, board)
    if wanted not in FILTERS:
        raise call.refuse(400, "invalid value for filter")
    rows = cards_of(call, closed=FILTERS[wanted])
    return json_answer([only_fields(call, card_json(call, row)) for row in rows])


@routes.on("POST", "/1/lists")
def post_list(call: Call) -> Response:
    may_write(call)
    values = given_values(call)
    name = required_text(call, values, "name")
    check_board(call, str(values.get("idBoard", "")))
    positions = [row.position for row in lists_of(call, closed=None)]
    position = position_of(call, values, positions)
    number = new_id(call.db, call.now)
    call.db.execute(tables.trello_list.insert().values(id=number, name=name, closed=False, position=position))
    return json_answer(list_json(call, list_or_refuse(call, number)))


def position_of(call: Call, values: dict[str, Any], others: list[float], default: str = "top") -> float:
    wanted = str(values.get("pos") or default)
    match wanted:
        case "top":
            return min(others, default=2 * STEP) / 2
        case "bottom":
            return max(others, default=0.0) + STEP
    if not re.fullmatch(r"[0-9]{1,15}(?:\.[0-9]{1,9})?", wanted):
        raise call.refuse(400, "invalid value for pos")
    return float(wanted)


def list_or_refuse(call: Call, number: str | None) -> Any:
    if number is None or not _ID.fullmatch(number):
        raise call.refuse(400, "invalid value for idList")
    row = call.db.execute(select(tables.trello_list).where(tables.trello_list.c.id == number)).first()
    if row is None:
        raise call.refuse(404, "could not find the list")
    return row


@routes.on("PUT", "/1/lists/<number>")
def put_list(call: Call, number: str) -> Response:
    may_write(call)
    row = list_or_refuse(call, number)
    values = given_values(call)
    closed = flag_of(call, values, "closed")
    changes = {"name": text_of(call, values, "name") or row.name, "closed": row.closed if closed is None else closed}
    call.db.execute(tables.trello_list.update().where(tables.trello_list.c.id == row.id).values(**changes))
    return json_answer(list_json(call, list_or_refuse(call, number)))


@routes.on("GET", "/1/lists/<number>/cards")
def get_list_cards(call: Call, number: str) -> Response:
    row = list_or_refuse(call, number)
    return json_answer([only_fields(call, card_json(call, one)) for one in cards_of(call) if one.list == row.id])


# ---- cards


def cards_of(call: Call, *, closed: bool | None = False) -> list[Any]:
    rows = call.db.execute(select(tables.card).order_by(tables.card.c.position, tables.card.c.number))
    return [row for row in rows if closed is None or row.closed is closed]


def find_card(call: Call, wanted: str) -> Any | None:
    where = (tables.card.c.id == wanted) | (tables.card.c.short_link == wanted)
    return call.db.execute(select(tables.card).where(where)).first()


def card_or_refuse(call: Call, wanted: str) -> Any:
    row = find_card(call, wanted)
    if row is None:
        if not _ID.fullmatch(wanted) and not re.fullmatch("[A-Za-z0-9]{8}", wanted):
            raise call.refuse(400, "invalid id")
        raise call.refuse(404, "The requested resource was not found.")
    return row


def card_url(call: Call, row: Any) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", row.name.lower()).strip("-")[:60]
    return f"{call.base}/c/{row.short_link}/{row.number}-{slug}"


def card_json(call: Call, row: Any) -> dict[str, Any]:
    comments = len(comments_of(call, row.id))
    files = len(attachments_of(call, row.id))
    known = {one.id: one for one in labels_of(call)}
    cover = {"idAttachmentCover": row.cover} if row.cover else {}
    return cover | {
        "id": row.id,
        "idShort": row.number,
        "shortLink": row.short_link,
        "shortUrl": f"{call.base}/c/{row.short_link}",
        "url": card_url(call, row),
        "name": row.name,
        "desc": row.description,
        "closed": row.closed,
        "idBoard": call.seed.board.id,
        "idList": row.list,
        "idLabels": row.labels,
        "labels": [label_json(call, known[one]) for one in row.labels if one in known],
        "idMembers": row.members,
        "idMembersVoted": [],
        "idChecklists": [],
        "checkItemStates": [],
        "pos": row.position,
        "due": row.due,
        "dueComplete": row.due_complete,
        "dueReminder": None,
        "start": None,
        "dateLastActivity": iso_time(row.updated),
        "subscribed": False,
        "badges": {
            "attachments": files,
            "attachmentsByType": {"trello": {"board": 0, "card": 0}},
            "checkItems": 0,
            "checkItemsChecked": 0,
            "checkItemsEarliestDue": None,
            "comments": comments,
            "description": bool(row.description),
            "due": row.due,
            "dueComplete": row.due_complete,
            "fogbugz": "",
            "lastUpdatedByAi": False,
            "location": False,
            "start": None,
            "subscribed": False,
            "viewingMemberVoted": False,
            "votes": 0,
        },
    }


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
        "due": _due(call, values),
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
        _attach_link(call, card_or_refuse(call, str(card["id"])), address, address)
    return card_answer(call, str(card["id"]))


def known_labels(call: Call, ids: list[str]) -> list[str]:
    known = {row.id for row in labels_of(call)}
    if not set(ids) <= known:
        raise call.refuse(400, "invalid value for idLabels")
    return list(dict.fromkeys(ids))


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
        changes["due"] = _due(call, values)
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


def change_card(call: Call, row: Any, changes: dict[str, Any]) -> None:
    call.db.execute(tables.card.update().where(tables.card.c.id == row.id).values(**changes, updated=call.now))
    if changes.get("list", row.list) != row.list:
        ends = [list_or_refuse(call, one) for one in (row.list, changes["list"])]
        before, after = ({"id": one.id, "name": one.name} for one in ends)
        note_action(call, row.id, "updateCard", {"listBefore": before, "listAfter": after})
    if changes.get("closed", row.closed) != row.closed:
        note_action(call, row.id, "updateCard", {"closed": changes["closed"]})


@routes.on("DELETE", "/1/cards/<number>")
def delete_card(call: Call, number: str) -> Response:
    may_write(call)
    row = card_or_refuse(call, number)
    call.db.execute(tables.card.delete().where(tables.card.c.id == row.id))
    index_document(call.db, Service.TRELLO, row.id, call.now, None)
    return json_answer({"limits": {}})


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


# ---- what happened to a card


def note_action(call: Call, card: str, kind: str, data: dict[str, Any]) -> str:
    number = new_id(call.db, call.now)
    values = {"id": number, "card": card, "type": kind, "author": call.caller.account_id, "data": data, "at": call.now}
    call.db.execute(tables.card_action.insert().values(**values, edited=None))
    return number


def comments_of(call: Call, card: str) -> list[Any]:
    return actions_of(call, card, "commentCard")


def actions_of(call: Call, card: str, wanted: str) -> list[Any]:
    """Return a card's actions, the newest first; *wanted* names their types."""
    where = tables.card_action.c.card == card
    rows = call.db.execute(select(tables.card_action).where(where).order_by(tables.card_action.c.id.desc()))
    kinds = {one.strip() for one in wanted.split(",")}
    changed = {"listBefore": "idList", "closed": "closed"}
    return [
        row
        for row in rows
        if {"all", row.type, *(f"{row.type}:{changed[name]}" for name in row.data if name in changed)} & kinds
    ]


def action_json(call: Call, row: Any, card: Any) -> dict[str, Any]:
    bot = call.seed.bot
    data: dict[str, Any] = {
        "card": {"id": card.id, "name": card.name, "idShort": card.number, "shortLink": card.short_link}
    }
    data |= {"board": {"id": call.seed.board.id, "name": call.seed.board.name, "shortLink": call.seed.board.short_link}}
    data |= {name: row.data[name] for name in ("text", "listBefore", "listAfter") if name in row.data}
    member = call.seed.trello_member
    return {
        "id": row.id,
        "idMemberCreator": member,
        "type": row.type,
        "date": iso_time(row.at),
        "data": data,
        "memberCreator": {"id": member, "fullName": bot.display_name, "username": bot.name, "initials": "H"},
    }


@routes.on("GET", "/1/cards/<number>/actions")
def get_actions(call: Call, number: str) -> Response:
    card = card_or_refuse(call, number)
    rows = actions_of(call, card.id, call.request.args.get("filter") or "commentCard,updateCard:idList")
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


# ---- attachments


def attachment_id(row: Any) -> str:
    """Return an attachment's id in Trello's form, from which the row's can be read back."""
    return f"{int(row.created):08x}{row.id:016x}"


def attachment_url(call: Call, row: Any) -> str:
    if row.url:
        return str(row.url)
    return f"{call.base}/1/cards/{row.owner}/attachments/{attachment_id(row)}/download/{quote(row.filename)}"


def attachment_json(call: Call, row: Any) -> dict[str, Any]:
    return {
        "id": attachment_id(row),
        "bytes": row.size,
        "date": iso_time(row.created),
        "idMember": call.seed.trello_member,
        "isUpload": not row.url,
        "mimeType": "" if row.url else row.media_type,
        "name": row.filename,
        "previews": [],
        "url": attachment_url(call, row),
        "pos": STEP,
    }


@routes.on("GET", "/1/cards/<number>/attachments")
def get_attachments(call: Call, number: str) -> Response:
    card = card_or_refuse(call, number)
    return json_answer([only_fields(call, attachment_json(call, row)) for row in attachments_of(call, card.id)])


@routes.on("POST", "/1/cards/<number>/attachments")
def post_attachment(call: Call, number: str) -> Response:
    may_write(call)
    card = card_or_refuse(call, number)
    part = call.request.files.get("file")
    values = given_values(call)
    name = text_of(call, values, "name")
    if part is not None:
        upload = read_upload(part)
        row_number = store_upload(call, card.id, upload)
        if name:
            where = tables.attachment.c.id == row_number
            call.db.execute(tables.attachment.update().where(where).values(filename=name.replace("/", "_")))
    else:
        address = required_text(call, values, "url")
        row_number = _attach_link(call, card, address, name or address)
    row = next(one for one in attachments_of(call, card.id) if one.id == row_number)
    if flag_of(call, values, "setCover"):
        change_card(call, card, {"cover": attachment_id(row)})
    note_action(call, card.id, "addAttachmentToCard", {"name": row.filename})
    return json_answer(attachment_json(call, row))


@routes.on("DELETE", "/1/cards/<number>/attachments/<attachment>")
def delete_attachment(call: Call, number: str, attachment: str) -> Response:
    may_write(call)
    card = card_or_refuse(call, number)
    row = next((one for one in attachments_of(call, card.id) if attachment_id(one) == attachment), None)
    if row is None:
        raise call.refuse(404, "attachment not found")
    call.db.execute(tables.attachment.delete().where(tables.attachment.c.id == row.id))
    return json_answer({"limits": {}})


def _attach_link(call: Call, card: Any, address: str, name: str) -> int:
    if not is_web_address(address):
        raise call.refuse(400, "invalid value for url")
    number = next_number(call.db, "attachment", 10_200)
    values = {"id": number, "service": call.service, "owner": card.id, "filename": name, "media_type": "", "size": 0}
    values |= {"content": b"", "author": call.caller.account_id, "created": call.now, "url": address}
    call.db.execute(tables.attachment.insert().values(**values, version=1, comment=""))
    return number


@routes.on("GET", "/1/cards/<number>/attachments/<attachment>/download/<path:name>", is_open=True)
def download(call: Call, number: str, attachment: str, name: str) -> Response:  # noqa: ARG001 - the name only reads well
    row = find_upload(call, row_id(str(int(attachment[8:], 16))) if _ID.fullmatch(attachment) else None)
    if row is None or row.owner != number or row.url:
        raise call.refuse(404, "attachment not found")
    return send_file(row.media_type, row.filename, row.content)


# ---- search and people


def index_card(call: Call, row: Any) -> None:
    text = "\n".join((row.name, row.description, *(one.data["text"] for one in comments_of(call, row.id))))
    document = {"text": text, "closed": row.closed, "labels": row.labels}
    index_document(call.db, Service.TRELLO, row.id, call.now, document)


@routes.on("GET", "/1/search")
def search(call: Call) -> Response:
    query = call.request.args.get("query", "")
    if not 1 <= len(query) <= TEXT_LIMIT:
        raise call.refuse(400, "invalid value for query")
    boards = call.words("idBoards")
    size = call.number("cards_limit", 10, high=LARGEST_SEARCH)
    skipped = call.number("cards_page", 0, high=100) * size
    wants_here = not boards or boards == ("mine",) or call.seed.board.id in boards
    documents = visible_documents(call.db, Service.TRELLO, call.now - call.rulebook.trello.search_lag)
    found = [number for number, one in documents.items() if wants_here and _is_hit(call, one, query)]
    rows = [row for number in found[skipped : skipped + size] if (row := find_card(call, number)) is not None]
    kinds = call.words("modelTypes")
    shown = [only_fields(call, card_json(call, row), "card_fields") for row in rows]
    answer: dict[str, Any] = {"options": {"terms": [{"text": query}], "modelTypes": list(kinds) or ["cards"]}}
    return json_answer(answer | {"cards": shown if not kinds or {"cards", "all"} & set(kinds) else []})


def _is_hit(call: Call, document: dict[str, Any], query: str) -> bool:
    """Match all words (whole ones, unless `partial`), and the operators is: and label: ."""
    partial = call.flag("partial")
    words = set(re.findall(r"\w+", document["text"].casefold()))
    names = {row.id: row.name.casefold() for row in labels_of(call)}
    for term in re.findall(r'[a-z]+:"[^"]*"|"[^"]*"|\S+', query):
        operator, colon, value = term.partition(":")
        if colon and operator == "is" and value in ("open", "archived"):
            if document["closed"] is not (value == "archived"):
                return False
        elif colon and operator == "label":
            if value.strip('"').casefold() not in {names.get(one, "") for one in document["labels"]}:
                return False
        else:
            for word in re.findall(r"\w+", term.casefold()):
                if word not in words and not (partial and any(one.startswith(word) for one in words)):
                    return False
    return True


@routes.on("GET", "/1/members/<member>")
def get_member(call: Call, member: str) -> Response:
    bot = call.seed.bot
    if member not in ("me", call.seed.trello_member, bot.name):
        raise call.refuse(404, "The requested resource was not found.")
    answer = member_json(call)
    if member == "me":
        answer["email"] = bot.email  # of others nobody is told
    return json_answer(only_fields(call, answer))


def member_json(call: Call) -> dict[str, Any]:
    bot = call.seed.bot
    return {
        "id": call.seed.trello_member,
        "username": bot.name,
        "fullName": bot.display_name,
        "initials": "H",
        "avatarUrl": f"{call.base}/avatar/{bot.name}",
        "bio": "",
        "memberType": "normal",
        "confirmed": True,
        "status": "disconnected",
        "url": f"{call.base}/u/{bot.name}",
        "idBoards": [call.seed.board.id],
    }
