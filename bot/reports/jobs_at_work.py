"""Jobs that wait or run, wherever that is: what status and pages show of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection

from bot.config.models import Config
from bot.domain.fires import Fire, Standing, name_on_cluster
from bot.store import fires


class JobStage(StrEnum):
    """How far a job has come, as far as Herald knows."""

    AHEAD = "ahead"  # recorded by a clock that was ahead: it starts at its time
    DUE = "due"  # Herald has yet to start it
    QUEUED = "queued"  # its cluster has, and lets it wait
    RUNNING = "running"
    AWAY = "away"  # nobody who can be asked knows


@dataclass(frozen=True, slots=True)
class JobAtWork:
    fire: Fire
    executor: str  # as config calls it
    stage: JobStage
    since: datetime
    said: str = ""  # by the cluster, or why it cannot be asked
    place: str = ""  # which cluster, or which machine; empty where Herald has yet to start it
    name: str = ""  # of the job at a cluster
    url: str = ""  # of its page there; empty where it has none


def jobs_at_work(tx: Connection, config: Config, now: datetime, pipeline: str | None = None) -> tuple[JobAtWork, ...]:
    """Return the jobs of all pipelines of *config*, or of one, that are not over: those that were started first."""
    found = (fire for fire in fires.waiting(tx) if fire.pipeline in config.pipeline)
    mine = (fire for fire in found if pipeline is None or fire.pipeline == pipeline)
    return tuple(job for fire in mine if (job := _at_work(fire, config, now)) is not None)


def _at_work(fire: Fire, config: Config, now: datetime) -> JobAtWork | None:
    job = config.pipeline[fire.pipeline].job
    if job is None and fire.started_at is None:  # it only looks
        return None
    executor = fire.executor or (job.executor if job is not None else "")
    if fire.started_at is None:
        stage = JobStage.AHEAD if fire.lies_ahead(now) else JobStage.DUE
        return JobAtWork(fire, executor, stage, fire.due_at)
    section = config.executor_section(executor)
    is_here = section is not None and section.is_local
    name = "" if is_here else name_on_cluster(fire.fire_id, config.instance)
    place = "" if fire.place is None else fire.place.host
    url = section.page_of(name) if section is not None and not is_here and section.place == place else ""
    if fire.standing is None:
        stage = JobStage.RUNNING if is_here else JobStage.QUEUED
        return JobAtWork(fire, executor, stage, fire.started_at, place=place, name=name, url=url)
    how = _STAGES[fire.standing.standing]
    return JobAtWork(fire, executor, how, fire.standing.since, fire.standing.said, place, name, url)


_STAGES = {
    Standing.QUEUED: JobStage.QUEUED,
    Standing.RUNNING: JobStage.RUNNING,
    Standing.AWAY: JobStage.AWAY,
}
