"""What a run brings to the judge: metrics, per-example results and the card of its data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]
    Ints: TypeAlias = NDArray[np.int_]
    Bools: TypeAlias = NDArray[np.bool_]
    Strings: TypeAlias = NDArray[np.str_]
else:  # names alone: whoever only looks at stored runs need not wait for numpy
    Floats = Ints = Bools = Strings = Any


class RunStatus(StrEnum):
    FINISHED = "finished"
    FAILED = "failed"
    KILLED = "killed"
    RUNNING = "running"


class Trouble(StrEnum):
    """Why an artifact of a run, or a part of it, was not read."""

    FOLDER = "folder"  # it is a folder, where a file should be
    NOT_HAD = "not_had"  # the artifact store does not give it
    TOO_LARGE = "too_large"  # beyond the bounds within which artifacts are read
    BROKEN = "broken"  # what it holds is not what it should hold
    IN_PART = "in_part"  # it was read, but for what the detail names
    NOT_COMPARED = "not_compared"  # it was read, and comparing it with others broke


@dataclass(frozen=True, slots=True)
class Unread:
    """What a run was judged without, since it could not be read."""

    artifact: str  # name of the file
    trouble: Trouble
    detail: str = ""  # which part, which bound, or the library's own words; short, in English


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the examples: those whose *column* holds *value*."""

    column: str
    value: str

    def __str__(self) -> str:
        return f"{self.column}={self.value}"


@dataclass(frozen=True, slots=True, eq=False)
class ExampleTable:
    """Per-example results of one run; every array has one entry a row.

    Rows that share an id are parts of one example: its metric is the weighted mean of its parts. The metric of a run
    is the plain mean over examples, that of a slice the mean over the examples with rows in it, of these rows alone.
    """

    example_ids: Strings
    weights: Floats
    metrics: Mapping[str, Floats]
    slices: Mapping[str, Strings] = field(default_factory=dict)

    def values(self, metric: str, part: Slice | None = None) -> tuple[Strings, Floats, Floats]:
        """Return the ids (sorted, distinct), the value and the total weight of each example in *part*."""
        import numpy as np

        rows = np.ones(len(self.example_ids), dtype=bool) if part is None else self.slices[part.column] == part.value
        ids, positions = np.unique(self.example_ids[rows], return_inverse=True)
        weights = self.weights[rows]
        with np.errstate(all="ignore"):  # an example without weight, or of absurd values, has no value
            total = np.bincount(positions, weights=weights, minlength=len(ids))
            summed = np.bincount(positions, weights=weights * self.metrics[metric][rows], minlength=len(ids))
            return ids, summed / total, np.asarray(total, dtype=np.float64)

    @property
    def size(self) -> int:
        """Say how many bytes of memory it takes."""
        columns = (self.example_ids, self.weights, *self.metrics.values(), *self.slices.values())
        return sum(column.nbytes for column in columns)


@dataclass(frozen=True, slots=True)
class DataCard:
    """Flat facts about the data behind a run; counts and sizes are numbers, hashes and dates are text."""

    numbers: Mapping[str, float] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.numbers or self.texts)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set that MLflow has as an input of a run."""

    name: str
    digest: str
    context: str = ""  # what it was used for, `training` or `testing`, if the program said


@dataclass(frozen=True, slots=True)
class Run:
    """One MLflow run as the run store knows it, without its artifacts."""

    run_id: str
    name: str
    status: RunStatus
    started: datetime
    ended: datetime
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
    datasets: tuple[Dataset, ...] = ()

    @property
    def place(self) -> tuple[datetime, str]:
        """Where it stands in the order of runs, whenever it arrived."""
        return self.ended, self.run_id


@dataclass(frozen=True, slots=True)
class RowsSaid:
    """What the examples of a run said of a metric, where they are no longer at hand."""

    n: int
    p: float  # one-sided, of a fall

    def p_below(self) -> float:
        return self.p


@dataclass(frozen=True, slots=True)
class RunResult:
    """A run with what its artifacts say: what the judge reads."""

    run: Run
    card: DataCard = field(default_factory=DataCard)
    examples: ExampleTable | None = None
    unread: tuple[Unread, ...] = ()
    rows_said: Mapping[str, RowsSaid] = field(default_factory=dict)  # by metric

    @property
    def run_id(self) -> str:
        return self.run.run_id


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a run is held against: recent accepted runs, oldest first, and the pinned release if there is one.

    Among them may be runs that were not accepted: they serve *partly*, for the metrics in which nothing was wrong.
    """

    recent: tuple[RunResult, ...] = ()
    pinned: RunResult | None = None
    partly: Mapping[str, frozenset[str]] = field(default_factory=dict)  # by run: the metrics that it serves for
    most: int | None = None  # of them that one metric or slice is held against, the newest

    @property
    def accepted(self) -> tuple[RunResult, ...]:
        return tuple(result for result in self.recent if result.run_id not in self.partly)

    def of(self, metric: str) -> Baseline:
        """Return what one metric is held against; more than the most of it, for slices that have none of the newest."""
        if not self.partly:
            return self
        serving = (r for r in self.recent if r.run_id not in self.partly or metric in self.partly[r.run_id])
        return replace(self, recent=tuple(serving))

    @property
    def newest(self) -> Baseline:
        if self.most is None or len(self.recent) <= self.most:
            return self
        return replace(self, recent=self.recent[-self.most :])


@dataclass(frozen=True, slots=True)
class Release:
    """What was released: a run by its id, or whatever the alias of a registered model stands for now."""

    run_id: str = ""
    model: str = ""
    alias: str = ""

    def __str__(self) -> str:
        return self.run_id or f"models:/{self.model}@{self.alias}"
