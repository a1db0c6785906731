"""One job from its submission to its end: submitted once, looked at with patience, its log fetched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.config.executors import ExecutorSection
from bot.domain.fires import Fire, JobStanding, Standing
from bot.errors import ExecutorAwayError, in_short
from bot.executors.fetched_logs import FetchedLog
from bot.judging.cluster_watch import ClusterWatch
from bot.judging.context import JudgingContext
from bot.pipeline.lease import LEASE, PipelineLease
from bot.ports import Executor, Job, JobState, JobStatus, Submission
from bot.runtime.log import get_logger, journal
from bot.store import fires

_POLL_SECONDS = 0.2
_BETWEEN_ASKS = timedelta(seconds=1)  # whether a person has stopped what a rerun is made for
_LONGEST_PAUSE = timedelta(minutes=1)  # between two tries to ask a cluster that is away
_LONGEST_WAIT = timedelta(minutes=10)  # that one is left alone for at its own word
_BETWEEN_FETCHES = timedelta(seconds=30)  # of a log: some clusters hand out all of it to tell what is new
_LAST_PARTS = 200  # of a log, fetched once its job is over: a megabyte each
_LAST_TRIES = 5

log = get_logger(__name__)


@dataclass(slots=True)
class JobWatch:
    """Sees one job of a fire through.

    While its cluster is away nothing is known of the job: the fire stays as it is, and it is asked again.
    """

    context: JudgingContext
    executor: Executor
    section: ExecutorSection
    lease: PipelineLease
    pause: Callable[[float], None]
    stopping: Callable[[], bool]
    is_called_off: Callable[[Fire], bool]
    is_submitted: bool = False
    away_for: int = 0  # tries in a row
    asked_to_wait: timedelta = timedelta(0)  # by the cluster, when it was asked last
    standing: JobStanding | None = None
    fetched: datetime | None = None  # when the log was last

    def see_through(self, job: Job, fire: Fire) -> JobStatus | None:
        """Submit the job, and wait for its end; None where it is for another Herald, now or later, to go on.

        None too where a person has stopped what it was made for: then it is ended.

        Raises:
            JobError: where it is refused.
        """
        self.standing = fire.standing
        self.is_submitted = fire.place is not None and fire.place.is_submitted
        renewed = asked = self.context.clock()
        looked: datetime | None = None
        while True:
            if looked is None or abs(self.context.clock() - looked) >= self._between_looks:
                status = self._look(job, fire)
                if status is not None and status.state.is_over:
                    return status
                looked = self.context.clock()
            if self.stopping():
                return None
            if abs(self.context.clock() - asked) > _BETWEEN_ASKS:
                if self.is_called_off(fire) and self._is_stopped(job, fire):
                    return None
                asked = self.context.clock()
            if abs(self.context.clock() - renewed) > LEASE / 4:
                if not self.lease.renew():
                    return None  # it was out of reach for so long that another Herald went on with it
                renewed = self.context.clock()
            self.pause(_POLL_SECONDS)

    @property
    def _between_looks(self) -> timedelta:
        """Return how long to leave the cluster alone: ever longer while it is away, and as long as it asks."""
        every = self.section.look_every
        own = min(every * (1 << min(self.away_for, 6)), max(every, _LONGEST_PAUSE))
        return max(own, min(self.asked_to_wait, _LONGEST_WAIT))

    def _look(self, job: Job, fire: Fire) -> JobStatus | None:
        """Ask how the job stands, after it was submitted; None where that cannot be asked."""
        self.asked_to_wait = timedelta(0)
        try:
            if not self.is_submitted:
                how = self.executor.submit(job)
                self.is_submitted = True
                self._note_submitted(fire)
                event = "job started" if how is Submission.STARTED else "job adopted"
                log.info(event, pipeline=self.context.name, fire=fire.fire_id, executor=fire.executor)
                self.context.on_step("job.started")
            status = self.executor.look(job)
        except ExecutorAwayError as error:
            self.asked_to_wait = timedelta(seconds=min(error.retry_after or 0.0, _LONGEST_WAIT.total_seconds()))
            self._note_away(fire, in_short(error))
            return None
        if self.away_for:
            log.info("can ask again", executor=fire.executor, fire=fire.fire_id)
        self.away_for = 0
        if not self.section.is_local:
            was_away = self.standing is not None and self.standing.standing is Standing.AWAY
            self._note(fire, status)
            if was_away:
                ClusterWatch(self.context).look()
            self._fetch_when_due(job, is_over=status.state.is_over)
        return status

    def _note_submitted(self, fire: Fire) -> None:
        """Store that a cluster has the job: from now on it is only looked at, by whichever Herald."""
        if fire.place is not None and not self.section.is_local:
            with self.context.database.begin() as tx:
                fires.note_place(tx, fire.fire_id, replace(fire.place, is_submitted=True))

    def _is_stopped(self, job: Job, fire: Fire) -> bool:
        """Stop the job that nobody wants any more; say whether that could be asked for."""
        try:
            self.executor.stop(job)
        except ExecutorAwayError as error:
            self._note_away(fire, in_short(error))
            return False
        return True

    def _note_away(self, fire: Fire, said: str) -> None:
        if not self.away_for:
            log.warning(
                "cannot be asked, tried again", executor=fire.executor, fire=fire.fire_id, why=said, always=True
            )
        self.away_for += 1
        self._stand(fire, Standing.AWAY, said)
        ClusterWatch(self.context).look()

    def _note(self, fire: Fire, status: JobStatus) -> None:
        if not status.state.is_over:
            standing = Standing.QUEUED if status.state is JobState.QUEUED else Standing.RUNNING
            self._stand(fire, standing, status.said)

    def _stand(self, fire: Fire, standing: Standing, said: str) -> None:
        """Store how the job stands where that has changed, so that readers can tell."""
        before, said = self.standing, journal.mask(said)
        if before is not None and (before.standing, before.said) == (standing, said):
            return
        since = before.since if before is not None and before.standing is standing else self.context.clock()
        self.standing = JobStanding(standing, since, said)
        with self.context.database.begin() as tx:
            fires.note_standing(tx, fire.fire_id, self.standing)

    def _fetch_when_due(self, job: Job, *, is_over: bool) -> None:
        now = self.context.clock()
        if is_over or self.fetched is None or abs(now - self.fetched) >= _BETWEEN_FETCHES:
            self.fetched = now
            self._fetch(job, is_over=is_over)

    def _fetch(self, job: Job, *, is_over: bool) -> None:
        """Fetch what the job has written since: a part while it runs, all there is once it is over."""
        fetched, tries = FetchedLog(self.executor, job), 0
        for _ in range(_LAST_PARTS if is_over else 1):
            try:
                if not fetched.fetch_part():
                    return
            except ExecutorAwayError as error:
                tries += 1
                if not is_over or tries == _LAST_TRIES or self.stopping():
                    log.info("log not fetched", fire=job.fire_id, why=in_short(error))
                    return
                self.pause(_POLL_SECONDS * 2**tries)
            except OSError as error:
                log.warning("log not kept", fire=job.fire_id, why=str(error))
                return
