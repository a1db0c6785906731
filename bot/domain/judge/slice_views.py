"""The slices of a run beside the same slices of earlier ones: of single columns, and of pairs of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bot.domain.judge.alignment import Alignment, Division
from bot.domain.judge.findings import Streak, key_of
from bot.domain.judge.paired import Rows
from bot.domain.judge.slice_levels import SliceRuns
from bot.domain.policy import MetricPolicy, Policies
from bot.domain.runs import ExampleTable, Slice

MOST_CELLS = 200  # combinations of two columns that are looked at, the largest


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is known of slices from earlier runs, by their keys."""

    unfit: Mapping[str, tuple[str, ...]]  # runs that are no baseline
    streaks: Mapping[str, Streak]


@dataclass(frozen=True, slots=True)
class SliceView:
    """A slice of the judged run beside the same slice of earlier ones."""

    part: Slice
    rows: Rows
    ids: tuple[str, ...]  # of the earlier runs
    runs: SliceRuns


@dataclass(frozen=True, slots=True)
class Family:
    """The slices of one column, or of two."""

    columns: tuple[str, ...]
    views: tuple[SliceView, ...]
    too_small: int = 0  # combinations
    beyond: int = 0

    @property
    def is_pair(self) -> bool:
        return len(self.columns) > 1


@dataclass(frozen=True, slots=True)
class Table:
    """The tables of a metric that slices are cut from."""

    alignment: Alignment
    tables: Mapping[str, ExampleTable]
    policy: MetricPolicy
    policies: Policies

    def whole(self, outside: Sequence[Slice] = ()) -> Rows | None:
        return self.alignment.whole(self.policy.name, self.tables, outside)

    def cut(self, columns: tuple[str, ...], outside: Sequence[Slice] = ()) -> Division | None:
        return self.alignment.cut(self.policy.name, self.tables, columns, outside)


def view_families(table: Table, remembered: Remembered) -> Iterator[Family]:
    """View the slices of the columns, which are one family, and of each pair of them."""
    singles = [view for column in table.policies.slice_by for view in view_slices(table, (column,), remembered)[0]]
    yield Family((), tuple(singles))
    for pair in table.policies.slice_pairs:
        views, too_small = view_slices(table, pair, remembered)
        largest = sorted(views, key=lambda view: -view.rows.n)[:MOST_CELLS]
        yield Family(pair, tuple(largest), too_small, len(views) - len(largest))


def view_slices(table: Table, columns: tuple[str, ...], remembered: Remembered) -> tuple[list[SliceView], int]:
    """Return the slices that have enough examples, and how many have fewer."""
    cut = table.cut(columns)
    if cut is None:
        return [], 0
    views = []
    for place, part in enumerate(cut.parts):
        unfit = remembered.unfit.get(key_of(table.policy.name, part), ())
        fit = [run_id not in unfit for run_id in cut.run_ids]
        rows = cut.rows(place, fit) if cut.size(place) >= table.policies.min_slice_examples else None
        if rows is not None and part is not None:
            values = table.policy.direction.sign * np.append(rows.baselines, rows.candidate)
            views.append(SliceView(part, rows, cut.run_ids, SliceRuns(values, np.array(fit), rows.n, rows.variance)))
    return views, len(cut.parts) - len(views)
