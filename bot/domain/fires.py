"""Fires: the due times of a pipeline, each recorded before its job starts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class FireState(StrEnum):
    DUE = "due"  # recorded; its job may or may not have started
    ENDED = "ended"
    FAILED = "failed"  # the job ended badly, or ran out of time
    LOST = "lost"  # neither its job nor its run can be found

    @property
    def is_over(self) -> bool:
        return self is not FireState.DUE


@dataclass(frozen=True, slots=True)
class Fire:
    fire_id: str
    pipeline: str
    due_at: datetime
    number: int  # of this pipeline, from 1: the seed of its job
    confirms: str | None = None  # the suspicious run that this one repeats
    state: FireState = FireState.DUE
    started_at: datetime | None = None
    ended_at: datetime | None = None
    run_id: str | None = None
    exit_code: int | None = None
    timed_out: bool = False


def mint_fire_id(pipeline: str, due_at: datetime, confirms: str | None = None) -> str:
    """Make the id of a fire: the same due time of a pipeline has one fire, whoever records it."""
    text = "\x1f".join((pipeline, due_at.isoformat(), confirms or ""))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
