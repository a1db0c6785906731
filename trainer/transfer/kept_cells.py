"""Where cells are kept while others are measured: each whole or not there, so that a killed matrix is gone on with."""

import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np

from trainer.data.json_texts import parse_json
from trainer.environment import git_commit, hash_installed
from trainer.errors import DataError
from trainer.jobs.schema import BESIDE, AnyJob, flatten
from trainer.measures.per_example import PerExample
from trainer.models.source import find_source
from trainer.results.per_example_files import PER_EXAMPLE
from trainer.results.result_files import write_json, write_per_example
from trainer.tracking.progress import say
from trainer.transfer.judged_set import JudgedSet
from trainer.transfer.plan import TransferCell, TransferPlan
from trainer.transfer.scores import CellScore
from trainer.transfer.sets import TransferSet

CELL, DRAWS, CELLS, MODELS = "cell.json", "draws.npy", "cells", "models"
PARENT, OPEN = "parent.json", "open.json"  # runs
SCHEMA = 1
NAMED = 12  # letters of a matrix's hash that its folder is named by
OF_NO_NUMBER = {*BESIDE, "threads", "tensorboard", "slices", "data", "model"}  # data and model are told by their hashes


@dataclass(frozen=True, slots=True)
class MeasuredCell:
    """A cell and what came of it."""

    cell: TransferCell
    score: CellScore
    learnt: int  # of the target, in the unit of shots
    settled: int  # valid rows of the target that settled what the fit chooses
    metrics: Mapping[str, float]
    run_id: str | None
    leaks: Mapping[str, int] = field(default_factory=dict)  # test rows that the source's train rows tell, by kind


class CellShelf:
    """The cells of one matrix that are there, and the models of its sources."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def model(self, source: str, seed: int, sources: tuple[str, ...]) -> Path:
        """Give the folder of a source's model, by its number: names may be no names of files."""
        return self.folder / MODELS / f"{sources.index(source)}-seed-{seed}"

    def read(self, number: int, cell: TransferCell) -> MeasuredCell | None:
        """Give a cell that was measured before, None where it was not, or is not readable."""
        folder = self._place(number)
        try:
            told = parse_json((folder / CELL).read_text(encoding="utf-8"))
            draws = np.load(folder / DRAWS, allow_pickle=False)
            if told["schema"] != SCHEMA or told["cell"] != _plain(cell):
                return None
            score = CellScore(float(told["value"]), draws, str(told["unit"]), int(told["clusters"]))
            metrics = {str(name): float(value) for name, value in told["metrics"].items()}
            learnt, settled, leaks = int(told["learnt"]), int(told["settled"]), dict(told["leaks"])
            return MeasuredCell(cell, score, learnt, settled, metrics, told["run_id"], leaks)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            say(f"trainer: {folder}: cannot be read and is measured anew: {error}")
            return None

    def put(self, number: int, measured: MeasuredCell, table: PerExample) -> None:
        """Write a cell, all at once."""
        target = self._place(number)
        partial = target.with_name(f".{target.name}.partial")
        rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        write_per_example(table, partial / PER_EXAMPLE)
        np.save(partial / DRAWS, measured.score.value_R, allow_pickle=False)
        write_json(as_json(measured), partial / CELL)
        rmtree(target, ignore_errors=True)
        partial.rename(target)

    def parent(self) -> tuple[str, str] | None:
        """Give the run and the experiment of an earlier try."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            told = parse_json((self.folder / PARENT).read_text(encoding="utf-8"))
            return str(told["run_id"]), str(told["experiment_id"])
        return None

    def note_parent(self, run_id: str, experiment_id: str) -> None:
        """Keep which run the cells are nested in."""
        write_json({"run_id": run_id, "experiment_id": experiment_id}, self.folder / PARENT)

    def note_open(self, run_id: str) -> None:
        """Keep which nested run is open: a process that is killed cannot end it."""
        write_json({"run_id": run_id}, self.folder / OPEN)

    def left_open(self) -> str | None:
        """Give the nested run that was open last."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            return str(parse_json((self.folder / OPEN).read_text(encoding="utf-8"))["run_id"])
        return None

    def _place(self, number: int) -> Path:
        return self.folder / CELLS / f"{number:04}"


@contextmanager
def held_cells(output: Path, identity: str, resume: str) -> Iterator[CellShelf]:
    """Give the shelf of a matrix, beside its output, for this process alone; raise DataError where another has it."""
    folder = output.absolute().with_name(f".{output.name}-{identity[:NAMED]}.transfer")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise DataError(f"{folder}: cannot be made: {error.strerror}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(f"{output}: another process is measuring it; name another folder") from None
        except OSError:  # a file system without locks
            pass
        if resume == "never":
            for part in (CELLS, MODELS):
                rmtree(folder / part, ignore_errors=True)
            for name in (PARENT, OPEN):
                (folder / name).unlink(missing_ok=True)
        yield CellShelf(folder)
    finally:
        os.close(descriptor)
        with suppress(OSError):
            folder.rmdir()  # where nothing was measured nothing is left


def tidy(output: Path) -> None:
    """Remove what tries of other settings have left beside an output that is there now, unless a process is at one."""
    named = re.compile(rf"\.{re.escape(output.name)}-[0-9a-f]{{{NAMED}}}\.transfer")
    for folder in sorted(output.absolute().parent.iterdir()):
        if not named.fullmatch(folder.name) or folder.is_symlink() or not folder.is_dir():
            continue
        with suppress(OSError):  # held by another process, or not ours to remove: it stays
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                rmtree(folder)
            finally:
                os.close(descriptor)


def identity_of(plan: TransferPlan) -> str:
    """Hash what decides the numbers of all cells: settings, data, weights, code and packages."""
    settings = plan.settings.model_dump(exclude={"language"}, mode="json")
    sets = {name: _told(one) for name, one in plan.sets.by_name.items()}
    code = {"commit": git_commit(), "installed": hash_installed()}
    told = {"schema": SCHEMA, "settings": settings, "metric": plan.metric, "sets": sets, "code": code}
    return sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _told(one: TransferSet) -> dict[str, Any]:
    job: AnyJob = one.job
    model = job.model.model_dump(include={"max_tokens", "pooling", "lora"})
    card = one.pairs.card if isinstance(one, JudgedSet) else one.snapshot.card
    split = flatten(one.job.data.split.model_dump(mode="json")) if isinstance(one, JudgedSet) else {}
    facts = find_source(job.model).facts()
    return {"job": flatten(job.model_dump(exclude=OF_NO_NUMBER)), "model": model, **facts, "hash": card.hash, **split}


def as_json(measured: MeasuredCell) -> dict[str, Any]:
    """Give a cell as files hold it, its draws aside."""
    score = measured.score
    return {
        "schema": SCHEMA,
        "cell": _plain(measured.cell),
        "value": score.value,
        "unit": score.unit,
        "clusters": score.clusters,
        "learnt": measured.learnt,
        "settled": measured.settled,
        "leaks": dict(measured.leaks),
        "metrics": dict(measured.metrics),
        "run_id": measured.run_id,
    }


def _plain(cell: TransferCell) -> dict[str, str | int]:
    return {"source": cell.source, "target": cell.target, "shots": cell.told_shots, "seed": cell.seed}
