"""Which earlier runs a run is held against."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bot.domain.judge.findings import Streak, serving
from bot.domain.judged_run import JudgedRun

BASELINE_RUNS = 20  # that one metric, or one slice, is held against
BEFORE_FALL = 10  # accepted runs of before a fall that stands: of a slice, the newest have none that is fit


@dataclass(frozen=True, slots=True)
class BaselineChoice:
    """Earlier runs, oldest first."""

    runs: tuple[JudgedRun, ...]
    partly: Mapping[str, frozenset[str]]  # by run that was not accepted: the metrics in which nothing was wrong


def choose_baseline(earlier: Sequence[JudgedRun], metrics: Collection[str], onsets: Collection[str]) -> BaselineChoice:
    """Choose of a series' earlier runs, in their order, those that the next one is held against.

    These are the newest accepted runs; of the newest of all, those that serve some of the *metrics*, so that a metric
    which is bad, or broken, for weeks does not hold the others to the baseline of long ago; and some accepted runs of
    before the earliest of the *onsets* of what stands.
    """
    accepted = [judged for judged in earlier if judged.accepted]
    partly = {
        judged.run.run_id: serves
        for judged in earlier[-BASELINE_RUNS:]
        if not judged.accepted and (serves := serving(judged.findings).intersection(metrics))
    }
    if not partly and not onsets:
        return BaselineChoice(tuple(accepted[-BASELINE_RUNS:]), partly)
    first = next((judged.run.place for judged in earlier if judged.run.run_id in onsets), None)
    before = [] if first is None else [judged for judged in accepted if judged.run.place < first][-BEFORE_FALL:]
    chosen = {judged.run.run_id for judged in (*accepted[-BASELINE_RUNS:], *before)} | partly.keys()
    return BaselineChoice(tuple(judged for judged in earlier if judged.run.run_id in chosen), partly)


def in_order(*some: Iterable[JudgedRun]) -> list[JudgedRun]:
    """Return each of the runs once, in the order in which they ended."""
    each = {judged.run.run_id: judged for runs in some for judged in runs}
    return sorted(each.values(), key=lambda judged: judged.run.place)


def onsets_of(streaks: Mapping[str, Streak]) -> frozenset[str]:
    return frozenset(streak.onset for streak in streaks.values())
