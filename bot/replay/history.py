"""Reads the history of a pipeline from MLflow; what was read is kept until the replay is over."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from bot.config.pipeline import PipelineSection
from bot.domain.runs import Run
from bot.errors import BrokenOffError, RunStoreError
from bot.pipeline.run_discovery import is_counted
from bot.ports import Experiment, RunStore, Selection
from bot.runtime.private_files import create_file, make_folder
from bot.store.codec import dump, load
from bot.text.toml_keys import key_path

_SHORTEST_PAST = timedelta(days=30)  # read before the span that is asked about: what its first runs are held against
_AT_ONCE = 200  # runs kept together
_KEPT_FOR = timedelta(days=7)


@dataclass(slots=True)
class HistoryReader:
    """Reads the runs of one pipeline; *kept* is a folder for what was read before MLflow went away."""

    name: str
    section: PipelineSection
    run_store: RunStore
    address: str  # of MLflow
    kept: Path
    on_run: Callable[[int], None] = lambda _: None
    _files: list[Path] = field(default_factory=list)

    def read(self, since: datetime, now: datetime) -> list[Run]:
        """Return the pipeline's finished runs since a moment, and some of before it, in their order.

        Raises BrokenOffError where MLflow goes away: the next call goes on where this one ended, whatever ended it.
        """
        first = since - max(_SHORTEST_PAST, now - since)
        selection = Selection(self.section.watch.filter, self.section.watch.nested)
        self._forget_old(now)
        files: list[Path] = []
        found: dict[str, Run] = {}
        try:
            for experiment in self.run_store.experiments(self.section.watched):
                files.append(self._file(experiment, selection, first))
                for run in self._runs(experiment, selection, first, files[-1]):
                    if run.ended <= now and is_counted(self.run_store, experiment, run, self.section.watch):
                        found[run.run_id] = run
                        self.on_run(len(found))
        except RunStoreError as error:
            kept = sum(_count(file) for file in files)
            if not kept:
                raise
            raise BrokenOffError(
                f"{key_path('pipeline', self.name)}: MLflow went away after {kept:,} runs of its history; they are "
                f"kept, and the same command goes on from there. What it said: {error}"
            ) from error
        self._files = files
        return sorted(found.values(), key=lambda run: run.place)

    def forget(self) -> None:
        """Forget what was kept, now that it was of use."""
        for file in self._files:
            file.unlink(missing_ok=True)

    def _forget_old(self, now: datetime) -> None:
        """Forget what is left of replays that nobody went on with."""
        for file in self.kept.glob("replay-*.jsonl"):
            with suppress(OSError):
                if file.stat().st_mtime < (now - _KEPT_FOR).timestamp():
                    file.unlink()

    def _runs(self, experiment: Experiment, selection: Selection, first: datetime, file: Path) -> Iterator[Run]:
        """Yield what was kept of an experiment, and then what MLflow has besides."""
        last, known = first, set[str]()
        for run in _kept_in(file):
            known.add(run.run_id)
            last = max(last, run.ended)
            yield run
        waiting: list[Run] = []
        try:
            for run in self.run_store.runs_since(experiment, last, selection):
                if run.run_id not in known:
                    waiting.append(run)
                    yield run
                if len(waiting) == _AT_ONCE:
                    _keep(file, waiting)
                    waiting = []
        finally:  # wherever it ends, and whatever ended it
            _keep(file, waiting)

    def _file(self, experiment: Experiment, selection: Selection, first: datetime) -> Path:
        told = json.dumps([self.address, experiment.experiment_id, selection.filter, selection.nested, f"{first:%F}"])
        return self.kept / f"replay-{hashlib.sha256(told.encode()).hexdigest()[:16]}.jsonl"


def _kept_in(file: Path) -> Iterator[Run]:
    """Yield the runs of a file, up to the first line that a dying process left half written."""
    if not file.is_file():
        return
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            try:
                yield load(Run, line)
            except ValueError:
                return


def _count(file: Path) -> int:
    return sum(1 for _ in _kept_in(file))


def _keep(file: Path, some: list[Run]) -> None:
    if not some:
        return
    make_folder(file.parent)
    create_file(file)
    with file.open("a", encoding="utf-8") as lines:
        lines.writelines(f"{dump(run)}\n" for run in some)
