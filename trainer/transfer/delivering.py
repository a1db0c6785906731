"""What a matrix leaves: pages, transfer.json, its cells' tables, a result file, and the numbers of the parent run."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import isinf
from pathlib import Path
from shutil import copytree
from typing import Any

from trainer.data.snapshot import partial_folder
from trainer.errors import Stopped, TrackingError, tell_error
from trainer.jobs.schema import AnyJob
from trainer.measures.bootstrap import Interval
from trainer.results.logged_metrics import cell_name
from trainer.results.pending_upload import Upload, leave_owed
from trainer.results.result_files import RESULT, Result, write_json, write_result
from trainer.stopping import unstoppable
from trainer.tracking.mlflow import Recorder
from trainer.transfer.kept_cells import CELLS, DRAWS, CellShelf, MeasuredCell, as_json
from trainer.transfer.matrix import MatrixEntry, TransferMatrix
from trainer.transfer.pages import PAGES, page_of, summary_of
from trainer.transfer.sentences import LANGUAGES, sentences, worth_sentence

MATRIX, SUMMARY = "transfer.json", "summary.md"
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Transferred:
    """The matrix, and what it came to."""

    matrix: TransferMatrix
    result: Result
    content: Mapping[str, Any]  # of transfer.json


def deliver_matrix(
    job: AnyJob,
    matrix: TransferMatrix,
    measured: Sequence[MeasuredCell],
    shelf: CellShelf,
    blank: Result,
    parent: Recorder,
) -> Transferred:
    """Write everything in its place and send it; what cannot be sent is there all the same, and named."""
    language = "en" if job.transfer is None else job.transfer.language
    content = content_of(matrix, measured)
    told = numbers_of(matrix)
    result = replace(
        blank,
        status="finished",
        metrics={name: value for name, (value, _) in told.items()},
        intervals={name: span for name, (_, span) in told.items() if span is not None},
        cluster=matrix.drawn,
        clusters=sum(matrix.clusters.values()),
        paths=_paths(job.output),
    )
    with partial_folder(job.output) as folder:
        write_json(content, folder / MATRIX)
        (folder / SUMMARY).write_text(summary_of(matrix, language), encoding="utf-8")
        for each in LANGUAGES:
            (folder / PAGES[each]).write_text(page_of(matrix, each), encoding="utf-8")
        copytree(shelf.folder / CELLS, folder / CELLS, ignore=lambda _, names: [n for n in names if n == DRAWS])
        with unstoppable():
            folder.rename(job.output)
    _send(job, result, logged_of(matrix), parent)
    return Transferred(matrix, result, content)


def _send(job: AnyJob, result: Result, logged: Mapping[str, float], parent: Recorder) -> None:
    copy = None if job.result is None else str(job.result.absolute())
    upload = Upload(job.tracking.uri, parent.run_id, parent.experiment_id, logged, (), (), None, None, copy)
    try:
        upload.send(parent, job.output)
        with unstoppable():
            parent.finish("FINISHED")
            write_result(result, job.output / RESULT)
            if job.result is not None:
                write_result(result, job.result)
    except (Exception, Stopped) as error:  # whatever a tracking server or a store of artifacts has
        with unstoppable():
            told = leave_owed(upload, result, job.output, error, "measured")
        if isinstance(error, Stopped):
            raise
        reason = error if isinstance(error, TrackingError) else tell_error(error)
        raise TrackingError(f"{reason}; {told}") from error


def metric_name(entry: MatrixEntry) -> str:
    """Give the name of an entry among the parent's metrics: SOURCE.TARGET.shots."""
    shots = "all" if entry.shots is None else str(entry.shots)
    return f"{cell_name(entry.source, entry.target)}.{shots}"


def numbers_of(matrix: TransferMatrix) -> dict[str, tuple[float, list[float] | None]]:
    """Give values, gains over no source and what sources are worth, by their names, with low and high.

    Rows beyond all that were measured are told as all of them: the verdict in transfer.json says which is meant.
    """
    found: dict[str, tuple[float, list[float] | None]] = {}
    for entry in matrix.entries:
        name = metric_name(entry)
        found[name] = entry.value, _span(entry.interval)
        if entry.gain is not None:
            found[f"gain/{name}"] = entry.gain, _span(entry.gain_interval)
    for one in matrix.worths:
        rows, low, high = (min(end, one.worth.most) for end in (one.worth.rows, one.worth.low, one.worth.high))
        found[f"worth/{cell_name(one.source, one.target)}"] = rows, [low, high]
    return found


def logged_of(matrix: TransferMatrix) -> dict[str, float]:
    """Give the parent's metrics: all numbers, and the ends of their intervals as low/NAME and high/NAME."""
    found: dict[str, float] = {}
    for name, (value, span) in numbers_of(matrix).items():
        found[name] = value
        if span is not None:
            found |= {f"low/{name}": span[0], f"high/{name}": span[1]}
    return found


def content_of(matrix: TransferMatrix, measured: Sequence[MeasuredCell]) -> dict[str, Any]:
    """Give what transfer.json holds; numbers beyond what was measured are null."""
    return {
        "schema": SCHEMA,
        "metric": matrix.metric,
        "unit": matrix.unit,
        "cluster": matrix.drawn,
        "clusters": dict(matrix.clusters),
        "seeds": list(matrix.seeds),
        "sources": list(matrix.sources),
        "targets": list(matrix.targets),
        "entries": [_entry(one) for one in matrix.entries],
        "worth": [
            {
                "source": one.source,
                "target": one.target,
                "verdict": one.worth.verdict.value,
                **{name: _finite(getattr(one.worth, name)) for name in ("rows", "low", "high", "most")},
                "sentence": {each: worth_sentence(one, matrix.unit, each) for each in LANGUAGES},
            }
            for one in matrix.worths
        ],
        "sentences": {each: sentences(matrix, each) for each in LANGUAGES},
        "cells": [{"folder": f"{CELLS}/{number:04}", **as_json(one)} for number, one in enumerate(measured)],
    }


def _entry(one: MatrixEntry) -> dict[str, Any]:
    told = asdict(one) | {"interval": _span(one.interval), "gain_interval": _span(one.gain_interval)}
    return told | {"shots": "all" if one.shots is None else one.shots}


def _span(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def _finite(value: float) -> float | None:
    return None if isinf(value) else value


def _paths(output: Path) -> dict[str, str]:
    output = output.absolute()
    names = {"matrix": MATRIX, "summary": SUMMARY, "report": PAGES["en"], "report_zh": PAGES["zh"]}
    return {"output": str(output)} | {name: str(output / file) for name, file in names.items()}
