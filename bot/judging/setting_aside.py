"""A wall around each run: what breaks in judging one sets that run aside, with why, and the others are judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from bot import __version__
from bot.domain.fires import Fire, FireState
from bot.domain.judged_run import JudgedRun
from bot.domain.runs import Release, Run, RunStatus
from bot.errors import RowRefusedError, RunStoreError, StateError, in_short
from bot.judging.context import JudgingContext
from bot.judging.run_judge import RunJudge, stand_in
from bot.judging.run_recording import Age
from bot.runtime.log import get_logger
from bot.store import fires, quarantine, runs
from bot.store.quarantine import SetAside

# Until the next try; after the last of them only another version of Herald tries again.
_PAUSES = (timedelta(minutes=10), timedelta(hours=1), timedelta(days=1))

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Case:
    """A run that is looked at, and what has to be kept of it where that breaks."""

    run: Run
    fire: Fire | None = None
    was_past: bool = False
    log_tail: str = ""


@dataclass(frozen=True, slots=True)
class GuardedJudge:
    """Judges as :class:`RunJudge` does, each run behind a wall of its own.

    MLflow and the state are no single run's affair: what is wrong with them is raised.
    """

    context: JudgingContext
    version: str = field(default=__version__)

    @property
    def _run_judge(self) -> RunJudge:
        return RunJudge(self.context)

    def judge(self, run: Run, fire: Fire | None, age: Age = Age.NEW) -> Sequence[JudgedRun]:
        case = _Case(run, fire, was_past=age is not Age.NEW)
        return self._around(case, partial(self._run_judge.judge, run, fire, age))

    def judge_old(self, old: Sequence[Run]) -> Sequence[JudgedRun]:
        """Judge runs of long ago together; one by one where that breaks, to find the one that does it."""
        try:
            return self._run_judge.judge_old(old)
        except Exception as error:
            if is_of_all(error):
                raise
        alone = [(_Case(run, was_past=True), partial(self._run_judge.judge_old, [run])) for run in old]
        return [judged for case, work in alone for judged in self._around(case, work)]

    def put_on_record(self, old: Sequence[Run]) -> Sequence[JudgedRun]:
        """Store runs that are too old to be judged; where one of them breaks that, they are judged one by one."""
        try:
            self._run_judge.put_on_record(old)
        except Exception as error:
            if is_of_all(error):
                raise
            return self.judge_old(sorted(old, key=lambda run: run.place))
        return ()

    def record_failure(self, fire: Fire, run: Run | None, *, log_tail: str) -> Sequence[JudgedRun]:
        case = _Case(run or stand_in(self.context.name, fire, fire.ended_at or fire.due_at), fire, log_tail=log_tail)
        return self._around(case, partial(self._run_judge.record_failure, fire, run, log_tail=log_tail))

    def try_again(self) -> Sequence[JudgedRun]:
        """Try those runs again whose time has come, or which only an earlier version of Herald has tried."""
        now = self.context.clock()
        with self.context.database.begin() as tx:
            due = [each for each in quarantine.of_pipeline(tx, self.context.name) if each.is_due(now, self.version)]
        return [judged for each in due for judged in self._try(each)]

    def _try(self, each: SetAside) -> Sequence[JudgedRun]:
        with self.context.database.begin() as tx:
            fire = fires.find(tx, each.fire_id) if each.fire_id else None
        run = self.context.run_store.released(Release(run_id=each.run_id))
        if fire is not None and fire.state in (FireState.FAILED, FireState.LOST):
            return self.record_failure(fire, run, log_tail=each.log_tail)
        if run is not None and run.status is RunStatus.FINISHED:
            return self.judge(run, fire, Age.PAST if each.was_past else Age.NEW)
        with self.context.database.begin() as tx:  # it was deleted
            quarantine.drop(tx, each.pipeline, each.run_id)
        return ()

    def _around(self, case: _Case, work: Callable[[], Sequence[JudgedRun]]) -> Sequence[JudgedRun]:
        try:
            return work()
        except Exception as error:
            if is_of_all(error):
                raise
            log.exception("set aside", pipeline=self.context.name, run=case.run.run_id, named=case.run.name)
            self._set_aside(case, error)
            return ()

    def _set_aside(self, case: _Case, error: Exception) -> None:
        """Store why, and that the job behind the run is over: it must not be started for it again."""
        name, now = self.context.name, self.context.clock()
        with self.context.database.begin() as tx:
            if case.fire is not None:
                fires.save(tx, case.fire)
            if runs.is_seen(tx, name, case.run.run_id):  # it broke after all was stored
                return
            known = quarantine.find(tx, name, case.run.run_id)
            before = known.tries if known is not None and known.version == self.version and not known.waits else 0
            quarantine.save(
                tx,
                SetAside(
                    pipeline=name,
                    run_id=case.run.run_id,
                    name=case.run.name,
                    why=f"{type(error).__name__}: {in_short(error)}",
                    ended_at=case.run.ended,
                    since=known.since if known is not None else now,
                    tries=before + 1,
                    version=self.version,
                    not_before=now + _PAUSES[before] if before < len(_PAUSES) else None,
                    fire_id=case.fire.fire_id if case.fire is not None else None,
                    was_past=case.was_past,
                    log_tail=case.log_tail,
                ),
            )


def is_of_all(error: Exception) -> bool:
    """Say whether an error speaks of MLflow or the state as a whole, rather than of one run."""
    return isinstance(error, RunStoreError | StateError) and not isinstance(error, RowRefusedError)
