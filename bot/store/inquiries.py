"""Inquiries: what is asked about incidents, how far each has come, and what it ended with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, or_, select, update

from bot.domain.diagnosis.answer import Diagnosis
from bot.domain.diagnosis.inquiry import Inquiry, InquiryState
from bot.store.codec import dump, load
from bot.store.tables import inquiries
from bot.store.upsert import insert_unless_there


@dataclass(frozen=True, slots=True)
class InquiryRecord:
    """An inquiry as it stands."""

    inquiry: Inquiry
    state: InquiryState
    asked_at: datetime
    ended_at: datetime | None = None
    diagnosis: Diagnosis | None = None


def begin(tx: Connection, inquiry: Inquiry, now: datetime) -> None:
    """Store that an inquiry runs; one that is there is left as it is."""
    insert_unless_there(
        tx,
        inquiries,
        inquiry_id=inquiry.inquiry_id,
        pipeline=inquiry.pipeline,
        incident_id=inquiry.incident_id,
        state=InquiryState.RUNNING,
        asked_at=now,
        inquiry=dump(inquiry),
    )


def note(tx: Connection, inquiry: Inquiry) -> None:
    """Store what has come to be known of an inquiry: the pieces of what did it."""
    tx.execute(update(inquiries).where(inquiries.c.inquiry_id == inquiry.inquiry_id).values(inquiry=dump(inquiry)))


def end(
    tx: Connection, inquiry: Inquiry, state: InquiryState, now: datetime, diagnosis: Diagnosis | None = None
) -> None:
    """Store that an inquiry is over; one that was over before stays as it ended."""
    mine = inquiries.c.inquiry_id == inquiry.inquiry_id, inquiries.c.state == InquiryState.RUNNING
    answer = None if diagnosis is None else dump(diagnosis)
    tx.execute(update(inquiries).where(*mine).values(state=state, ended_at=now, answer=answer))


def find(tx: Connection, inquiry_id: str) -> InquiryRecord | None:
    row = tx.execute(select(inquiries).where(inquiries.c.inquiry_id == inquiry_id)).first()
    return None if row is None else _record(row)


def running(tx: Connection, pipeline: str) -> Sequence[InquiryRecord]:
    """Return the pipeline's inquiries that are not over, oldest first."""
    mine = inquiries.c.pipeline == pipeline, inquiries.c.state == InquiryState.RUNNING
    return [_record(row) for row in tx.execute(select(inquiries).where(*mine).order_by(inquiries.c.asked_at))]


def of_late(tx: Connection, since: datetime) -> Sequence[InquiryRecord]:
    """Return the inquiries that are not over, or ended after *since*, oldest first."""
    wanted = or_(inquiries.c.state == InquiryState.RUNNING, inquiries.c.ended_at > since)
    return [_record(row) for row in tx.execute(select(inquiries).where(wanted).order_by(inquiries.c.asked_at))]


def pipelines_of_running(tx: Connection) -> Sequence[str]:
    """Return the pipelines with inquiries that are not over."""
    query = select(inquiries.c.pipeline).distinct().where(inquiries.c.state == InquiryState.RUNNING)
    return list(tx.scalars(query.order_by(inquiries.c.pipeline)))


def of_incident(tx: Connection, incident_id: str) -> Sequence[InquiryRecord]:
    """Return the inquiries into an incident, oldest first."""
    query = select(inquiries).where(inquiries.c.incident_id == incident_id).order_by(inquiries.c.asked_at)
    return [_record(row) for row in tx.execute(query)]


def looked_into(tx: Connection) -> frozenset[str]:
    """Return the ids of the incidents that there are inquiries into."""
    return frozenset(tx.scalars(select(inquiries.c.incident_id).distinct()))


def _record(row: Row[Any]) -> InquiryRecord:
    diagnosis = None if row.answer is None else load(Diagnosis, row.answer)
    return InquiryRecord(load(Inquiry, row.inquiry), InquiryState(row.state), row.asked_at, row.ended_at, diagnosis)
