"""What a next-item run reports: every scorer beside every other, with repeats and without, and what the model gains."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from trainer.data.snapshot import Snapshot
from trainer.measures.bootstrap import table_intervals
from trainer.measures.per_example import PerExample, aggregate
from trainer.tasks.next_item_ranking import (
    PERSONAL,
    POPULARITY,
    HeldOutTrips,
    ScoreUsers,
    measure,
    only_new,
    score_without_text,
)

NEW_ONLY = "new only"
SHOWN = ("hr_at_10", "ndcg_at_10")


@dataclass(frozen=True, slots=True)
class NextItemReport:
    """The table of the scored model, metrics of every scorer, and in words what needs saying."""

    table: PerExample
    compared: dict[str, dict[str, float]]
    notes: Mapping[str, str]


def report(
    snapshot: Snapshot,
    test: HeldOutTrips,
    models: Mapping[str, ScoreUsers],
    name: str,
    factors: int,
    slice_column: str,
) -> NextItemReport:
    """Rank by every model and by what needs none; *name* is the model to be judged."""
    tables: dict[str, PerExample] = {}
    compared: dict[str, dict[str, float]] = {}
    popular: ScoreUsers | None = None
    for other, score in (*score_without_text(snapshot, test, factors), *models.items()):
        tables[other], compared[other] = measure(snapshot, test, score, slice_column)
        popular = score if other == POPULARITY else popular
    rival = PERSONAL if test.repeats else POPULARITY
    notes = {f"beside {rival}": tell_difference(tables[name], tables[rival])}
    assert popular is not None
    if test.repeats:
        rows = _measure_new(snapshot, test, {POPULARITY: popular, name: models[name]}, slice_column)
        new = dict(rows)
        if new:
            notes[NEW_ONLY] = _tell_new(new[name][0], new[POPULARITY][0])
            compared = _beside(compared, {f"{other} {NEW_ONLY}": values for other, (_, values) in new.items()}, name)
    return NextItemReport(tables[name], compared, notes)


def tell_difference(own: PerExample, other: PerExample) -> str:
    """Say how much higher some metrics are than another scorer's on the same examples, and how sure that is."""
    gained = replace(own, values={metric: own.values[metric] - other.values[metric] for metric in SHOWN})
    means, intervals = aggregate(gained), table_intervals(gained)
    told = []
    for metric, mean in means.items():
        interval = intervals.get(metric)
        sure = "" if interval is None else f" ({interval.low:+.4f} to {interval.high:+.4f})"
        told.append(f"{metric} {mean:+.4f}{sure}")
    return f"{', '.join(told)}; 95 % of the paired difference, by {own.unit}"


def _measure_new(
    snapshot: Snapshot, test: HeldOutTrips, models: Mapping[str, ScoreUsers], slice_column: str
) -> Iterator[tuple[str, tuple[PerExample, dict[str, float]]]]:
    new, left = only_new(test)
    if not len(left):
        return
    for name, score in models.items():
        yield name, measure(snapshot, new, _for_those_left(score, left), slice_column)


def _for_those_left(score: ScoreUsers, left: npt.NDArray[np.int64]) -> ScoreUsers:
    return lambda users: score(left[users])


def _tell_new(own: PerExample, popular: PerExample) -> str:
    users = len(set(own.example_ids))
    return (
        f"what its user had never chosen, which is taken from every list, for the {users} users who chose such; "
        f"beside popularity {tell_difference(own, popular)}"
    )


def _beside(
    compared: Mapping[str, dict[str, float]], new: Mapping[str, dict[str, float]], last: str
) -> dict[str, dict[str, float]]:
    """Let the judged model stay the last row: its intervals stand under it."""
    others = {name: values for name, values in compared.items() if name != last}
    return {**others, **new, last: compared[last]}
