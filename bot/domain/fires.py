"""Fires: the due times of a pipeline, each recorded before its job starts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from bot.domain.recipes import AS_CONFIGURED, Recipe
from bot.domain.rerun_troubles import RerunTrouble

OF_CLOCKS = timedelta(seconds=5)  # by which the clocks of those who work together may differ


class FireState(StrEnum):
    DUE = "due"  # recorded; its job may or may not have started
    ENDED = "ended"
    FAILED = "failed"  # the job ended badly, or ran out of time
    LOST = "lost"  # neither its job nor its run can be found
    STOPPED = "stopped"  # its job was ended at a person's word

    @property
    def is_over(self) -> bool:
        return self is not FireState.DUE


class Standing(StrEnum):
    """How a job that was submitted to a cluster stands, as far as Herald knows."""

    QUEUED = "queued"  # it waits for room
    RUNNING = "running"
    AWAY = "away"  # the cluster cannot be asked


@dataclass(frozen=True, slots=True)
class JobStanding:
    standing: Standing
    since: datetime
    said: str = ""  # by the cluster, or why it cannot be asked


@dataclass(frozen=True, slots=True)
class JobPlace:
    """Where a job runs: in a jobs_folder, which other Heralds may not share, or on a cluster as config had it then."""

    place_id: str  # by a file in that folder; or what the cluster is called
    host: str  # for people, as the folder
    folder: str  # empty on a cluster
    until: datetime  # by the database's clock; nothing of the job lives any more then
    is_submitted: bool = False  # a cluster has, or had, the job


@dataclass(frozen=True, slots=True)
class Fire:
    fire_id: str
    pipeline: str
    due_at: datetime
    number: int  # of this pipeline, from 1: the seed of its job, and of those that try it again
    confirms: str | None = None  # the run that looked bad, of which this is a rerun
    state: FireState = FireState.DUE
    started_at: datetime | None = None
    ended_at: datetime | None = None
    run_id: str | None = None
    exit_code: int | None = None
    timed_out: bool = False
    by_hand: bool = False  # asked for by a person, not by the schedule
    attempt: int = 0  # of this due time; a fire that was lost is tried again
    recipe: Recipe = AS_CONFIGURED  # what its job is made by, where that is not what config has; reruns only
    measured: Mapping[str, float] = field(default_factory=dict)  # metrics of a rerun that is over
    trouble: RerunTrouble | None = None  # why a rerun that is over shows nothing
    executor: str = ""  # that its job was, or is about to be, submitted to
    standing: JobStanding | None = None  # as was last seen, of a job on a cluster, or elsewhere
    place: JobPlace | None = None  # of a job that was, or is about to be, started

    @property
    def is_rerun(self) -> bool:
        """Say whether it was recorded to ask about a run: such a run is no baseline, and opens no incident."""
        return self.confirms is not None

    @property
    def is_of_schedule(self) -> bool:
        """Say whether a due time of the schedule asked for it, the first time that it is tried."""
        return not self.by_hand and not self.is_rerun and not self.attempt

    def lies_ahead(self, now: datetime) -> bool:
        """Say whether it is not due yet: a clock was wrong when it was recorded."""
        return self.is_of_schedule and self.started_at is None and self.due_at > now + OF_CLOCKS

    @property
    def gives_way(self) -> bool:
        """Say whether all else goes first: a rerun of a diagnosis, as long as it has not started."""
        return self.recipe.is_of_diagnosis and self.started_at is None


def mint_fire_id(pipeline: str, due_at: datetime, confirms: str | None = None, attempt: int = 0) -> str:
    """Make the id of a fire: the same attempt at a due time of a pipeline has one fire, whoever records it."""
    again = (str(attempt),) if attempt else ()
    text = "\x1f".join((pipeline, due_at.astimezone(UTC).isoformat(), confirms or "", *again))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


_FIRST_INSTANCE = "herald"  # as config has it without a word


def name_on_cluster(fire_id: str, instance: str) -> str:
    """Name the job of a fire as clusters know it."""
    return fire_id if instance in {"", _FIRST_INSTANCE} else f"{fire_id}-{instance}"
