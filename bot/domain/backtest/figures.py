"""What a walk over history, and the drops planted in it, come to: counts with the intervals that belong to them."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise

from bot.domain.backtest.planting import Drop, DropShape, Heard, Planted
from bot.domain.backtest.walk import Passed
from bot.domain.incidents import Incident, IncidentState, Kind, SeriesKey, Step, Turn
from bot.domain.judge.findings import Outcome
from bot.domain.silence import SilencePolicy

DAYS_A_MONTH = 30.44
_CONFIDENCE = 0.95
_HEARD = frozenset({Turn.FILED, Turn.REPEATED, Turn.RESOLVED, Turn.RETURNED})  # what a ticket is told
_DIGEST = frozenset({Turn.SUSPECTED, Turn.DISMISSED})


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many."""

    count: int
    of: int

    @property
    def value(self) -> float:
        return self.count / self.of if self.of else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Return its 95 % interval, after Wilson (1927)."""
        from scipy.stats import binomtest

        if not self.of:
            return 0.0, 1.0
        found = binomtest(self.count, self.of).proportion_ci(_CONFIDENCE, method="wilson")
        return float(found.low), float(found.high)


@dataclass(frozen=True, slots=True)
class Rate:
    """So many events in so much time."""

    count: int
    lasted: timedelta

    @property
    def a_month(self) -> float:
        return self.count / self.months if self.months else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Return the 95 % interval of events a month, exact for a Poisson process (Garwood, 1936)."""
        from scipy.stats import chi2

        if not self.months:
            return 0.0, float("inf")
        tail = (1 - _CONFIDENCE) / 2
        low = float(chi2.ppf(tail, 2 * self.count)) / 2 if self.count else 0.0
        high = float(chi2.ppf(1 - tail, 2 * self.count + 2)) / 2
        return low / self.months, high / self.months

    @property
    def months(self) -> float:
        return self.lasted / timedelta(days=DAYS_A_MONTH)


@dataclass(frozen=True, slots=True)
class Filing:
    """A ticket as it would have been filed."""

    incident: Incident  # as it stood at the end
    filed: datetime
    closed: datetime | None  # None: it would be open still
    by: Passed | None = None  # the run that filed it; None of a silence
    step: Step | None = None
    comments: int = 0


def filings(passed: Sequence[Passed]) -> list[Filing]:
    """Return the tickets that runs would have filed, in their order."""
    found: dict[str, Filing] = {}
    for each in passed:
        for step in each.steps:
            known = found.get(step.incident.incident_id)
            if step.turn is Turn.FILED:
                found[step.incident.incident_id] = Filing(step.incident, each.judged.judged_at, None, each, step)
            elif known is not None:
                said = known.comments + (step.turn in _HEARD)
                closed = known.closed if step.incident.state.is_over else None
                closed = each.judged.judged_at if step.turn is Turn.RESOLVED else closed
                found[step.incident.incident_id] = Filing(
                    step.incident, known.filed, closed, known.by, known.step, said
                )
    return list(found.values())


def silences(passed: Sequence[Passed], policy: SilencePolicy | None, since: datetime, until: datetime) -> list[Filing]:
    """Return the tickets that would have said that no run came in time."""
    if policy is None or not passed:
        return []
    ends = sorted(each.run.ended for each in passed)
    found: list[Filing] = []
    pipeline = SeriesKey(passed[0].before.series.pipeline)
    for last, following in pairwise([*ends, None]):
        assert last is not None
        due = last + policy.cadence + policy.grace
        if since <= due < (following or until):
            state = IncidentState.RESOLVED if following else IncidentState.OPEN
            incident = Incident(f"silence-{len(found)}", Kind.STALE, pipeline, state, "", due, began_at=last)
            found.append(Filing(incident, due, following, comments=int(following is not None)))
    return found


def digest_only(passed: Sequence[Passed]) -> list[tuple[Passed, Step]]:
    """Return the suspicions that came to nothing: people would have read of them in the digest alone."""
    filed = {filing.incident.incident_id for filing in filings(passed)}
    filed |= {known for each in passed for known in each.told.superseded}  # they were of a ticket that came back
    steps = [(each, step) for each in passed for step in each.steps if not each.is_past]
    return [
        (each, step) for each, step in steps if step.turn is Turn.SUSPECTED and step.incident.incident_id not in filed
    ]


def improvements(passed: Sequence[Passed]) -> int:
    """Count the runs that would have been told as better than before."""
    return sum(not each.is_past and each.judged.outcome is Outcome.IMPROVED for each in passed)


def loud_days(passed: Sequence[Passed], silent: Iterable[Filing]) -> frozenset[date]:
    """Return the days on which somebody would have heard something: by a ticket, a comment, or a suspicion."""
    told = {
        each.judged.judged_at.date()
        for each in passed
        if not each.is_past and any(step.turn in _HEARD | _DIGEST for step in each.steps)
    }
    return frozenset(told | {filing.filed.date() for filing in silent})


def by_week(filed: Iterable[Filing], since: datetime, until: datetime) -> list[tuple[date, int]]:
    """Count tickets by week, which begins on Monday; weeks without any are there too."""
    monday = since.date() - timedelta(days=since.weekday())
    counts = Counter(each.filed.date() - timedelta(days=each.filed.weekday()) for each in filed)
    weeks = (until.date() - monday).days // 7 + 1
    return [(monday + timedelta(weeks=i), counts[monday + timedelta(weeks=i)]) for i in range(weeks)]


@dataclass(frozen=True, slots=True)
class Catch:
    """What came of all drops of one shape and size, of one metric or of all."""

    shape: DropShape
    size: float
    metric: str  # empty: of all metrics
    ticket: Share
    digest: Share
    after: float | None  # median of the runs until the ticket, the first bad one included; None where there was none


def catches(planted: Iterable[Planted]) -> list[Catch]:
    """Gather drops by shape and size: first of all metrics together, then of each."""
    groups: dict[tuple[str, DropShape, float], list[Planted]] = {}
    for each in planted:
        for metric in ("", each.drop.metric):
            groups.setdefault((metric, each.drop.shape, each.drop.size), []).append(each)
    shapes = list(DropShape)
    in_order = sorted(groups.items(), key=lambda item: (item[0][0], shapes.index(item[0][1]), item[0][2]))
    return [_catch(Drop(*key), some) for key, some in in_order]


def _catch(drop: Drop, some: Sequence[Planted]) -> Catch:
    late = [each.after for each in some if each.heard is Heard.TICKET and each.after is not None]
    heard = Counter(each.heard for each in some)
    return Catch(
        drop.shape,
        drop.size,
        drop.metric,
        Share(heard[Heard.TICKET], len(some)),
        Share(heard[Heard.DIGEST], len(some)),
        statistics.median(late) if late else None,
    )


def caught(found: Iterable[Catch]) -> float:
    """Return the share of drops that got a ticket, over lasting ones of all sizes alike."""
    shares = [each.ticket.value for each in found if not each.metric and each.shape is not DropShape.SINGLE]
    return statistics.fmean(shares) if shares else 0.0


def false_tickets(healthy: Sequence[Sequence[Passed]], metrics: Iterable[str], lasts: timedelta) -> dict[str, Rate]:
    """Count the tickets of histories in which nothing is wrong, each of which *lasts* so long.

    By metric, and under the empty name all of them.
    """
    filed = [filing for passed in healthy for filing in filings(passed)]
    whole = lasts * len(healthy)
    counts: Mapping[str, int] = Counter(metric for filing in filed for metric in filing.incident.whole)
    return {"": Rate(len(filed), whole), **{name: Rate(counts.get(name, 0), whole) for name in metrics}}
