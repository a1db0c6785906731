"""Measures cell after cell: sources are fitted once a seed, and what was measured before is taken as it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer.data.card import DataCard
from trainer.errors import TrainingError
from trainer.jobs.schema import AnyJob
from trainer.jobs.transfer import ADAPTED, ALONE, PLAIN, POPULAR
from trainer.results.pending_upload import StepLog
from trainer.results.run_manifest import manifest_tags
from trainer.search.trials import ended
from trainer.task import Command, StepReport, Task
from trainer.tracking.mlflow import PARENT_TAG, Recorder, start_run
from trainer.tracking.progress import show_progress
from trainer.transfer.drawing import Drawn
from trainer.transfer.fitting import (
    CellModel,
    CellOutcome,
    Params,
    fit_cell,
    open_fit,
    relevant_of,
    score_cell,
    score_popularity,
)
from trainer.transfer.kept_cells import CellShelf, MeasuredCell
from trainer.transfer.plan import TransferCell, TransferPlan
from trainer.transfer.scores import score_of


@dataclass(frozen=True, slots=True)
class MatrixTask:
    """What is measured, where it is kept, and the run that all runs are nested in."""

    job: AnyJob
    plan: TransferPlan
    shelf: CellShelf
    parent: Recorder

    def measure_all(self) -> list[MeasuredCell]:
        """Measure every cell that is not kept; give all of them in their order."""
        cells = self.plan.cells
        found: dict[int, MeasuredCell] = {}
        for number, cell in enumerate(cells):
            if (known := self.shelf.read(number, cell)) is not None:
                found[number] = known
        with show_progress("transfer", len(cells), "cells") as advance:
            if found:
                advance(len(found), "measured before")
            for number, cell in enumerate(cells):
                if number not in found:
                    found[number] = self._measure(number, cell)
                    score = f"{self.plan.metric} {found[number].score.value:.4f}"
                    told = f"{cell.source} to {cell.target}, {cell.told_shots} rows, seed {cell.seed}: {score}"
                    advance(1, told)
        return [found[number] for number in range(len(cells))]

    def _measure(self, number: int, cell: TransferCell) -> MeasuredCell:
        one, start = self.plan.sets.by_name[cell.target], self._start(cell)
        drawn = self.plan.learnt_in(cell)
        if cell.source == POPULAR:
            done = score_popularity(one, drawn)
            with self._run(cell, done.card, "evaluate") as recorder:
                return self._keep(number, cell, drawn, done, recorder)
        if cell.shots == 0 or self._is_own(cell, drawn):
            done = score_cell(one, drawn, cell.seed, start)
            with self._run(cell, done.card, "evaluate") as recorder:
                return self._keep(number, cell, drawn, done, recorder)
        least = self.plan.settings.least_steps
        opened = open_fit(one, drawn, cell.seed, start, least, adapts=cell.source == ADAPTED)
        with self._run(cell, opened[0].card, "fit") as recorder:
            model = _fitted(opened, recorder)
            done = CellOutcome(model.ready.score(), model.params, model.card)
            return self._keep(number, cell, drawn, done, recorder)

    def _keep(
        self, number: int, cell: TransferCell, drawn: Drawn, done: CellOutcome, recorder: Recorder
    ) -> MeasuredCell:
        one, params = self.plan.sets.by_name[cell.target], done.params
        learnt, settled = (drawn.amount, len(drawn.settle)) if cell.shots != 0 else (0, 0)
        if self._start(cell) is not None:  # its folder is removed in the end; the source is told
            params = {name: value for name, value in params.items() if name != "model.folder"}
        told: Params = {"source": cell.source, "target": cell.target, "shots": cell.told_shots, "seed": cell.seed}
        recorder.log_params({**params, **told, "learnt": learnt})
        score = score_of(done.outcome, self.plan.metric, relevant_of(one))
        leaks = self.plan.leaks.get((cell.source, cell.target))
        found = {} if leaks is None else leaks.found
        measured = MeasuredCell(cell, score, learnt, settled, done.outcome.metrics, recorder.run_id, found)
        recorder.log_metrics(done.outcome.metrics)
        recorder.finish("FINISHED")
        self.shelf.put(number, measured, done.outcome.table)
        return measured

    def _start(self, cell: TransferCell) -> Path | None:
        """Give the model that a cell starts from, fitted where it is not there; None for the job's own."""
        if cell.source not in ALONE:
            return self._source_model(cell.source, cell.seed)
        if self._is_own(cell, self.plan.learnt_in(cell)):
            return self._source_model(cell.target, cell.seed)
        return None

    def _is_own(self, cell: TransferCell, drawn: Drawn) -> bool:
        """Say whether all rows of a target are what it learns as a source: the same fit need not be made twice."""
        if cell.source != PLAIN or cell.shots is not None or cell.target not in self.plan.sets.sources:
            return False
        own = self.plan.learnt_of(cell.target, cell.seed)
        return np.array_equal(own.learn, drawn.learn) and np.array_equal(own.settle, drawn.settle)

    def _source_model(self, source: str, seed: int) -> Path:
        folder = self.shelf.model(source, seed, self.plan.sets.sources)
        if folder.is_dir():
            return folder
        drawn = self.plan.learnt_of(source, seed)
        opened = open_fit(self.plan.sets.by_name[source], drawn, seed, None, self.plan.settings.least_steps)
        task, params = opened
        with self._nested(f"{source}, seed {seed}", seed, task.card, "fit") as recorder:
            recorder.log_params({**params, "source": source, "seed": seed, "learnt": drawn.amount})
            _fitted(opened, recorder).save(folder)
            recorder.finish("FINISHED")
        return folder

    @contextmanager
    def _run(self, cell: TransferCell, card: DataCard, command: Command) -> Iterator[Recorder]:
        name = f"{cell.source} to {cell.target}, {cell.told_shots}, seed {cell.seed}"
        with self._nested(name, cell.seed, card, command) as recorder:
            yield recorder

    @contextmanager
    def _nested(self, name: str, seed: int, card: DataCard, command: Command) -> Iterator[Recorder]:
        # Not of the fire: the run that it is nested in is.
        tracking = self.job.tracking.model_copy(update={"run_name": name, "fire_id": None})
        job = self.job.model_copy(update={"seed": seed})
        recorder = start_run(tracking, {**manifest_tags(job, card, command), PARENT_TAG: self.parent.run_id})
        self.shelf.note_open(recorder.run_id)
        with ended(recorder):
            yield recorder


def _fitted(opened: tuple[Task, Params], recorder: Recorder) -> CellModel:
    steps = StepLog(recorder)

    def on_step(report: StepReport) -> None:
        steps.add(report.curves(), report.step)

    try:
        return fit_cell(opened, on_step)
    except FloatingPointError as error:
        raise TrainingError(str(error)) from error
