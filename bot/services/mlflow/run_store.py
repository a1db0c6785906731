"""Reads runs and their artifacts from MLflow."""

from __future__ import annotations

import fnmatch
import glob
import heapq
import importlib
import logging
import os
import pkgutil
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.domain.job_protocol import COMMIT_TAG, FIRE_TAG, GUESS_TAG, PARENT_TAG
from bot.domain.runs import Release, Run, RunResult, RunStatus, Trouble
from bot.errors import NoStoreError, RunStoreError, in_short
from bot.ports import ANY_RUN, Experiment, Selection
from bot.runtime.deadline import ending_at
from bot.services.mlflow.artifacts import fetch
from bot.services.mlflow.config import MlflowSection
from bot.services.mlflow.example_tables import Columns
from bot.services.mlflow.opening import Opening, is_server, look, unfilled
from bot.services.mlflow.times import EARLIEST, MILLISECONDS, ODD_UNITS, SECONDS, read_moment, span, unit_of
from bot.services.transport import LimitedAdapter, limited
from bot.text.escape import storable

if TYPE_CHECKING:
    from mlflow.entities import Experiment as MlflowExperiment
    from mlflow.entities import Run as MlflowRun
    from mlflow.tracking import MlflowClient

_STATUS = {
    "FINISHED": RunStatus.FINISHED,
    "FAILED": RunStatus.FAILED,
    "KILLED": RunStatus.KILLED,
    "RUNNING": RunStatus.RUNNING,
    "SCHEDULED": RunStatus.RUNNING,
}
_SPACES = " \t\r\n"  # a name of nothing else says nothing
_KEPT_TAGS = frozenset({COMMIT_TAG})  # of MLflow's own, which are many
_LOG_FOLDER = "herald"
_BAD_TERMS = "INVALID_PARAMETER_VALUE"
_UNKNOWN = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}  # the latter of an alias that a model lacks
_PAGE = 200
_EXPERIMENTS_PAGE = 1000
_WRITTEN_OUT = re.compile(r"\[([*?\[])\]")  # what glob.escape makes of a sign that means something in a glob
_LONGEST_ID = 64  # characters; MLflow's own have half of it
_KEPT_RESULTS = 64
_TIME_FOR_ALL = 900.0  # seconds, of what one question takes in requests: redirects, pages, files
_KEPT_BYTES = 512_000_000  # of their per-example tables
# MLflow's own defaults wait minutes for a server that is away, and report its use to its makers.
_CALMER = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
_WHO = "it asks who we are: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
_NOT_MLFLOW = "what answers there is not MLflow: is the address right, or a login page before it?"
_HINTS = {
    "UNAUTHENTICATED": _WHO,
    "error code 401": _WHO,
    "CERTIFICATE_VERIFY_FAILED": "its certificate is of an authority that is not known here: name the authority's PEM "
    "file in MLFLOW_TRACKING_SERVER_CERT_PATH",
    "Max retries exceeded": "nothing answers there: is it running, and is the address right?",
    "unsupported startup parameter": "a PgBouncer stands before it: let it have ignore_startup_parameters = options",
    "valid JSON format": _NOT_MLFLOW,
}
_TORN = re.compile(
    r"no such (?:table|column): [\w.]+|relation \S+ does not exist|column \S+ does not exist"
    r"|Table '\S+' doesn't exist|Unknown column '\S+'"
)
_STRANGER = re.compile(r"error code 404\b.*?Response body: '\s*<", re.DOTALL)  # a page, where MLflow says what it lacks


_FOR_ALL = (
    "mlflow.artifacts",
    "mlflow.exceptions",
    "mlflow.store.artifact.artifact_repository_registry",
    "mlflow.store.model_registry.rest_store",
    "mlflow.store.tracking.rest_store",
    "mlflow.tracking",
    "requests",
    "sqlalchemy.exc",
)
_FOR_DATABASES = (
    "mlflow.store.db",
    "mlflow.store.db_migrations",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_workspace_store",
    "mlflow.utils.search_logged_model_utils",
    "sqlalchemy.orm",
)
_FOR_ARTIFACTS = (
    "netrc",  # requests' own
    "pyarrow.dataset",
    "pyarrow.pandas_compat",
    "pyarrow.parquet",
    "pyarrow.substrait",
)
_IMPORTING = threading.Lock()
_OPENING = threading.Lock()
_DOWNLOADING = threading.Lock()
_imported: set[str] = set()
_has_downloaded = threading.Event()


def load(address: str) -> None:
    """Import MLflow and all that it imports later of its own accord to read from *address*.

    Its packages import one another in circles: two threads that meet in the middle of it find half of a module, and so
    does everybody after them. So it is imported whole, by one thread at a time. What only databases need doubles the
    time that it takes.
    """
    is_database = not is_server(address)
    wanted = {*_FOR_ALL, *(_FOR_DATABASES if is_database else ())}
    if wanted <= _imported:
        return
    with _IMPORTING:
        for name, value in _CALMER.items():
            os.environ.setdefault(name, value)
        for module in sorted(wanted - _imported):
            with suppress(ModuleNotFoundError):  # another version has not all of them
                importlib.import_module(module)
        _limit_requests()
        if is_database:
            databases = importlib.import_module("mlflow.store.db")
            for found in pkgutil.iter_modules(databases.__path__, "mlflow.store.db."):
                importlib.import_module(found.name)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # our error tells what it says with SQL
        _imported.update(wanted)


def load_for_artifacts() -> None:
    """Import what reads artifacts where they are read, for threads that may do it together."""
    for module in _FOR_ARTIFACTS:
        importlib.import_module(module)


def _limit_requests() -> None:
    """Let its client's requests end in time: its own adapter waits for each read anew, and lets nobody in."""
    utils: Any = importlib.import_module("mlflow.utils.request_utils")
    if not issubclass(utils.TCPKeepAliveHTTPAdapter, LimitedAdapter):
        utils.TCPKeepAliveHTTPAdapter = limited(utils.TCPKeepAliveHTTPAdapter)
        utils._cached_get_request_session.cache_clear()  # noqa: SLF001 - sessions of before, which nothing else lets go


class MlflowRunStore:
    """Runs as an MLflow tracking server or database holds them; finished runs' artifacts are read once."""

    def __init__(self, config: MlflowSection, columns: Columns | None = None) -> None:
        self._config = config
        self._columns = columns
        self._loaded: OrderedDict[str, RunResult] = OrderedDict()
        self._loading = threading.Lock()  # pipelines share what was loaded
        self._opening: Opening | None = None
        self._client_once: MlflowClient | None = None
        self._writer_once: MlflowClient | None = None

    def version(self) -> str:
        with self._translated():
            return self._opened().version

    def experiments(self, patterns: Sequence[str]) -> Sequence[Experiment]:
        exact = [_WRITTEN_OUT.sub(r"\1", pattern) for pattern in patterns]
        with self._translated():
            if all(glob.escape(name) == pattern for name, pattern in zip(exact, patterns, strict=True)):
                found = [self._client.get_experiment_by_name(name) for name in dict.fromkeys(exact)]
                known = [each for each in found if each is not None and _is_active(each)]
            else:
                known = [each for each in self._all_experiments() if _is_active(each)]
        return [
            Experiment(
                str(each.experiment_id),
                storable(each.name),
                read_moment(each.creation_time) or EARLIEST,
                _without_password(storable(each.artifact_location or "")),
            )
            for each in known
            if any(fnmatch.fnmatchcase(each.name, pattern) for pattern in patterns)
        ]

    def _all_experiments(self) -> Iterator[MlflowExperiment]:
        token: str | None = None
        while True:
            page = self._client.search_experiments(max_results=_EXPERIMENTS_PAGE, page_token=token)
            yield from page
            token = _next_token(token, page.token)
            if not token:
                return

    def runs_since(self, experiment: Experiment, since: datetime | None, selection: Selection) -> Iterator[Run]:
        if since is None:
            yield from sorted((run for _, run in self._search(experiment, "", selection)), key=_by_end)
            return
        in_unit = [sorted(self._ended_since(experiment, since, selection, unit), key=_by_end) for unit in ODD_UNITS]
        endless = sorted(self._endless_since(experiment, since, selection), key=_by_end)
        in_order = self._ended_since(experiment, since, selection, MILLISECONDS)  # so many that they are not kept
        yield from heapq.merge(in_order, endless, *in_unit, key=_by_end)

    def _ended_since(
        self, experiment: Experiment, since: datetime, selection: Selection, unit: Fraction
    ) -> Iterator[Run]:
        """Yield the runs that ended since then whose programs have written their times in a unit."""
        first, beyond = span(since, unit)
        terms = f"attributes.end_time >= {first} and attributes.end_time < {beyond}"
        for end_time, run in self._search(experiment, terms, selection):
            if unit_of(end_time) == unit:  # a server may not have kept to the terms
                yield run

    def _endless_since(self, experiment: Experiment, since: datetime, selection: Selection) -> Iterator[Run]:
        """Yield the finished runs that say no end, or none that a calendar has; they are told by their start."""
        (first, _), (in_seconds, beyond) = span(since, MILLISECONDS), span(since, SECONDS)
        started = "attributes.status = 'FINISHED' and attributes.start_time"
        for terms in (f"{started} >= {first}", f"{started} >= {in_seconds} and attributes.start_time < {beyond}"):
            for end_time, run in self._search(experiment, terms, selection):
                if unit_of(end_time) is None and run.ended >= since:
                    yield run

    def _search(self, experiment: Experiment, terms: str, selection: Selection) -> Iterator[tuple[object, Run]]:
        """Yield the runs of a selection that some terms of ours hold of, each with its end as it was written."""
        token: str | None = None
        whole = " and ".join(each for each in (terms, selection.filter) if each)
        while True:
            with self._translated(selection.filter):
                page = self._client.search_runs(
                    [experiment.experiment_id],
                    whole,
                    max_results=_PAGE,
                    order_by=["attributes.end_time ASC"],
                    page_token=token,
                )
                token = _next_token(token, page.token)
                wanted = (run for run in page if selection.nested or PARENT_TAG not in run.data.tags)
                found = [(run.info.end_time, self._run(run)) for run in wanted]
            yield from found
            if not token:
                return

    def newest(self, experiment: Experiment, count: int, selection: Selection = ANY_RUN) -> Sequence[Run]:
        terms = "attributes.status = 'FINISHED'" + (f" and {selection.filter}" if selection.filter else "")
        order = ["attributes.start_time DESC"]
        with self._translated(selection.filter):
            page = self._client.search_runs([experiment.experiment_id], terms, max_results=count, order_by=order)
        return [self._run(run) for run in page if selection.nested or PARENT_TAG not in run.data.tags]

    def has_children(self, experiment: Experiment, run_id: str) -> bool:
        terms = f"tags.`{PARENT_TAG}` = '{run_id}'"
        with self._translated():
            return bool(self._client.search_runs([experiment.experiment_id], terms, max_results=1))

    def present(self, experiment_ids: Sequence[str], run_ids: Sequence[str]) -> frozenset[str]:
        listed = ", ".join(f"'{run_id}'" for run_id in run_ids)
        if not listed:
            return frozenset()
        with self._translated():
            found = self._client.search_runs(
                list(experiment_ids), f"attributes.run_id IN ({listed})", max_results=len(run_ids)
            )
        return frozenset(run.info.run_id for run in found)

    def run_of_fire(self, experiment: str, fire_id: str, started: datetime) -> Run | None:
        experiment_id = self._experiment_id(experiment)
        if experiment_id is None:
            return None
        newest = ["attributes.start_time DESC"]
        with self._translated():
            tagged = self._client.search_runs([experiment_id], f"tags.`{FIRE_TAG}` = '{fire_id}'", order_by=newest)
            if tagged:
                return self._run(tagged[0])
            since = int(started.timestamp() * 1000)
            for run in self._client.search_runs([experiment_id], f"attributes.start_time >= {since}", order_by=newest):
                if FIRE_TAG not in run.data.tags and PARENT_TAG not in run.data.tags:
                    for tag, value in ((GUESS_TAG, "1"), (FIRE_TAG, fire_id)):
                        self._writer.set_tag(run.info.run_id, tag, value)
                    found = self._run(run)
                    return replace(found, tags={**found.tags, FIRE_TAG: fire_id, GUESS_TAG: "1"})
        return None

    def released(self, release: Release) -> Run | None:
        with self._translated():
            from mlflow.exceptions import MlflowException

            try:
                run_id = release.run_id or self._run_behind(release)
                found = self._client.get_run(run_id) if run_id else None
            except NoStoreError:
                return None
            except MlflowException as error:
                if error.error_code not in _UNKNOWN:
                    raise
                return None
            if found is None:
                return None
            run = self._run(found)
        return run if found.info.lifecycle_stage == "active" else None

    def _run_behind(self, release: Release) -> str:
        return self._client.get_model_version_by_alias(release.model, release.alias).run_id or ""

    def end_run(self, run_id: str) -> None:
        with self._translated():
            self._writer.set_terminated(run_id, "KILLED")

    def load(self, run: Run) -> RunResult:
        with self._loading:
            if run.run_id in self._loaded:
                self._loaded.move_to_end(run.run_id)
                return replace(self._loaded[run.run_id], run=run)
        with self._translated():
            client = self._client
        with _first_alone():
            result = fetch(client, run, self._columns, partial(self._check_there, run.run_id))
        if run.status is RunStatus.FINISHED and all(each.trouble is not Trouble.NOT_HAD for each in result.unread):
            self._keep(result)
        return result

    def _check_there(self, run_id: str) -> None:
        """Raise RunStoreError where MLflow is amiss, rather than what it keeps of one run."""
        try:
            self._client.get_run(run_id)
        except Exception:  # noqa: BLE001  of one run alone, if MLflow answers anything else
            with self._translated():
                self._client.search_experiments(max_results=1)

    def _keep(self, result: RunResult) -> None:
        """Remember a result, and forget the oldest where they are too many or their tables too large."""
        with self._loading:
            self._loaded[result.run_id] = result
            size = sum(each.examples.size for each in self._loaded.values() if each.examples is not None)
            while len(self._loaded) > _KEPT_RESULTS or (size > _KEPT_BYTES and len(self._loaded) > 1):
                _, oldest = self._loaded.popitem(last=False)
                size -= oldest.examples.size if oldest.examples is not None else 0

    def attach_log(self, run_id: str, log: Path) -> None:
        with self._translated():
            self._writer.log_artifact(run_id, str(log), _LOG_FOLDER)

    def _run(self, run: MlflowRun) -> Run:
        """Take over a run as anybody may have logged it."""
        info = run.info
        if not 0 < len(info.run_id) <= _LONGEST_ID:
            raise _OddAnswerError("it names a run without an id, or by one of odd length")
        base = self._config.page_base
        ended = read_moment(info.end_time) or read_moment(info.start_time) or EARLIEST
        return Run(
            run_id=info.run_id,
            name=storable(info.run_name) if (info.run_name or "").strip(_SPACES) else info.run_id[:8],
            status=_STATUS.get(info.status, RunStatus.RUNNING),
            started=read_moment(info.start_time) or ended,
            ended=ended,
            metrics={storable(name): float(value) for name, value in run.data.metrics.items()},
            params={storable(name): storable(value) for name, value in run.data.params.items()},
            tags={
                storable(name): storable(value)
                for name, value in run.data.tags.items()
                if name in _KEPT_TAGS or not name.startswith("mlflow.")
            },
            url=f"{base}/#/experiments/{info.experiment_id}/runs/{info.run_id}" if base else "",
        )

    def _experiment_id(self, experiment: str) -> str | None:
        with self._translated(), suppress(NoStoreError):  # a job that failed early has made none
            found = self._client.get_experiment_by_name(experiment)
            return str(found.experiment_id) if found is not None and _is_active(found) else None
        return None

    @property
    def _client(self) -> MlflowClient:
        """Return what everything is read through; where the store is a database, it cannot write."""
        if self._client_once is None:
            reading = self._opened().reading
            with _OPENING, unfilled(reading):  # MLflow keeps an engine an address; two threads would make two of it
                from mlflow.tracking import MlflowClient

                self._client_once = self._client_once or MlflowClient(tracking_uri=reading)
        return self._client_once

    @property
    def _writer(self) -> MlflowClient:
        """Return what the few things are written through that jobs need: a tag, an end, a log."""
        if self._writer_once is None:
            self._opened()
            with _OPENING, unfilled(self._config.tracking_uri):
                from mlflow.tracking import MlflowClient

                self._writer_once = self._writer_once or MlflowClient(tracking_uri=self._config.tracking_uri)
        return self._writer_once

    def _opened(self) -> Opening:
        if self._opening is None:
            address = self._config.tracking_uri
            load(address)
            with _OPENING:
                self._opening = self._opening or look(address, _without_password(address))
        return self._opening

    @contextmanager
    def _translated(self, terms: str = "") -> Iterator[None]:
        """Turn whatever MLflow and the storage below it raise into our error, in one sentence.

        *terms* is the part of a search that is not ours: where MLflow cannot read it, the sentence says so.
        """
        load(self._config.tracking_uri)
        import requests
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            with ending_at(time.monotonic() + _TIME_FOR_ALL):
                yield
        except RunStoreError:
            raise
        except Exception as error:  # of an answer that is not MLflow's, its client makes whatever it happens to
            shown = in_short(error)
            if isinstance(error, ModuleNotFoundError):
                shown = f"it needs {error.name}, which is not installed beside Herald; or name a server (http)"
            elif not isinstance(error, MlflowException | SQLAlchemyError | requests.RequestException | OSError):
                shown = f"what answers there is not MLflow, or answers oddly: {shown}"
            if terms and getattr(error, "error_code", "") == _BAD_TERMS:
                raise RunStoreError(f"watch.filter: {terms!r} is not a filter that MLflow reads: {shown}") from error
            hint = _hint_for(str(error))
            raise RunStoreError(
                f"mlflow.tracking_uri: {_without_password(self._config.tracking_uri)} cannot be used: {hint or shown}",
                advises=bool(hint),
            ) from error


def _hint_for(said: str) -> str:
    """Say what to do about what MLflow's client, or a database below it, has said; nothing where that is not known."""
    if (torn := _TORN.search(said)) is not None:
        return f"its database is damaged ({torn[0]}), though its version is right: ask its owner to restore it"
    if _STRANGER.search(said) is not None:
        return _NOT_MLFLOW
    return next((words for sign, words in _HINTS.items() if sign in said), "")


@contextmanager
def _first_alone() -> Iterator[None]:
    """Let nobody else read artifacts before somebody has: the library of a cloud's storage is imported by the first."""
    if _has_downloaded.is_set():
        yield
        return
    with _DOWNLOADING:
        yield
        _has_downloaded.set()


class _OddAnswerError(ValueError):
    """An answer without what every answer of MLflow's holds."""


def _is_active(experiment: MlflowExperiment) -> bool:
    """Say whether an experiment is not deleted; raise where it is none."""
    if not (0 < len(experiment.experiment_id) <= _LONGEST_ID and experiment.name):
        raise _OddAnswerError("it names an experiment without an id or a name")
    return bool(experiment.lifecycle_stage == "active")


def _next_token(token: str | None, following: str | None) -> str | None:
    if following and following == token:
        raise _OddAnswerError("it gives the same page again and again")
    return following


def _by_end(run: Run) -> datetime:
    return run.ended


def _without_password(address: str) -> str:
    head, at, host = address.rpartition("@")
    return f"{head.partition('://')[0]}://…@{host}" if at and "://" in head else address
