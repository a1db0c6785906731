"""From cells to the matrix: means over seeds with intervals, what a source gains over none, what it is worth."""

# Shape suffixes, scoped to this file:
#   S = seeds, R = replicates, P = points of a curve

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from trainer.jobs.transfer import ALONE, PLAIN
from trainer.measures.bootstrap import SEED, Interval, percentile_interval
from trainer.transfer.kept_cells import MeasuredCell
from trainer.transfer.plan import TransferPlan
from trainer.transfer.worth import RowsWorth, rows_worth

Floats = npt.NDArray[np.float64]
Key = tuple[str, str, int | None]  # source, target, shots


@dataclass(frozen=True, slots=True)
class MatrixEntry:
    """One start on one target after so many of its rows: the mean over seeds."""

    source: str
    target: str
    shots: int | None  # as asked; None: all
    learnt: float  # rows of the target, the mean over seeds
    settled: float
    value: float
    interval: Interval | None
    gain: float | None  # over the start without a source that learnt the same rows
    gain_interval: Interval | None
    by_seed: tuple[float, ...]
    leaks: Mapping[str, int] = field(default_factory=dict)  # test rows that the source's train rows tell, by kind


@dataclass(frozen=True, slots=True)
class SourceWorth:
    """What a source is worth on a target, before it has learnt any of it."""

    source: str
    target: str
    worth: RowsWorth


@dataclass(frozen=True, slots=True)
class TransferMatrix:
    """All that was measured, in the order of the job."""

    metric: str
    unit: str  # that rows are counted in
    drawn: str  # what intervals draw whole
    clusters: Mapping[str, int]  # of each target
    seeds: tuple[int, ...]
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    entries: tuple[MatrixEntry, ...]
    worths: tuple[SourceWorth, ...]

    def entry(self, source: str, target: str, shots: int | None) -> MatrixEntry | None:
        """Give an entry, None where there is none."""
        for one in self.entries:
            if (one.source, one.target, one.shots) == (source, target, shots):
                return one
        return None

    def starts(self, target: str) -> list[str]:
        """Give the starts that learnt rows of a target, those without a source first."""
        there = {one.source for one in self.entries if one.target == target}
        return [name for name in (*ALONE, *self.sources) if name in there and name != target]

    def curve(self, source: str, target: str) -> list[MatrixEntry]:
        """Give the entries of a start on a target, by the rows that were learnt."""
        own = [one for one in self.entries if (one.source, one.target) == (source, target)]
        return sorted(own, key=lambda one: one.learnt)


@dataclass(frozen=True, slots=True)
class _Pooled:
    """A cell over its seeds."""

    value: float
    value_R: Floats
    clusters: int
    learnt: float
    settled: float
    by_seed: tuple[float, ...]


def assemble(plan: TransferPlan, measured: Sequence[MeasuredCell]) -> TransferMatrix:
    """Make the matrix of all cells."""
    pooled = _pool(measured, len(plan.settings.seeds))
    entries = tuple(_entry(key, pooled, plan) for key in pooled)
    worths = tuple(
        SourceWorth(source, target, _worth(source, target, pooled))
        for target in plan.sets.targets
        for source in plan.sets.sources
        if source != target
    )
    first = measured[0].score
    clusters = {key[1]: one.clusters for key, one in pooled.items()}
    unit = next(iter(plan.sets.by_name.values())).unit
    sets = plan.sets
    return TransferMatrix(
        plan.metric, unit, first.unit, clusters, plan.settings.seeds, sets.sources, sets.targets, entries, worths
    )


def _pool(measured: Sequence[MeasuredCell], seeds: int) -> dict[Key, _Pooled]:
    by_key: dict[Key, list[MeasuredCell]] = {}
    for one in measured:
        by_key.setdefault((one.cell.source, one.cell.target, one.cell.shots), []).append(one)
    replicates = len(measured[0].score.value_R)
    # Seeds are drawn too, the same for all cells: what a fit owes to its luck belongs to the interval.
    drawn_RS = np.random.default_rng(SEED).integers(0, seeds, (replicates, seeds))
    return {key: _pooled(cells, drawn_RS) for key, cells in by_key.items()}


def _pooled(cells: Sequence[MeasuredCell], drawn_RS: npt.NDArray[np.int64]) -> _Pooled:
    value_SR = np.array([one.score.value_R for one in cells])
    replicates = np.arange(len(drawn_RS))
    value_R = value_SR[drawn_RS.T, replicates].mean(axis=0)
    values = tuple(one.score.value for one in cells)
    learnt, settled = (float(np.mean(counts)) for counts in zip(*((c.learnt, c.settled) for c in cells), strict=True))
    return _Pooled(float(np.mean(values)), value_R, cells[0].score.clusters, learnt, settled, values)


def _entry(key: Key, pooled: Mapping[Key, _Pooled], plan: TransferPlan) -> MatrixEntry:
    source, target, shots = key
    own = pooled[key]
    other = None if source in (PLAIN, target) else pooled.get((PLAIN, target, shots))
    leaks = plan.leaks.get((source, target))
    return MatrixEntry(
        source,
        target,
        shots,
        own.learnt,
        own.settled,
        own.value,
        percentile_interval(own.value_R, own.clusters),
        None if other is None else own.value - other.value,
        None if other is None else percentile_interval(own.value_R - other.value_R, own.clusters),
        own.by_seed,
        {} if leaks is None else leaks.found,
    )


def _worth(source: str, target: str, pooled: Mapping[Key, _Pooled]) -> RowsWorth:
    points = [one for (start, where, _), one in pooled.items() if (start, where) == (PLAIN, target)]
    score = pooled[source, target, 0]
    value_PR = np.array([one.value_R for one in points])
    return rows_worth(
        score.value,
        score.value_R,
        [one.learnt for one in points],
        np.array([one.value for one in points]),
        value_PR,
    )
