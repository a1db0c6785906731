"""How many reruns of a diagnosis run at the same time: as config says, and as `jobs_at_once` leaves room."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from bot.config.models import Config
from bot.domain.fires import Fire
from bot.domain.judged_run import JudgedRun
from bot.judging.context import JudgingContext
from bot.pipeline.jobs import JobRunner
from bot.pipeline.lease import LEASE_OF
from bot.store import fires, leases
from bot.store.owners import Owner


def jobs_of_each(waiting: Iterable[Fire]) -> Mapping[str, int]:
    """Count by pipeline the jobs that may run, of fires that are not over."""
    return Counter(fire.pipeline for fire in waiting if fire.started_at is not None)


def places_taken(config: Config, at_work: Collection[str], running: Mapping[str, int]) -> int:
    """Count what pipelines at which somebody is at work take of `jobs_at_once`: one each, and one more a job beyond."""
    with_jobs = [name for name in at_work if name not in config.pipeline or config.pipeline[name].job is not None]
    return sum(max(running.get(name, 0), 1) for name in with_jobs)


@dataclass(frozen=True, slots=True)
class RerunPlaces:
    """The reruns of one pipeline's diagnoses that may run now."""

    context: JudgingContext
    owner: Owner

    def begin(self) -> Sequence[Fire]:
        """Return the reruns to see through now, those first that run already; they are recorded as started.

        So others that look for room count them.
        """
        section = self.context.section.diagnose
        with self.context.database.begin() as tx:
            found = [fire for fire in fires.unfinished(tx, self.context.name) if fire.recipe.is_of_diagnosis]
            found.sort(key=lambda fire: fire.started_at is None)
            running = sum(fire.started_at is not None for fire in found)
            most = 1 if section is None else section.concurrency
            chosen = found[: max(running, min(most, self._room(tx)), 1)]
            begun = [replace(fire, started_at=fire.started_at or self.context.clock()) for fire in chosen]
            if self.context.section.job is not None and len(begun) > 1:
                for fire in begun:
                    fires.save(tx, fire)
        return begun if len(begun) > 1 else chosen

    def _room(self, tx: Connection) -> int:
        """Return how many jobs of this pipeline `jobs_at_once` has room for, beside what others are at work on."""
        config, now = self.context.config, self.owner.clock(tx)
        held = leases.held_by_others(tx, LEASE_OF, "", now, self.owner.may_take_over) - {self.context.name}
        return config.jobs_at_once - places_taken(config, held, jobs_of_each(fires.waiting(tx)))


def finish_together(runner: JobRunner, wanted: Sequence[Fire]) -> list[Sequence[JudgedRun]]:
    """See several fires through at the same time; where one breaks, no more is waited for the others, which live on."""
    is_left = threading.Event()
    patient = replace(runner, stopping=lambda: is_left.is_set() or runner.stopping())
    with ThreadPoolExecutor(len(wanted), thread_name_prefix="rerun") as pool:
        begun = [pool.submit(copy_context().run, patient.finish, fire) for fire in wanted]  # behind the same fence
        try:
            return [each.result() for each in begun]
        except BaseException:
            is_left.set()
            raise
