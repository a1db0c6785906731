"""A run store and an executor that keep everything in memory: what unit tests let a cycle work with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

from bot.domain.job_protocol import FIRE_TAG, GUESS_TAG, PARENT_TAG
from bot.domain.runs import DataCard, ExampleTexts, ExplainedExample, Release, Run, RunResult, RunStatus
from bot.errors import RunStoreError
from bot.executors.job_logs import log_in, part_of
from bot.ports import (
    ANY_RUN,
    Experiment,
    FoundRun,
    HistoryPage,
    Job,
    JobState,
    JobStatus,
    LogPart,
    Selection,
    Submission,
)

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class LooksBySince:
    """What looks over many experiments find, for a store that only tells what ended in one."""

    def history(self, experiment: Experiment, begun: int, selection: Selection) -> Iterator[HistoryPage]:
        ended = (run for run in self.runs_since(experiment, None, selection) if run.status is RunStatus.FINISHED)
        starts = sorted(((int(run.started.timestamp() * 1000), run) for run in ended), key=lambda pair: pair[0])
        yield HistoryPage([pair for pair in starts if pair[0] >= begun])

    def finished(self, experiment_ids: Sequence[str], since: datetime) -> Iterator[Sequence[FoundRun]]:
        for name in experiment_ids:
            runs = self.runs_since(Experiment(name, name, since), since, ANY_RUN)
            yield [FoundRun(run, name) for run in reversed(list(runs)) if run.status is RunStatus.FINISHED]

    def finished_oddly(self, experiment_ids: Sequence[str], since: datetime) -> Iterator[FoundRun]:
        del experiment_ids, since
        return iter(())


class MemoryRunStore(LooksBySince):
    """Runs by experiment, as :class:`bot.ports.RunStore`; an experiment's id is its name, and no filter is known."""

    def __init__(self) -> None:
        self.logs: dict[str, str] = {}  # by run
        self.reruns: set[str] = set()  # that ask about other runs
        self.example_texts: dict[str, dict[str, dict[str, str]]] = {}  # by run, example and column
        self.explained: dict[str, tuple[ExplainedExample, ...]] = {}
        self.created: dict[str, datetime] = {}  # by experiment, where it was not long ago
        self.aliases: dict[str, str] = {}  # by `models:/NAME@ALIAS`, the run it stands for
        self._experiments: dict[str, dict[str, RunResult]] = {}  # by run, as they were added

    def version(self) -> str:
        return ""

    def create(self, experiment: str) -> None:
        """Let an experiment appear that holds no run yet."""
        self._experiments.setdefault(experiment, {})

    def add(self, experiment: str, result: RunResult | Run) -> None:
        """Let a run with what its artifacts say appear, or appear anew."""
        whole = RunResult(result) if isinstance(result, Run) else result
        self._experiments.setdefault(experiment, {})[whole.run_id] = whole

    def remove(self, experiment: str, run_id: str) -> None:
        """Let a run be deleted."""
        del self._experiments[experiment][run_id]

    def experiments(self, patterns: Sequence[str]) -> Sequence[Experiment]:
        names = [name for name in self._experiments if any(fnmatchcase(name, pattern) for pattern in patterns)]
        return [Experiment(name, name, self.created.get(name, _LONG_AGO)) for name in names]

    def runs_since(self, experiment: Experiment, since: datetime | None, selection: Selection) -> Iterator[Run]:
        del selection
        own = (run for run in self._runs(experiment.name) if run.run_id not in self.reruns)
        ended = [run for run in own if run.status is not RunStatus.RUNNING]
        yield from sorted((run for run in ended if since is None or run.ended >= since), key=lambda run: run.ended)

    def named(self, experiment_ids: Sequence[str], run_ids: Sequence[str], taken: str) -> Sequence[Run]:
        del taken
        return [run for name in experiment_ids for run in self._runs(name) if run.run_id in run_ids]

    def newest(self, experiment: Experiment, count: int, selection: Selection = ANY_RUN) -> Sequence[Run]:
        del selection
        own = (run for run in self._runs(experiment.name) if run.run_id not in self.reruns)
        finished = [run for run in own if run.status is RunStatus.FINISHED]
        return sorted(finished, key=lambda run: run.started, reverse=True)[:count]

    def has_children(self, experiment: Experiment, run_id: str) -> bool:
        return any(run.tags.get(PARENT_TAG) == run_id for run in self._runs(experiment.name))

    def present(self, experiment_ids: Sequence[str], run_ids: Sequence[str]) -> frozenset[str]:
        there = {run.run_id for experiment_id in experiment_ids for run in self._runs(experiment_id)}
        return frozenset(there.intersection(run_ids))

    def run_of_fire(self, experiment: str, fire_id: str, started: datetime | None) -> Run | None:
        found = sorted(self._runs(experiment), key=lambda run: run.started, reverse=True)
        tagged = next((run for run in found if run.tags.get(FIRE_TAG) == fire_id), None)
        if tagged is not None or started is None:
            return tagged
        untagged = next((run for run in found if FIRE_TAG not in run.tags and run.started >= started), None)
        if untagged is None:
            return None
        result = self._experiments[experiment][untagged.run_id]
        tagged = replace(untagged, tags={**untagged.tags, FIRE_TAG: fire_id, GUESS_TAG: "1"})
        self.add(experiment, replace(result, run=tagged))
        return tagged

    def released(self, release: Release) -> Run | None:
        run_id = release.run_id or self.aliases.get(str(release))
        every = (run for experiment in self._experiments for run in self._runs(experiment))
        return next((run for run in every if run.run_id == run_id), None)

    def end_run(self, run_id: str) -> None:
        for runs in self._experiments.values():
            if run_id in runs:
                runs[run_id] = replace(runs[run_id], run=replace(runs[run_id].run, status=RunStatus.KILLED))

    def mark_rerun(self, run_id: str) -> None:
        self.reruns.add(run_id)

    def load(self, run: Run, card: DataCard | None = None) -> RunResult:  # noqa: ARG002
        for runs in self._experiments.values():
            if run.run_id in runs:
                return replace(runs[run.run_id], run=run)
        raise RunStoreError(f"There is no run {run.run_id}.")

    def texts(self, run: Run, columns: Sequence[str], ids: Collection[str]) -> ExampleTexts:
        found = self.example_texts.get(run.run_id, {})
        texts = {each: tuple(found[each][name] for name in columns) for each in ids if each in found}
        return ExampleTexts(texts, explained=self.explained.get(run.run_id, ()))

    def attach_log(self, run_id: str, log: Path) -> None:
        self.logs[run_id] = log.read_text(encoding="utf-8")

    def _runs(self, experiment: str) -> list[Run]:
        return [result.run for result in self._experiments.get(experiment, {}).values()]


class MemoryExecutor:
    """Jobs that are a call of *carry_out*, as :class:`bot.ports.Executor`; `statuses` may be changed while they run."""

    def __init__(self, carry_out: Callable[[Job], JobStatus]) -> None:
        self.started: list[Job] = []  # oldest first
        self.stopped: list[str] = []  # ids of fires
        self.statuses: dict[str, JobStatus] = {}  # by fire
        self._carry_out = carry_out

    def submit(self, job: Job) -> Submission:
        if job.fire_id in self.statuses:
            return Submission.ADOPTED
        self.started.append(job)
        self.statuses[job.fire_id] = self._carry_out(job)
        return Submission.STARTED

    def look(self, job: Job) -> JobStatus:
        return self.statuses.get(job.fire_id, JobStatus(JobState.LOST))

    def stop(self, job: Job) -> None:
        self.stopped.append(job.fire_id)
        self.statuses[job.fire_id] = JobStatus(JobState.ENDED)

    def log(self, job: Job, offset: int) -> LogPart:
        return part_of(log_in(job.folder), offset)
