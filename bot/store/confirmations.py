"""What the reruns of runs came to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import Connection, select

from bot.domain.rerun_answers import Confirmation
from bot.store.batches import in_pieces
from bot.store.codec import dump, load
from bot.store.tables import confirmations
from bot.store.upsert import insert_unless_there


def keep(tx: Connection, pipeline: str, confirmation: Confirmation, now: datetime) -> None:
    """Store what the reruns of a run came to, once."""
    row = {"pipeline": pipeline, "run_id": confirmation.run_id, "settled_at": now, "confirmation": dump(confirmation)}
    insert_unless_there(tx, confirmations, **row)


def of_runs(tx: Connection, pipeline: str, run_ids: Iterable[str]) -> Mapping[str, Confirmation]:
    """Return what the reruns of these runs came to, by run; most have had none."""
    found: dict[str, Confirmation] = {}
    for some in in_pieces(run_ids):
        mine = confirmations.c.pipeline == pipeline, confirmations.c.run_id.in_(some)
        for row in tx.execute(select(confirmations).where(*mine)):
            found[row.run_id] = load(Confirmation, row.confirmation)
    return found
