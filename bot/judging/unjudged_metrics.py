"""Metrics that cannot be judged as things stand: which, why, and since which run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection

from bot.domain.judge.findings import Finding, Outcome, Reason, unjudged
from bot.domain.judged_run import JudgedRun
from bot.store import runs
from bot.text.formats import is_infinite

_LOOKED_BACK = 40  # runs at first, and ten times as many where that is not enough

_WORDS = {
    Reason.MISSING: "is missing",
    Reason.UNDEFINED: "is not defined by the data of the run",
    Reason.NOT_A_NUMBER: "is not a number",
    Reason.ABSURD: "is beyond all measure",
    Reason.OUT_OF_BOUNDS: "is outside the bounds the team has set",
    Reason.DATA_CHANGED: "cannot be compared, since the data behind it changed",
}


@dataclass(frozen=True, slots=True)
class UnjudgedMetric:
    """A metric that the newest runs of a series leave unjudged."""

    last: JudgedRun  # the newest run that says anything of metrics
    finding: Finding
    since: JudgedRun | None  # the first run of those that leave it so; None where no run has ever had it

    def __str__(self) -> str:
        if self.since is None:
            return "no run has ever had it"
        if self.finding.reason is Reason.ABSURD and self.finding.value is not None and is_infinite(self.finding.value):
            return "is infinite"
        return _WORDS.get(self.finding.reason, "cannot be judged")


def find_unjudged(tx: Connection, pipeline: str) -> Iterator[UnjudgedMetric]:
    """Yield what cannot be judged in each of the pipeline's series."""
    return unjudged_of(tx, runs.latest_of_each(tx, pipeline))


def unjudged_of(tx: Connection, latest: Iterable[JudgedRun]) -> Iterator[UnjudgedMetric]:
    """Yield what cannot be judged in series of which these are the latest runs."""
    for newest in latest:
        last = _newest_of_metrics(tx, newest)
        for finding in unjudged(last.findings):
            since = None if finding.is_unheard_of else first_unjudged(tx, last, finding.metric)
            yield UnjudgedMetric(last, finding, since)


def first_unjudged(tx: Connection, last: JudgedRun, metric: str) -> JudgedRun:
    """Return the first of the runs up to *last* that leave a metric unjudged; those that failed say nothing of it."""
    first, limit = last, _LOOKED_BACK
    while True:
        found = runs.recent(tx, last.series, limit, before=last.run.ended)
        for earlier in reversed(found):
            if earlier.outcome is Outcome.FAILED:
                continue
            if metric not in {finding.metric for finding in unjudged(earlier.findings)}:
                return first
            first = earlier
        if len(found) < limit:
            return first
        first, limit = last, limit * 10


def _newest_of_metrics(tx: Connection, newest: JudgedRun) -> JudgedRun:
    """Return the newest run of a series that did not merely fail; the newest of all where there is none."""
    if newest.outcome is not Outcome.FAILED:
        return newest
    earlier = (run for run in reversed(runs.recent(tx, newest.series, _LOOKED_BACK)))
    return next((run for run in earlier if run.outcome is not Outcome.FAILED), newest)
