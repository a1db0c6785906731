"""Contacts: since when a pipeline knows an experiment, and how far it has read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from bot.store.tables import contacts


@dataclass(frozen=True, slots=True)
class Contact:
    pipeline: str
    experiment_id: str  # empty: the pipeline looked, and no experiment was there yet
    since: datetime  # runs that ended before are the past
    looked_at: datetime
    watermark: datetime | None = None  # when a look far back had begun: what was there then was seen to
    past_read: bool = False  # until then the watermark is the start of the run that the past is read from

    @property
    def seen_to(self) -> datetime:
        """The moment up to which what there was is known to the pipeline."""
        return self.watermark if self.past_read and self.watermark is not None else self.since


def of_pipeline(tx: Connection, pipeline: str) -> Sequence[Contact]:
    rows = tx.execute(select(contacts).where(contacts.c.pipeline == pipeline).order_by(contacts.c.experiment_id))
    return [_read(row) for row in rows]


def of_pipelines(tx: Connection) -> Sequence[Contact]:
    """Return the contacts of all pipelines with experiments that were there."""
    return [_read(row) for row in tx.execute(select(contacts).where(contacts.c.experiment_id != ""))]


def save(tx: Connection, contact: Contact) -> None:
    """Store a contact, new or changed."""
    tx.execute(
        delete(contacts).where(
            contacts.c.pipeline == contact.pipeline, contacts.c.experiment_id == contact.experiment_id
        )
    )
    tx.execute(
        insert(contacts).values(
            pipeline=contact.pipeline,
            experiment_id=contact.experiment_id,
            since=contact.since,
            looked_at=contact.looked_at,
            watermark=contact.watermark,
            past_read=contact.past_read,
        )
    )


def _read(row: Row[Any]) -> Contact:
    return Contact(row.pipeline, row.experiment_id, row.since, row.looked_at, row.watermark, row.past_read)
