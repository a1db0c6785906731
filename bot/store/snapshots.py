"""What was decided, as it was told: written once with the effects that tell it, and never changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, or_, select

from bot.domain.snapshots import DigestBody, IncidentBody, Snapshot, SnapshotBody, SnapshotKind
from bot.errors import in_short
from bot.runtime.log import get_logger
from bot.store.codec import dump, load
from bot.store.tables import incidents, snapshots
from bot.store.upsert import insert_unless_there

log = get_logger(__name__)


def keep(tx: Connection, snapshot: Snapshot) -> None:
    """Store a record, with the hash of what is in it; one that is there is left as it is."""
    body = dump(snapshot.body)
    insert_unless_there(
        tx,
        snapshots,
        snapshot_id=snapshot.snapshot_id,
        kind=snapshot.kind,
        pipeline=snapshot.pipeline,
        incident_id=snapshot.incident_id,
        run_id=snapshot.run_id,
        as_of=snapshot.as_of,
        hash=_hash(body),
        body=body,
    )


def find(tx: Connection, snapshot_id: str) -> Snapshot | None:
    return next(iter(_readable(tx.execute(select(snapshots).where(snapshots.c.snapshot_id == snapshot_id)))), None)


def of_incident(tx: Connection, incident_id: str, limit: int = 200) -> Sequence[Snapshot]:
    """Return what was told of an incident, oldest first; of very much the newest."""
    mine = select(snapshots).where(snapshots.c.incident_id == incident_id)
    rows = tx.execute(mine.order_by(snapshots.c.as_of.desc(), snapshots.c.snapshot_id).limit(limit)).all()
    return _readable(reversed(rows))


def newest_told(tx: Connection, pipeline: str) -> Snapshot | None:
    """Return the newest record of what was told of an incident of a pipeline."""
    mine = snapshots.c.pipeline == pipeline, snapshots.c.incident_id.is_not(None)
    query = select(snapshots).where(*mine).order_by(snapshots.c.as_of.desc()).limit(1)
    return next(iter(_readable(tx.execute(query))), None)


def digests(tx: Connection, limit: int) -> Sequence[Snapshot]:
    """Return the latest digests, the newest first."""
    mine = select(snapshots).where(snapshots.c.kind == SnapshotKind.DIGEST)
    return _readable(tx.execute(mine.order_by(snapshots.c.as_of.desc(), snapshots.c.snapshot_id).limit(limit)))


def forget(tx: Connection, before: datetime) -> int:
    """Delete old digests, and what was told long ago of incidents that are forgotten."""
    of_none = snapshots.c.incident_id.not_in(select(incidents.c.incident_id))
    unneeded = or_(snapshots.c.incident_id.is_(None), of_none)
    return tx.execute(delete(snapshots).where(and_(snapshots.c.as_of < before, unneeded))).rowcount


def _readable(rows: Iterable[Row[Any]]) -> list[Snapshot]:
    """Return the records that can be read; one that another version wrote hides no other."""
    found = []
    for row in rows:
        try:
            found.append(_read(row))
        except ValueError as error:
            log.warning("left out, for it cannot be read", snapshot=row.snapshot_id, error=in_short(error))
    return found


def _read(row: Row[Any]) -> Snapshot:
    is_incident = row.kind == SnapshotKind.INCIDENT
    body: SnapshotBody = load(IncidentBody, row.body) if is_incident else load(DigestBody, row.body)
    is_whole = _hash(row.body) == row.hash
    return Snapshot(row.snapshot_id, row.as_of, row.pipeline, body, row.incident_id, row.run_id, is_whole)


def _hash(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()
