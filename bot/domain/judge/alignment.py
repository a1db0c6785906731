"""The examples of a run beside those of earlier runs: all of them, or those of every value of a column, or of two.

Names are compared once a table; every metric and every cut after that works on numbers, however many parts it has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from bot.domain.judge.paired import MIN_EXAMPLES, Rows, are_usable
from bot.domain.runs import Bools, ExampleTable, Floats, Ints, Slice, Strings

NOWHERE = -1  # of a name that the judged run lacks
OWN = ""  # the judged run, among the ids of others


@dataclass(frozen=True, slots=True)
class Division:
    """The shared examples of every part of one cut, part after part."""

    run_ids: tuple[str, ...]  # of the earlier runs that can be cut so
    parts: tuple[Slice | None, ...]  # None: all examples, in the cut by no column
    starts: tuple[int, ...]  # of each part's examples, and where the last one ends
    now: Floats  # an example each
    before: Floats  # (runs, examples)
    shares: Floats  # an example each: how much of it lies in the part, by weight
    examples: Ints  # an example each: its number among those of the judged run

    def rows(self, place: int, fit: Sequence[bool]) -> Rows | None:
        """Hold the examples of one part against the runs that are *fit*; None where there are too few."""
        chosen = slice(self.starts[place], self.starts[place + 1])
        now, before = self.now[chosen], self.before[:, chosen]
        held = before[np.array(fit, dtype=bool)]
        if len(now) < MIN_EXAMPLES or not len(held):
            return None
        differences = now - held.mean(axis=0)
        with np.errstate(all="ignore"):  # of weights that are none
            lost = float((differences * self.shares[chosen]).sum())
        variance = float(held.var(axis=0, ddof=1).mean()) if len(held) > 1 else 0.0
        lost = lost if math.isfinite(lost) else 0.0
        return Rows(differences, float(now.mean()), before.mean(axis=1), lost, variance)

    def size(self, place: int) -> int:
        return self.starts[place + 1] - self.starts[place]


class Alignment:
    """Lines up the examples of one run with those of others, and remembers what it knows of their names."""

    def __init__(self, candidate: ExampleTable) -> None:
        self._candidate = candidate
        self._values: dict[str, Strings] = {}  # by column
        self._codes: dict[tuple[str, str], Ints] = {}  # by run and column
        self.names, own = np.unique(candidate.example_ids, return_inverse=True)
        self._ids = {OWN: own.astype(np.int64)}  # by run
        with np.errstate(all="ignore"):
            self._weights = np.bincount(own, weights=candidate.weights, minlength=len(self.names))

    def whole(self, metric: str, tables: Mapping[str, ExampleTable], outside: Sequence[Slice] = ()) -> Rows | None:
        """Hold all examples that every table has against those of earlier runs; None where they are too few."""
        cut = self.cut(metric, tables, (), outside)
        return cut.rows(0, [True] * len(cut.run_ids)) if cut is not None and cut.parts else None

    def cut(
        self, metric: str, tables: Mapping[str, ExampleTable], columns: tuple[str, ...], outside: Sequence[Slice] = ()
    ) -> Division | None:
        """Cut by the values of *columns*, at most two, leaving out what lies in any of some parts.

        None where the run, or each of the earlier ones, lacks the metric or a column.
        """
        if not _can_be_cut(self._candidate, metric, columns):
            return None
        there = tuple(run_id for run_id, table in tables.items() if _can_be_cut(table, metric, columns))
        if not there:
            return None
        keys, now, weights = self._valued(self._candidate, OWN, metric, columns, outside)
        found = [self._valued(tables[run_id], run_id, metric, columns, outside)[:2] for run_id in there]
        shared = reduce(
            lambda left, right: np.intersect1d(left, right, assume_unique=True), (k for k, _ in found), keys
        )
        before = np.vstack([values[np.searchsorted(each, shared)] for each, values in found])
        placed = np.searchsorted(keys, shared)
        now, weights = now[placed], weights[placed]
        known = are_usable(now) & are_usable(before).all(axis=0)
        shared, now, before, weights = shared[known], now[known], before[:, known], weights[known]
        cells, examples = np.divmod(shared, len(self.names))
        with np.errstate(all="ignore"):
            shares = weights / self._weights[examples]
        distinct, starts = np.unique(cells, return_index=True)
        return Division(
            there,
            tuple(self._part(int(cell), columns) for cell in distinct),
            (*(int(start) for start in starts), len(shared)),
            now,
            before,
            shares,
            examples,
        )

    def _valued(
        self, table: ExampleTable, run_id: str, metric: str, columns: tuple[str, ...], outside: Sequence[Slice]
    ) -> tuple[Ints, Floats, Floats]:
        """Return a key an example and part, sorted; its value and its weight."""
        ids = self._numbered(table, run_id)
        cells = self._cells(table, run_id, columns)
        kept = (cells != NOWHERE) & (ids != NOWHERE)
        for part in outside:
            kept &= ~self._inside(table, run_id, part)
        keys, places = np.unique(cells[kept] * len(self.names) + ids[kept], return_inverse=True)
        weights = table.weights[kept]
        with np.errstate(all="ignore"):  # an example without weight, or of absurd values, has no value
            total = np.bincount(places, weights=weights, minlength=len(keys))
            summed = np.bincount(places, weights=weights * table.metrics[metric][kept], minlength=len(keys))
            return keys, summed / total, np.asarray(total, dtype=np.float64)

    def _numbered(self, table: ExampleTable, run_id: str) -> Ints:
        if run_id not in self._ids:
            same = np.array_equal(table.example_ids, self._candidate.example_ids)
            self._ids[run_id] = self._ids[OWN] if same else _coded(table.example_ids, self.names)
        return self._ids[run_id]

    def _cells(self, table: ExampleTable, run_id: str, columns: tuple[str, ...]) -> Ints:
        """Return the part that each row lies in, by its number."""
        cells = np.zeros(len(table.example_ids), dtype=np.int64)
        for column in columns:
            codes = self._coded(table, run_id, column)
            both = cells * len(self._values[column]) + codes
            cells = np.where((cells == NOWHERE) | (codes == NOWHERE), NOWHERE, both)
        return cells

    def _part(self, cell: int, columns: tuple[str, ...]) -> Slice | None:
        conditions = []
        for column in reversed(columns):
            cell, code = divmod(cell, len(self._values[column]))
            conditions.append((column, str(self._values[column][code])))
        part: Slice | None = None
        for column, value in reversed(conditions):
            part = Slice(column, value, part)
        return part

    def _inside(self, table: ExampleTable, run_id: str, part: Slice) -> Bools:
        inside = np.ones(len(table.example_ids), dtype=bool)
        for column, value in part.conditions:
            if column not in table.slices:
                return np.zeros(len(table.example_ids), dtype=bool)
            codes = self._coded(table, run_id, column)
            inside &= codes == int(np.searchsorted(self._values[column], value))
        return inside

    def _coded(self, table: ExampleTable, run_id: str, column: str) -> Ints:
        if column not in self._values:
            values, codes = np.unique(self._candidate.slices[column], return_inverse=True)
            self._values[column], self._codes[OWN, column] = values, codes.astype(np.int64)
        if (run_id, column) not in self._codes:
            same = np.array_equal(table.slices[column], self._candidate.slices[column])
            own = self._codes[OWN, column]
            self._codes[run_id, column] = own if same else _coded(table.slices[column], self._values[column])
        return self._codes[run_id, column]


def _can_be_cut(table: ExampleTable, metric: str, columns: Sequence[str]) -> bool:
    return metric in table.metrics and all(column in table.slices for column in columns)


def _coded(names: Strings, known: Strings) -> Ints:
    """Return the place of each name among those that are *known*, which are sorted."""
    places = np.searchsorted(known, names).astype(np.int64)
    places[places == len(known)] = 0
    places[known[places] != names] = NOWHERE
    return places
