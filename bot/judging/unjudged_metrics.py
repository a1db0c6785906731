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
class Stretch:
    """The runs in a row that leave a metric unjudged, up to the newest."""

    first: JudgedRun
    is_alike: bool  # all of them for the reason of the newest


@dataclass(frozen=True, slots=True)
class UnjudgedMetric:
    """A metric that the newest runs of a series leave unjudged."""

    last: JudgedRun  # the newest run that says anything of metrics
    finding: Finding
    stretch: Stretch | None  # the runs that leave it so; None where no run has ever had it

    @property
    def since(self) -> JudgedRun | None:
        return self.stretch.first if self.stretch is not None else None

    def __str__(self) -> str:
        if self.stretch is None:
            return "no run has ever had it"
        if self.finding.reason is Reason.ABSURD and _is_infinite(self.finding):
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
            stretch = None if finding.is_unheard_of else unjudged_stretch(tx, last, finding)
            yield UnjudgedMetric(last, finding, stretch)


def unjudged_stretch(tx: Connection, last: JudgedRun, finding: Finding) -> Stretch:
    """Return the runs up to *last* that leave a finding's metric unjudged; those that failed say nothing of it."""
    limit = _LOOKED_BACK
    while True:
        first, is_alike = last, True
        found = runs.recent(tx, last.series, limit, before=last.run.ended)
        for earlier in reversed(found):
            if earlier.outcome is Outcome.FAILED:
                continue
            was = next((each for each in unjudged(earlier.findings) if each.metric == finding.metric), None)
            if was is None:
                return Stretch(first, is_alike)
            first = earlier
            is_alike = is_alike and was.reason is finding.reason and _is_infinite(was) == _is_infinite(finding)
        if len(found) < limit:
            return Stretch(first, is_alike)
        limit *= 10


def _is_infinite(finding: Finding) -> bool:
    return finding.value is not None and is_infinite(finding.value)


def _newest_of_metrics(tx: Connection, newest: JudgedRun) -> JudgedRun:
    """Return the newest run of a series that did not merely fail; the newest of all where there is none."""
    if newest.outcome is not Outcome.FAILED:
        return newest
    earlier = (run for run in reversed(runs.recent(tx, newest.series, _LOOKED_BACK)))
    return next((run for run in earlier if run.outcome is not Outcome.FAILED), newest)
