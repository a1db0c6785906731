"""What a next-item run reports: every scorer beside every other, with repeats and without, and what the model gains."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from trainer.data.snapshot import Snapshot
from trainer.data.trips import split_trips
from trainer.jobs.schema import ScoreJob
from trainer.measures.bootstrap import table_intervals
from trainer.measures.per_example import PerExample, aggregate
from trainer.task import Outcome
from trainer.tasks.next_item_ranking import (
    PERSONAL,
    POPULARITY,
    HeldOutTrips,
    ScoreUsers,
    collect_test,
    distinct_texts,
    measure_parts,
    only_new,
    score_without_text,
)

NEW_ONLY, TEXTS_ALONE = "new only", "texts alone"
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
    everything, (new, left) = (test, np.arange(len(test.trips))), only_new(test)
    with_new = test.repeats and len(left) > 0
    tables: dict[str, PerExample] = {}
    compared: dict[str, dict[str, float]] = {}
    for other, score in (*score_without_text(snapshot, test, factors), *models.items()):
        parts = [everything, (new, left)] if with_new and other in (POPULARITY, name) else [everything]
        found = measure_parts(snapshot, parts, score, slice_column)
        for label, (table, metrics) in zip((other, f"{other} {NEW_ONLY}"), found, strict=False):
            tables[label], compared[label] = table, metrics
    rival = PERSONAL if test.repeats else POPULARITY
    beside = [rival, *([TEXTS_ALONE] if TEXTS_ALONE in tables else [])]  # a mix is no gain on every kind of data
    notes = {f"beside {other}": tell_difference(tables[name], tables[other]) for other in beside}
    if with_new:
        notes[NEW_ONLY] = _tell_new(tables[f"{name} {NEW_ONLY}"], tables[f"{POPULARITY} {NEW_ONLY}"])
    return NextItemReport(tables[name], _in_order(compared, name), notes)


def report_popularity(snapshot: Snapshot, min_history_days: float, settings: ScoreJob, slice_column: str) -> Outcome:
    """Rank a catalogue for every test user by how often its items are chosen in what may be learnt, without a model."""
    _, trips = split_trips(snapshot.purchases, snapshot.use, min_history_days=min_history_days)
    test = collect_test(snapshot, trips, distinct_texts(snapshot.catalogue), settings)
    name, score = next(score_without_text(snapshot, test, factors=0))
    ((table, metrics),) = measure_parts(snapshot, [(test, np.arange(len(trips)))], score, slice_column)
    return Outcome(name, metrics, {name: metrics}, table)


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


def _tell_new(own: PerExample, popular: PerExample) -> str:
    users = len(set(own.example_ids))
    return (
        f"what its user had never chosen, which is taken from every list, for the {users} users who chose such; "
        f"beside popularity {tell_difference(own, popular)}"
    )


def _in_order(compared: Mapping[str, dict[str, float]], last: str) -> dict[str, dict[str, float]]:
    """Let new items alone follow, and the judged model be the last row: its intervals stand under it."""
    names = sorted((name for name in compared if name != last), key=lambda name: name.endswith(NEW_ONLY))
    return {name: compared[name] for name in (*names, last)}
