"""What a walk over history, and the drops planted in it, come to: counts with the intervals that belong to them."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise

from bot.domain.backtest.drops import DropShape, Heard, Planted
from bot.domain.backtest.walk import Passed
from bot.domain.incidents import Incident, IncidentState, Kind, SeriesKey, Step, Turn
from bot.domain.judge.findings import Outcome
from bot.domain.silence import SilencePolicy

DAYS_A_MONTH = 30.44
_CONFIDENCE = 0.95
_QUANTILE = 1.959964  # of the normal distribution, for that
_A_STRETCH = 3  # as many places in one stretch of runs, at most, have nothing to do with one another
_LEAST_DF = 4  # of what stretches show: fewer make intervals of anything
_USUAL_DOUBT = 0.25  # of a rate of false tickets, by what a history leaves open of its noise
_USUAL_WEIGHT = 20.0  # tickets, that this counts as much as
_LASTING = {DropShape.STEP, DropShape.DECAY}
_HEARD = frozenset({Turn.FILED, Turn.REPEATED, Turn.RESOLVED, Turn.RETURNED})  # what a ticket is told
_DIGEST = frozenset({Turn.SUSPECTED, Turn.DISMISSED})


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many."""

    count: int
    of: int
    telling: float | None = None  # as how many that have nothing to do with one another these count; None: all of them

    @property
    def value(self) -> float:
        return self.count / self.of if self.of else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Return its 95 % interval, after Wilson (1927)."""
        if not self.of:
            return 0.0, 1.0
        size = _QUANTILE**2 / (self.of if self.telling is None else self.telling)
        middle = (self.value + size / 2) / (1 + size)
        half = math.sqrt(self.value * (1 - self.value) * size + size**2 / 4) / (1 + size)
        return max(0.0, min(middle - half, self.value)), min(1.0, max(middle + half, self.value))


@dataclass(frozen=True, slots=True)
class Rate:
    """So many events in so much time."""

    count: int
    lasted: timedelta
    doubt: float = 0.0  # standard error of the rate, as a share of it, however long it is watched

    @property
    def a_month(self) -> float:
        return self.count / self.months if self.months else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Return the 95 % interval of events a month, exact for a Poisson process (Garwood, 1936).

        Where the rate is in doubt, the events count for as many as would leave that much doubt.
        """
        from scipy.stats import chi2

        if not self.months:
            return 0.0, float("inf")
        tail, kept = (1 - _CONFIDENCE) / 2, 1 / (1 + self.count * self.doubt**2)
        low = float(chi2.ppf(tail, 2 * self.count * kept)) / 2 if self.count else 0.0
        high = float(chi2.ppf(1 - tail, 2 * self.count * kept + 2)) / 2
        return low / (self.months * kept), high / (self.months * kept)

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
    groups: dict[tuple[str, DropShape], dict[float, list[Planted]]] = {}
    for each in planted:
        for metric in ("", each.drop.metric):
            groups.setdefault((metric, each.drop.shape), {}).setdefault(each.drop.size, []).append(each)
    shapes = list(DropShape)
    in_order = sorted(groups.items(), key=lambda item: (item[0][0], shapes.index(item[0][1])))
    return [found for (metric, shape), by_size in in_order for found in _catches_of(metric, shape, by_size)]


def _catches_of(metric: str, shape: DropShape, by_size: Mapping[float, Sequence[Planted]]) -> Iterator[Catch]:
    """Yield what came of drops of one shape, smallest first.

    How surely that is known, the number of drops does not say. Those of one stretch of runs share these, which a
    ratio of variances over stretches shows for all sizes together (the design effect: Kish, 1965, section 8.2); and
    spreads are estimated: were they larger, more drops of so many of them would be caught.
    """
    sizes = sorted(by_size)
    shares = [sum(each.heard is Heard.TICKET for each in by_size[size]) / len(by_size[size]) for size in sizes]
    together, steps = _design_effect(by_size.values()), _slopes(sizes, shares)
    for size, step in zip(sizes, steps, strict=True):
        some = by_size[size]
        late = [each.after for each in some if each.heard is Heard.TICKET and each.after is not None]
        heard = Counter(each.heard for each in some)
        doubt = step * _doubt_of_spread(some)
        yield Catch(
            shape,
            size,
            metric,
            _share(heard[Heard.TICKET], len(some), together, doubt),
            _share(heard[Heard.DIGEST], len(some), together),
            statistics.median(late) if late else None,
        )


def _share(count: int, of: int, together: float, doubt: float = 0.0) -> Share:
    variance = (count + 1) * (of - count + 1) / (of + 2) ** 2  # a share of none may be of few
    return Share(count, of, variance / (variance * together / of + doubt**2))


def _design_effect(groups: Iterable[Sequence[Planted]]) -> float:
    """Return how many drops at places that share runs tell as much as one by itself; at least 1."""
    found, expected, stretches, most = 0.0, 0.0, 1, 0
    for some in groups:
        most = max(most, len(some))
        share = sum(each.heard is Heard.TICKET for each in some) / len(some)
        sums: dict[tuple[str, int], float] = {}
        for each in some:
            key = each.series, each.stretch
            sums[key] = sums.get(key, 0.0) + (each.heard is Heard.TICKET) - share
        stretches = max(stretches, len(sums))
        found += sum(value**2 for value in sums.values()) * len(sums) / max(len(sums) - 1, 1)
        expected += share * (1 - share) * len(some)
    effect = max(1.0, found / expected if expected else 1.0, most / (_A_STRETCH * stretches))
    return effect * (_t_quantile(stretches - 1) / _QUANTILE) ** 2  # few stretches do not show it well


def _t_quantile(df: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(max(df, _LEAST_DF), (1 + _CONFIDENCE) / 2))


def _slopes(sizes: Sequence[float], shares: Sequence[float]) -> list[float]:
    """Return at each size how much more are caught where drops are larger by as much again: between its neighbours."""
    last = len(sizes) - 1
    ends = [(max(i - 1, 0), min(i + 1, last)) for i in range(len(sizes))]
    return [
        (shares[high] - shares[low]) / math.log(sizes[high] / sizes[low]) if high > low else 0.0 for low, high in ends
    ]


def _doubt_of_spread(some: Sequence[Planted]) -> float:
    """Return the standard error of the spreads that drops are measured in, those of one metric being wrong alike."""
    parts = Counter((each.series, each.drop.metric, each.doubt) for each in some)
    return math.sqrt(sum((count * doubt / len(some)) ** 2 for (_, _, doubt), count in parts.items()))


def caught(found: Iterable[Catch]) -> float:
    """Return the share of drops that got a ticket, over lasting ones of all sizes alike."""
    shares = [each.ticket.value for each in found if not each.metric and each.shape in _LASTING]
    return statistics.fmean(shares) if shares else 0.0


def false_tickets(healthy: Sequence[Sequence[Passed]], metrics: Iterable[str], lasts: timedelta) -> dict[str, Rate]:
    """Count the tickets of histories in which nothing is wrong, each of which *lasts* so long.

    By metric, and under the empty name all of them.
    """
    by_history = [filings(passed) for passed in healthy]
    whole = lasts * len(healthy)

    def rate(counts: Sequence[int]) -> Rate:
        return Rate(sum(counts), whole, _doubt_between(counts))

    named = {name: [sum(name in f.incident.whole for f in filed) for filed in by_history] for name in metrics}
    return {"": rate([len(filed) for filed in by_history])} | {name: rate(counts) for name, counts in named.items()}


def _doubt_between(counts: Sequence[int]) -> float:
    """Return how much more the *counts* of histories differ than such counts do by chance, as a share of their mean.

    Each history has noise as this pipeline's may be, and the truth is that of one of them. Few counts show little of
    that, and are taken together with what is usual.
    """
    mean, beyond = statistics.fmean(counts) if counts else 0.0, 0.0
    if len(counts) > 1 and mean:
        beyond = max(0.0, (statistics.variance(counts) - mean) / mean**2)
    known = mean * sum(1 for _ in counts)
    return math.sqrt((_USUAL_WEIGHT * _USUAL_DOUBT**2 + known * beyond) / (_USUAL_WEIGHT + known))
