"""How often the tickets about a metric were right, by what people answered them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.domain.incidents import Incident, Kind
from bot.domain.judge.findings import whole_of
from bot.domain.rules import Medium, Person, Rule, RuleKind, SaidAt, Scope

_Z = 1.959964  # two-sided 95 %
DIGEST_ONLY = timedelta(days=90)  # then it is told again, and counted anew
HERALD = Person("herald", "Herald")
_SAYS = (RuleKind.FIXED, RuleKind.NOISE, RuleKind.EXPECTED)


@dataclass(frozen=True, slots=True)
class Tally:
    """What people answered to the tickets about one metric."""

    pipeline: str
    metric: str
    fixed: int = 0
    noise: int = 0
    expected: int = 0
    others: int = 0  # tickets of which nobody has said so

    @property
    def judged(self) -> int:
        return self.fixed + self.noise + self.expected

    @property
    def precision(self) -> float | None:
        """The share of judged tickets that somebody had to fix something for; None where none was judged."""
        return self.fixed / self.judged if self.judged else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where the true share lies with a certainty of 95 %, after E. B. Wilson (1927).

        It holds for a handful of tickets too, where the textbook interval is far too narrow.
        """
        share, n = self.precision, self.judged
        if share is None:
            return None
        middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
        half = _Z / (1 + _Z**2 / n) * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
        return max(middle - half, 0.0), min(middle + half, 1.0)

    def is_surely_below(self, floor: float) -> bool:
        """Say whether the tickets are right less often than that, whatever chance may have done."""
        return self.interval is not None and self.interval[1] < floor


def tally(incidents: Iterable[Incident], rules: Iterable[Rule]) -> Sequence[Tally]:
    """Count by pipeline and metric how tickets about levels were answered, those with the lowest share first.

    Of several answers to one ticket the last counts; one that was taken back does not, nor does silence: a mute, an
    acceptance or a duplicate says nothing of whether it was right.
    """
    last: dict[str, RuleKind] = {}
    for rule in sorted(rules, key=lambda each: each.number):
        if rule.kind in _SAYS and rule.undone_at is None:
            last[rule.scope.incident_id] = rule.kind
    found: dict[tuple[str, str], Tally] = {}
    for incident in incidents:
        if incident.kind is not Kind.REGRESSED or incident.told_at is None:
            continue
        for metric in sorted({whole_of(key) for key in incident.fallen}):
            name = incident.series.pipeline, metric
            found[name] = _counted(found.get(name, Tally(*name)), last.get(incident.incident_id))
    return sorted(found.values(), key=lambda each: (each.precision is None, each.precision or 0.0, each.metric))


def _counted(tally: Tally, said: RuleKind | None) -> Tally:
    match said:
        case RuleKind.FIXED:
            return replace(tally, fixed=tally.fixed + 1)
        case RuleKind.NOISE:
            return replace(tally, noise=tally.noise + 1)
        case RuleKind.EXPECTED:
            return replace(tally, expected=tally.expected + 1)
        case _:
            return replace(tally, others=tally.others + 1)


def below_their_floors(tallies: Iterable[Tally], floors: Mapping[str, float | None]) -> tuple[Tally, ...]:
    """Return the metrics whose tickets are surely right less often than their pipeline asks; without a floor none."""
    return tuple(each for each in tallies if (floor := floors.get(each.pipeline)) and each.is_surely_below(floor))


def digest_only(
    low: Iterable[Tally], incidents: Iterable[Incident], rules: Sequence[Rule], reason: str, now: datetime
) -> tuple[Rule, ...]:
    """Return the rules that let metrics be told in the digest alone: mutes as any other, which anybody may take back.

    One a series in which the metric has fallen. Where one was made lately none is made again, taken back or not.
    """
    told = list(incidents)
    made = []
    for each in low:
        here = (i for i in told if i.series.pipeline == each.pipeline)
        fell = {i.series for i in here if each.metric in map(whole_of, i.fallen)}
        for series in sorted(fell, key=lambda series: series.series):
            scope = Scope(series, (each.metric,))
            lately = (r for r in rules if r.author == HERALD and now - r.made_at < DIGEST_ONLY)
            if not any(rule.scope == scope for rule in lately):
                why = reason.format(fixed=each.fixed, judged=each.judged)
                said_at = SaidAt(Medium.HAND)
                made.append(Rule(0, RuleKind.MUTE, scope, HERALD, said_at, now, why, until=now + DIGEST_ONLY))
    return tuple(made)
