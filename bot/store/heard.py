"""Which answers were heard: each is a row before anything follows from it, so that it is acted on at most once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, select

from bot.domain.rules import SaidAt
from bot.store.batches import in_pieces
from bot.store.tables import heard
from bot.store.upsert import insert_unless_there


class Became(StrEnum):
    """What became of something that was said."""

    ANSWERED = "answered"  # it said something to Herald, which was done or refused
    REFUSED = "refused"  # by somebody who may not
    SPOKEN = "spoken"  # by a person, who asked nothing of Herald
    NOTHING = "nothing"  # it was Herald's own, a program's, or changed since


def hear(tx: Connection, said: SaidAt, became: Became, now: datetime) -> bool:
    """Note that something was heard; False where it was heard before, even if a moment ago by another Herald.

    What follows from it belongs into the same transaction.
    """
    return insert_unless_there(
        tx, heard, service=said.service, place=said.place, said_id=said.said_id, at=now, became=became
    )


def which(tx: Connection, service: str, place: str, said_ids: Iterable[str]) -> frozenset[str]:
    """Return those of the ids that were heard there."""
    found: set[str] = set()
    there = heard.c.service == service, heard.c.place == place
    for some in in_pieces(said_ids):
        found.update(tx.scalars(select(heard.c.said_id).where(*there, heard.c.said_id.in_(some))))
    return frozenset(found)


def was_refused(tx: Connection, service: str, place: str) -> bool:
    """Say whether somebody who may not was told so there before: that is said once a place."""
    there = heard.c.service == service, heard.c.place == place, heard.c.became == Became.REFUSED
    return tx.scalar(select(heard.c.said_id).where(*there).limit(1)) is not None


def somebody_spoke(tx: Connection, service: str, place: str, since: datetime) -> bool:
    """Say whether a person has said anything there since a moment, to Herald or not."""
    by_people = heard.c.became != Became.NOTHING, heard.c.at >= since
    there = heard.c.service == service, heard.c.place == place
    return tx.scalar(select(heard.c.said_id).where(*there, *by_people).limit(1)) is not None
