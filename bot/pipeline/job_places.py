"""Where jobs live: each belongs to the jobs_folder, or the cluster, that it was started in."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from pathlib import Path
from uuid import uuid4

from bot.config.executors import LOCAL
from bot.config.pipeline import JobSection
from bot.domain.fires import Fire, JobPlace, JobStanding, Standing
from bot.domain.runs import Run, RunStatus
from bot.errors import ExecutorAwayError, JobError
from bot.judging.context import JudgingContext
from bot.ports import Executor, Job, JobState
from bot.runtime.private_files import create_file, make_folder
from bot.store import fires
from bot.store.owners import Owner

_MARGIN = timedelta(minutes=5)  # for a start that is slow, and an end that is
_ON_A_CLUSTER = timedelta(days=1)  # for which a job may have waited there for its turn
_LONGEST_HOST = 64
_UNKNOWN = "another machine"


@dataclass(frozen=True, slots=True)
class JobPlaces:
    """Tells jobs that were started here, or on a cluster of config, from those elsewhere, which nobody here can see."""

    context: JudgingContext
    owner: Owner
    folder: Path  # of the jobs of all pipelines

    def elsewhere(self, fire: Fire, config: JobSection) -> JobPlace | None:
        """Return the place of a fire's job if it is another than this one."""
        if fire.started_at is None:
            return None
        if fire.place is not None:
            return fire.place if self._is_elsewhere(fire, fire.place) else None
        return self._of_before(fire, config) if self._runs_here(fire.executor or config.executor) else None

    def _runs_here(self, executor: str) -> bool:
        return self.context.config.runs_here(executor)

    def _is_elsewhere(self, fire: Fire, place: JobPlace) -> bool:
        """Say so of a job that has a place; one whose executor config has lost is waited for otherwise."""
        section = self.context.config.executor_section(fire.executor)
        return section is not None and place.place_id != (section.place or self._id())

    def _of_before(self, fire: Fire, config: JobSection) -> JobPlace | None:
        """Do so for a fire that a Herald started which noted no places yet: its run shows that its job lives."""
        if (self.folder / self.context.name / fire.fire_id / "claimed").exists():
            return None
        run = self.run_of(fire)
        if run is None or run.status is not RunStatus.RUNNING:
            return None
        return JobPlace("", _UNKNOWN, "", (fire.started_at or fire.due_at) + config.timeout + _MARGIN)

    def take(self, fire: Fire, jobs: Iterable[Job]) -> Fire:
        """Record that only a Herald with this jobs_folder, or this cluster, may start the jobs of a fire.

        Raises:
            JobError: where the folder cannot be used.
        """
        section = self.context.config.executor_section(fire.executor)
        if section is None:
            return fire
        if section.place:
            return self._take_on_cluster(fire, section.place, jobs)
        place_id = self._id()
        if not place_id:
            raise JobError(f"job {fire.fire_id}: {self.folder} cannot be used: see who may write there")
        most = sum((job.timeout for job in jobs), _MARGIN)
        with self.context.database.begin() as tx:
            host, until = socket.gethostname()[:_LONGEST_HOST], self.owner.clock(tx) + most
            taken = replace(fire, place=JobPlace(place_id, host, str(self.folder), until), standing=None)
            fires.save(tx, taken)
            if fire.standing is not None:
                fires.note_standing(tx, fire.fire_id, None)
        return taken

    def _take_on_cluster(self, fire: Fire, name: str, jobs: Iterable[Job]) -> Fire:
        if fire.place is not None:
            return fire
        most = sum((job.timeout for job in jobs), _ON_A_CLUSTER)
        with self.context.database.begin() as tx:
            taken = replace(fire, place=JobPlace(name, name, "", self.owner.clock(tx) + most))
            fires.save(tx, taken)
        return taken

    def is_gone(self, executor_of: Callable[[str], Executor], job: Job, fire: Fire) -> bool:
        """Say whether nobody knows a job any more that has left a run: it is not started again."""
        try:
            is_lost = executor_of(fire.executor).look(job).state is JobState.LOST
        except (JobError, ExecutorAwayError):  # which is met again, and told, by who sees it through
            return False
        return is_lost and self.run_of(fire) is not None

    def run_of(self, fire: Fire) -> Run | None:
        """Return the run that carries the fire's id; no guess."""
        return self.context.run_store.run_of_fire(self.context.section.experiment, fire.fire_id, None)

    def is_over(self, place: JobPlace) -> bool:
        """Say whether nothing lives any more of a job that was started there."""
        with self.context.database.begin() as tx:
            return self.owner.clock(tx) >= place.until

    def wait(self, fire: Fire, place: JobPlace) -> str:
        """Note that the job is left to who has its place; say so."""
        said = left_to(place)
        known = fire.standing
        if known is None or known.said != said:
            with self.context.database.begin() as tx:
                fires.note_standing(tx, fire.fire_id, JobStanding(Standing.AWAY, self.context.clock(), said))
        return said

    def is_any_elsewhere(self) -> bool:
        """Say whether a job of the pipeline lives, or may live, elsewhere."""
        with self.context.database.begin() as tx:
            found = [*fires.unfinished(tx, self.context.name)]
        return any(
            (fire.place is not None and self._is_elsewhere(fire, fire.place)) or self._is_unknown(fire)
            for fire in found
        )

    def _is_unknown(self, fire: Fire) -> bool:
        """Say whether config has lost the executor of a job that was started: nobody here can see it."""
        return fire.started_at is not None and self.context.config.executor_section(fire.executor or LOCAL) is None

    def _id(self) -> str:
        """Return what this folder is known by, minted where it has no name yet; empty where it cannot be used."""
        path = self.folder / ".place"
        try:
            make_folder(self.folder)
            create_file(path)
            with path.open("r+", encoding="ascii", errors="replace") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                found = file.read().strip()
                if not found:
                    found = uuid4().hex
                    file.write(f"{found}\n")
                    file.flush()
                    os.fsync(file.fileno())
        except OSError:
            return ""
        return found


def left_to(place: JobPlace) -> str:
    """Say who can see a job that was started elsewhere, and until when that is waited for."""
    if place.place_id == place.host:
        return (
            f"it was submitted to {place.host}, which config does not name any more for its executor: put that back; "
            f"it counts as lost at {place.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC if no finished run of it is found"
        )
    where = f"{place.host}, in {place.folder}" if place.folder else place.host
    return (
        f"it was started on {where}, and only a Herald with that jobs_folder can see it; it is left to that one, and "
        f"counts as lost at {place.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC if no finished run of it is found"
    )
