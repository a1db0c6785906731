"""First contact: runs that are there already are the past, and only what still stands of it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

from bot.domain.incidents import Incident, IncidentState, Kind, SeriesKey, Step, Turn, mint_id, speak
from bot.domain.judge.findings import Assessment, Finding, Outcome
from bot.domain.owners import share_out

_BAD = (Outcome.SUSPICIOUS, Outcome.REGRESSED)


@dataclass(frozen=True, slots=True)
class Settled:
    """What a run of the past leaves behind."""

    accepted: frozenset[str]  # bad runs that are baseline from now on; this run may be among them
    standing: tuple[str, ...] = ()  # the bad runs of what still stands, oldest first, this run last


def settle_past(assessment: Assessment, doubtful: Sequence[str], recent: int) -> Settled:
    """Decide what becomes of a series' bad runs after one more run of its past was judged.

    *doubtful* are the earlier bad runs that are not accepted, oldest first. A fall that ended is over, and one that has
    stood for more than *recent* runs is the level that the team lives with: both become baseline without a person's
    word. What began later and stands is left for :func:`open_standing`.
    """
    bad = _bad_metrics(assessment)
    if not bad:
        over = frozenset(doubtful) if assessment.accepted else frozenset()
        return Settled(over, tuple(run_id for run_id in doubtful if run_id not in over))
    known = (*doubtful, assessment.run_id)
    streaks = [assessment.state.streaks[finding.key] for finding in bad]
    if max(streak.length for streak in streaks) > recent:
        return Settled(frozenset(known))
    onset = min((known.index(streak.onset) for streak in streaks if streak.onset in known), default=len(known) - 1)
    return Settled(frozenset(known[:onset]), known[onset:])


def open_standing(
    assessment: Assessment,
    standing: Sequence[str],
    series: SeriesKey,
    now: datetime,
    ends: Mapping[str, datetime] = MappingProxyType({}),
    owners: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Step, ...]:
    """Open the incident of what stands at the newest run of the past: filed where it is certain, else a candidate.

    *ends* says when the series' runs ended, *owners* whose what fell is, as :func:`share_out` takes them.
    """
    bad = _bad_metrics(assessment)
    if not bad or not standing:
        return ()
    certain = any(finding.outcome is Outcome.REGRESSED for finding in bad)
    incident = Incident(
        mint_id(series, Kind.REGRESSED, standing[0]),
        Kind.REGRESSED,
        series,
        IncidentState.OPEN if certain else IncidentState.CANDIDATE,
        opened_by=standing[0],
        opened_at=now,
        metrics=tuple(sorted(finding.key for finding in assessment.with_outcome(*_BAD))),
        bad_runs=tuple(standing),
        began_at=ends.get(standing[0]),
    )
    incident = replace(incident, parts=share_out((), incident.fallen, owners))
    return (speak(incident, Turn.FILED, now) if certain else Step(incident, Turn.SUSPECTED),)


def limits_alone(assessment: Assessment) -> Assessment:
    """Return what is said of limits that the newest run of the past breaks: they are told whenever they began."""
    return replace(assessment, findings=assessment.with_outcome(Outcome.OUTSIDE, Outcome.BREACHED))


def _bad_metrics(assessment: Assessment) -> tuple[Finding, ...]:
    return tuple(finding for finding in assessment.with_outcome(*_BAD) if finding.part is None)
