"""The board as rows: lists, labels, cards and what happened to them, and what search is told."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select

from bot.sandbox.rules import Service
from bot.sandbox.search.index import index_document
from bot.sandbox.trello import tables
from bot.sandbox.trello.arguments import ID, STEP
from bot.sandbox.web.database import next_number

if TYPE_CHECKING:
    from bot.sandbox.seed import SandboxSeed
    from bot.sandbox.web.call import Call


def make_board(db: Connection, seed: SandboxSeed, now: float) -> None:
    """Give the board its first lists and labels, once."""
    if db.execute(select(tables.board_list.c.id)).first() is not None:
        return
    for number, name in enumerate(seed.board.lists, 1):
        values = {"id": new_id(db, now), "name": name, "closed": False, "position": number * STEP}
        db.execute(tables.board_list.insert().values(**values))
    for name, colour in seed.board.labels:
        db.execute(tables.label.insert().values(id=new_id(db, now), name=name, color=colour))


def new_id(db: Connection, now: float) -> str:
    """Make an id as Trello's are: the time, then a number, 24 hexadecimal digits together."""
    return f"{int(now):08x}{next_number(db, 'trello', 0x1A2B3C0001):016x}"


def check_board(call: Call, board: str) -> None:
    if board not in (call.seed.board.id, call.seed.board.short_link):
        if not ID.fullmatch(board):
            raise call.refuse(400, "invalid id")
        raise call.refuse(404, "board not found")


def lists_of(call: Call, *, closed: bool | None = False) -> list[Any]:
    rows = call.db.execute(select(tables.board_list).order_by(tables.board_list.c.position))
    return [row for row in rows if closed is None or row.closed is closed]


def labels_of(call: Call) -> list[Any]:
    return list(call.db.execute(select(tables.label).order_by(tables.label.c.id)))


def list_or_refuse(call: Call, number: str | None) -> Any:
    if number is None or not ID.fullmatch(number):
        raise call.refuse(400, "invalid value for idList")
    row = call.db.execute(select(tables.board_list).where(tables.board_list.c.id == number)).first()
    if row is None:
        raise call.refuse(404, "could not find the list")
    return row


def cards_of(call: Call, *, closed: bool | None = False) -> list[Any]:
    rows = call.db.execute(select(tables.card).order_by(tables.card.c.position, tables.card.c.number))
    return [row for row in rows if closed is None or row.closed is closed]


def find_card(call: Call, wanted: str) -> Any | None:
    where = (tables.card.c.id == wanted) | (tables.card.c.short_link == wanted)
    return call.db.execute(select(tables.card).where(where)).first()


def card_or_refuse(call: Call, wanted: str) -> Any:
    row = find_card(call, wanted)
    if row is None:
        if not ID.fullmatch(wanted) and not re.fullmatch("[A-Za-z0-9]{8}", wanted):
            raise call.refuse(400, "invalid id")
        raise call.refuse(404, "The requested resource was not found.")
    return row


def known_labels(call: Call, ids: list[str]) -> list[str]:
    known = {row.id for row in labels_of(call)}
    if not set(ids) <= known:
        raise call.refuse(400, "invalid value for idLabels")
    return list(dict.fromkeys(ids))


def change_card(call: Call, row: Any, changes: dict[str, Any]) -> None:
    call.db.execute(tables.card.update().where(tables.card.c.id == row.id).values(**changes, updated=call.now))
    if changes.get("list", row.list) != row.list:
        ends = [list_or_refuse(call, one) for one in (row.list, changes["list"])]
        before, after = ({"id": one.id, "name": one.name} for one in ends)
        note_action(call, row.id, "updateCard", {"listBefore": before, "listAfter": after})
    for member in set(changes.get("members", row.members)) ^ set(row.members):
        kind = "removeMemberFromCard" if member in row.members else "addMemberToCard"
        note_action(call, row.id, kind, {"idMember": member})
    if changes.get("closed", row.closed) != row.closed:
        note_action(call, row.id, "updateCard", {"closed": changes["closed"]})


def note_action(call: Call, card: str, kind: str, data: dict[str, Any]) -> str:
    number = new_id(call.db, call.now)
    values = {"id": number, "card": card, "type": kind, "author": call.caller.account_id, "data": data, "at": call.now}
    call.db.execute(tables.card_action.insert().values(**values, edited=None))
    return number


def comments_of(call: Call, card: str) -> list[Any]:
    return actions_of(call, card, "commentCard")


def between(call: Call, rows: list[Any]) -> list[Any]:
    """Keep the actions made after `since` and before `before`, each a moment or the id of an action."""
    since, before = (call.request.args.get(name, "") for name in ("since", "before"))
    return [
        row
        for row in rows
        if (not since or _place(call, "since", since) < (row.at, row.id))
        and (not before or (row.at, row.id) < _place(call, "before", before))
    ]


def _place(call: Call, name: str, text: str) -> tuple[float, str]:
    """Read where in the order of actions a limit lies; an id begins with the second in which it was made."""
    if ID.fullmatch(text):
        where = tables.card_action.c.id == text
        at = call.db.execute(select(tables.card_action.c.at).where(where)).scalar_one_or_none()
        return (float(int(text[:8], 16)) if at is None else at, text)
    if text in ("null", "lastView"):
        return (0.0, "")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise call.refuse(400, f"invalid value for {name}") from None
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp(), "")


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


def index_card(call: Call, row: Any) -> None:
    text = "\n".join((row.name, row.description, *(one.data["text"] for one in comments_of(call, row.id))))
    document = {"text": text, "closed": row.closed, "labels": row.labels}
    index_document(call.db, Service.TRELLO, row.id, call.now, document)
