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
    """Why an artifact of a run, or a part of it, was not read or not there."""

    FOLDER = "folder"  # it is a folder, where a file should be
    NOT_HAD = "not_had"  # the artifact store does not give it
    TOO_LARGE = "too_large"  # beyond the bounds within which artifacts are read
    BROKEN = "broken"  # what it holds is not what it should hold
    IN_PART = "in_part"  # it was read, but for what the detail names
    NOT_COMPARED = "not_compared"  # it was read, and comparing it with others broke
    ABSENT = "absent"  # it is not there, and most of the runs before brought one


@dataclass(frozen=True, slots=True)
class Unread:
    """What a run was judged without, since it could not be read."""

    artifact: str  # name of the file
    trouble: Trouble
    detail: str = ""  # which part, which bound, or the library's own words; short, in English


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the examples: those whose *column* holds *value*, of all or of those *within* another part."""

    column: str
    value: str
    within: Slice | None = None

    def __str__(self) -> str:
        return ", ".join(f"{column}={value}" for column, value in self.conditions)

    @property
    def conditions(self) -> tuple[tuple[str, str], ...]:
        """Return every column with the value that it must hold, the widest first."""
        own = ((self.column, self.value),)
        return own if self.within is None else (*self.within.conditions, *own)

    @property
    def spoken(self) -> str:
        """Name the part for people, with its columns."""
        return ", ".join(f"{column} = {value}" for column, value in self.conditions)

    @property
    def place(self) -> str:
        """Name the part by its values alone."""
        return " / ".join(value for _, value in self.conditions)


@dataclass(frozen=True, slots=True)
class Where:
    """The smallest set of examples that explains a fall, among all that were looked at.

    Without parts the fall is everywhere, or nothing smaller is certain. Numbers are of one run, example by example.
    """

    parts: tuple[Slice, ...] = ()  # up to three, the one that lost most surely first
    share: float = 0.0  # of the whole metric's fall, by weight; above 1 where the rest gained
    change_without: float | None = None  # of all other examples, in the metric's unit; None where there are too few
    baseline_without: float | None = None
    looked_at: int = 0  # parts and combinations that were held against earlier runs
    too_small: int = 0  # combinations of fewer examples than config asks for
    beyond: int = 0  # combinations that are large enough, and more than are looked at

    @property
    def relative_without(self) -> float | None:
        if self.change_without is None or not self.baseline_without:
            return None
        return self.change_without / abs(self.baseline_without)


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

    @property
    def size(self) -> int:
        """Say how many bytes of memory it takes."""
        columns = (self.example_ids, self.weights, *self.metrics.values(), *self.slices.values())
        return sum(column.nbytes for column in columns)


@dataclass(frozen=True, slots=True)
class ExplainedExample:
    """Which words or purchases carried the answer to one example, as its job says and has checked."""

    example_id: str
    asked: str  # the query, or the user
    product: str
    words: tuple[str, ...] = ()  # the heaviest first; none where no method held
    method: str = ""
    named: float = 0.0  # how far the score moves without these words
    by_chance: float = 0.0  # and without as many others


@dataclass(frozen=True, slots=True)
class ExampleTexts:
    """Texts of some examples of one run, a column each, by example; and what could not be read of them."""

    of: Mapping[str, tuple[str, ...]]
    unread: tuple[Unread, ...] = ()
    explained: tuple[ExplainedExample, ...] = ()  # those that the job found worst, where it says why


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
    where: Where | None = None

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
