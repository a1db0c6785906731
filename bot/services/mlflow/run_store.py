"""Reads runs and their artifacts from MLflow."""

from __future__ import annotations

import fnmatch
import glob
import re
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bot.domain.job_protocol import FIRE_TAG, GUESS_TAG, PARENT_TAG, RERUN_TAG
from bot.domain.runs import DataCard, ExampleTexts, Release, Run, RunResult, RunStatus, Trouble
from bot.errors import NoStoreError
from bot.ports import ANY_RUN, Experiment, FoundRun, HistoryPage, Selection
from bot.runtime.shown_addresses import shown
from bot.services.mlflow.answers import is_active, next_token, run_in
from bot.services.mlflow.artifact_places import ArtifactPlaces
from bot.services.mlflow.artifacts import fetch, fetch_texts
from bot.services.mlflow.config import MlflowSection
from bot.services.mlflow.connection import MlflowConnection
from bot.services.mlflow.example_tables import Columns
from bot.services.mlflow.run_search import RunSearch
from bot.services.mlflow.times import EARLIEST, read_moment
from bot.text.escape import storable

if TYPE_CHECKING:
    from mlflow.entities import Experiment as MlflowExperiment
    from mlflow.entities import Run as MlflowRun

_LOG_FOLDER = "herald"
_UNKNOWN = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}  # the latter of an alias that a model lacks
_EXPERIMENTS_PAGE = 1000
_WRITTEN_OUT = re.compile(r"\[([*?\[])\]")  # what glob.escape makes of a sign that means something in a glob
_KEPT_RESULTS = 2000  # most of them without a table


_DOWNLOADING = threading.Lock()
_has_downloaded = threading.Event()


class MlflowRunStore:
    """Runs as an MLflow tracking server or database holds them; finished runs' artifacts are read once."""

    def __init__(self, config: MlflowSection, columns: Columns | None = None) -> None:
        self._config = config
        self._columns = columns
        self._loaded: OrderedDict[str, RunResult] = OrderedDict()
        self._size = 0  # bytes of the tables among them
        self._loading = threading.Lock()  # pipelines share what was loaded
        self._mlflow = MlflowConnection(config)
        self._places = ArtifactPlaces(self._mlflow)
        self._runs = RunSearch(self._mlflow, config.page_base, self._places)

    def version(self) -> str:
        with self._mlflow.translated():
            return self._mlflow.opened().version

    def experiments(self, patterns: Sequence[str]) -> Sequence[Experiment]:
        exact = [_WRITTEN_OUT.sub(r"\1", pattern) for pattern in patterns]
        with self._mlflow.translated(of=f"experiment {exact[0]}" if len(exact) == 1 else "its experiments"):
            if len(exact) == 1 and glob.escape(exact[0]) == patterns[0]:  # one request, as for a list of all
                found = self._mlflow.reader.get_experiment_by_name(exact[0])
                known = [found] if found is not None and is_active(found) else []
            else:
                known = [each for each in self._all_experiments() if is_active(each)]
        return [
            Experiment(
                str(each.experiment_id),
                storable(each.name),
                read_moment(each.creation_time) or EARLIEST,
                shown(storable(each.artifact_location or "")),
            )
            for each in known
            if any(fnmatch.fnmatchcase(each.name, pattern) for pattern in patterns)
        ]

    def _all_experiments(self) -> Iterator[MlflowExperiment]:
        token: str | None = None
        while True:
            page = self._mlflow.reader.search_experiments(max_results=_EXPERIMENTS_PAGE, page_token=token)
            yield from page
            token = next_token(token, page.token)
            if not token:
                return

    def runs_since(self, experiment: Experiment, since: datetime | None, selection: Selection) -> Iterator[Run]:
        return self._runs.since(experiment, since, selection)

    def history(self, experiment: Experiment, begun: int, selection: Selection) -> Iterator[HistoryPage]:
        return self._runs.history(experiment, begun, selection)

    def finished(self, experiment_ids: Sequence[str], since: datetime) -> Iterator[Sequence[FoundRun]]:
        return self._runs.finished(experiment_ids, since)

    def finished_oddly(self, experiment_ids: Sequence[str], since: datetime) -> Iterator[FoundRun]:
        return self._runs.finished_oddly(experiment_ids, since)

    def newest(self, experiment: Experiment, count: int, selection: Selection = ANY_RUN) -> Sequence[Run]:
        return self._runs.newest(experiment, count, selection)

    def has_children(self, experiment: Experiment, run_id: str) -> bool:
        terms = f"tags.`{PARENT_TAG}` = '{run_id}'"
        with self._mlflow.translated(of=f"experiment {experiment.name}"):
            return bool(self._mlflow.reader.search_runs([experiment.experiment_id], terms, max_results=1))

    def present(self, experiment_ids: Sequence[str], run_ids: Sequence[str]) -> frozenset[str]:
        return frozenset(run.run_id for run in self.named(experiment_ids, run_ids, ""))

    def named(self, experiment_ids: Sequence[str], run_ids: Sequence[str], taken: str) -> Sequence[Run]:
        return self._runs.named(experiment_ids, run_ids, taken)

    def run_of_fire(self, experiment: str, fire_id: str, started: datetime | None) -> Run | None:
        experiment_id = self._experiment_id(experiment)
        if experiment_id is None:
            return None
        newest = ["attributes.start_time DESC"]
        with self._mlflow.translated(of=f"the runs of experiment {experiment}", needs="EDIT"):
            tagged = self._mlflow.reader.search_runs(
                [experiment_id], f"tags.`{FIRE_TAG}` = '{fire_id}'", order_by=newest
            )
            if tagged:
                return self._run_in(tagged[0])
            if started is None:
                return None
            since = int(started.timestamp() * 1000)
            for run in self._mlflow.reader.search_runs(
                [experiment_id], f"attributes.start_time >= {since}", order_by=newest
            ):
                if FIRE_TAG not in run.data.tags and PARENT_TAG not in run.data.tags:
                    for tag, value in ((GUESS_TAG, "1"), (FIRE_TAG, fire_id)):
                        self._mlflow.writer.set_tag(run.info.run_id, tag, value)
                    found = self._run_in(run)
                    return replace(found, tags={**found.tags, FIRE_TAG: fire_id, GUESS_TAG: "1"})
        return None

    def released(self, release: Release) -> Run | None:
        with self._mlflow.translated(of=f"{release}"):
            from mlflow.exceptions import MlflowException

            try:
                run_id = release.run_id or self._run_behind(release)
                found = self._mlflow.reader.get_run(run_id) if run_id else None
            except NoStoreError:
                return None
            except MlflowException as error:
                if error.error_code not in _UNKNOWN:
                    raise
                return None
            if found is None:
                return None
            run = self._run_in(found)
        return run if found.info.lifecycle_stage == "active" else None

    def _run_behind(self, release: Release) -> str:
        return self._mlflow.reader.get_model_version_by_alias(release.model, release.alias).run_id or ""

    def end_run(self, run_id: str) -> None:
        with self._mlflow.translated(of=f"run {run_id}", needs="EDIT"):
            self._mlflow.writer.set_terminated(run_id, "KILLED")

    def mark_rerun(self, run_id: str) -> None:
        with self._mlflow.translated(of=f"run {run_id}", needs="EDIT"):
            self._mlflow.writer.set_tag(run_id, RERUN_TAG, "1")

    def load(self, run: Run, card: DataCard | None = None) -> RunResult:
        with self._loading:
            if run.run_id in self._loaded:
                self._loaded.move_to_end(run.run_id)
                return replace(self._loaded[run.run_id], run=run)
        with self._mlflow.translated():
            kept = self._places.of(run.run_id)
        with _first_alone():
            most, check_there = self._config.tables.largest, partial(self._check_there, run.run_id)
            result = fetch(kept, run, self._columns, most, check_there, card)
        if run.status is RunStatus.FINISHED and all(each.trouble is not Trouble.NOT_HAD for each in result.unread):
            self._keep(result)
        return result

    def by_step(self, run_id: str, metrics: Sequence[str]) -> Mapping[str, Sequence[tuple[int, float]]]:
        with self._mlflow.translated(of=f"run {run_id}"):
            found = {name: self._mlflow.reader.get_metric_history(run_id, name) for name in metrics}
        return {name: sorted((int(each.step), float(each.value)) for each in some) for name, some in found.items()}

    def texts(self, run: Run, columns: Sequence[str], ids: Collection[str]) -> ExampleTexts:
        with self._mlflow.translated():
            kept = self._places.of(run.run_id)
        with _first_alone():
            most, check_there = self._config.tables.largest, partial(self._check_there, run.run_id)
            return fetch_texts(kept, run, columns, ids, most, check_there)

    def _check_there(self, run_id: str) -> None:
        """Raise RunStoreError where MLflow is amiss, rather than what it keeps of one run."""
        try:
            self._mlflow.reader.get_run(run_id)
        except Exception:  # noqa: BLE001  of one run alone, if MLflow answers anything else
            with self._mlflow.translated():
                self._mlflow.reader.search_experiments(max_results=1)

    def _keep(self, result: RunResult) -> None:
        """Remember a result; forget those asked for longest ago where they are too many, or their tables too large."""
        with self._loading:
            before = self._loaded.pop(result.run_id, None)
            self._loaded[result.run_id] = result
            self._size += _size_of(result) - (_size_of(before) if before is not None else 0)
            while len(self._loaded) > _KEPT_RESULTS or self._size > self._config.tables.kept:
                _, oldest = self._loaded.popitem(last=False)
                self._size -= _size_of(oldest)

    def attach_log(self, run_id: str, log: Path) -> None:
        with self._mlflow.translated(of=f"run {run_id}", needs="EDIT"):
            self._mlflow.writer.log_artifact(run_id, str(log), _LOG_FOLDER)

    def _run_in(self, run: MlflowRun) -> Run:
        return run_in(run, self._config.page_base)

    def _experiment_id(self, experiment: str) -> str | None:
        with (
            self._mlflow.translated(of=f"experiment {experiment}"),
            suppress(NoStoreError),
        ):  # a job that failed early has made none
            found = self._mlflow.reader.get_experiment_by_name(experiment)
            return str(found.experiment_id) if found is not None and is_active(found) else None
        return None


def _size_of(result: RunResult) -> int:
    return result.examples.size if result.examples is not None else 0


@contextmanager
def _first_alone() -> Iterator[None]:
    """Let nobody else read artifacts before somebody has: the library of a cloud's storage is imported by the first."""
    if _has_downloaded.is_set():
        yield
        return
    with _DOWNLOADING:
        yield
        _has_downloaded.set()
