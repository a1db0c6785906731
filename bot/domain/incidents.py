"""The life of an incident: opened once, joined by what fell with it, ended by recovery or by doubt.

candidate --confirmed--> open --recovered--> resolved
|
+--not reproduced--> dismissed
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from bot.domain.judge.findings import Assessment, Finding, Outcome
from bot.domain.policy import IncidentPolicy


class Kind(StrEnum):
    REGRESSED = "regressed"
    INVALID = "invalid"
    FAILED = "failed"
    STALE = "stale"


class IncidentState(StrEnum):
    CANDIDATE = "candidate"
    OPEN = "open"
    RESOLVED = "resolved"
    DISMISSED = "dismissed"

    @property
    def is_over(self) -> bool:
        return self in {IncidentState.RESOLVED, IncidentState.DISMISSED}


@dataclass(frozen=True, slots=True)
class SeriesKey:
    pipeline: str
    series: str = ""  # `params.model=two-tower`, empty where the pipeline is one series


@dataclass(frozen=True, slots=True)
class Incident:
    """One thing that went wrong; its id is minted when it opens and never computed again."""

    incident_id: str
    kind: Kind
    series: SeriesKey
    state: IncidentState
    opened_by: str  # the first bad run; the fire, where a job left no run
    opened_at: datetime
    metrics: tuple[str, ...] = ()  # keys of the findings that fell, slices included
    bad_runs: tuple[str, ...] = ()
    good_runs: int = 0  # in a row, since the last bad one
    told_at: datetime | None = None  # when the ticket last heard of it
    closed_at: datetime | None = None

    @property
    def onset(self) -> str:
        return self.bad_runs[0] if self.bad_runs else self.opened_by


class Turn(StrEnum):
    """What an assessment did to an incident."""

    SUSPECTED = "suspected"
    FILED = "filed"
    REPEATED = "repeated"
    COUNTED = "counted"  # repeated, too soon after the last word to say so again
    RECOVERING = "recovering"
    RESOLVED = "resolved"
    DISMISSED = "dismissed"


@dataclass(frozen=True, slots=True)
class Step:
    """An incident after one assessment, and the turn it took."""

    incident: Incident
    turn: Turn


def mint_id(series: SeriesKey, kind: Kind, opened_by: str) -> str:
    """Make the id of an incident from what it is about and what opened it."""
    text = "\x1f".join((series.pipeline, series.series, kind, opened_by))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def advance(
    incidents: Sequence[Incident], assessment: Assessment, series: SeriesKey, policy: IncidentPolicy, now: datetime
) -> tuple[Step, ...]:
    """Apply the assessment of one run to the series' incidents that are not over, opening one where needed.

    Returns a step for each incident that changed. *opened_by* of a new incident is the assessed run.
    """
    steps: list[Step] = []
    bad = _bad_findings(assessment)
    for kind, findings in bad.items():
        standing = next((i for i in incidents if i.kind is kind and not i.state.is_over), None)
        certain = any(f.part is None and f.outcome is not Outcome.SUSPICIOUS for f in findings)
        if certain or standing is None or standing.state is IncidentState.CANDIDATE:
            opened = standing or Incident(
                mint_id(series, kind, assessment.run_id),
                kind,
                series,
                IncidentState.CANDIDATE,
                opened_by=assessment.run_id,
                opened_at=now,
            )
            steps.append(_worsen(opened, findings, assessment.run_id, policy, now, certain=certain))
    for incident in incidents:
        if not incident.state.is_over and incident.kind not in bad:
            steps.extend(_mend(incident, assessment, policy, now))
    return tuple(steps)


def _bad_findings(assessment: Assessment) -> dict[Kind, tuple[Finding, ...]]:
    found = {
        Kind.REGRESSED: assessment.with_outcome(Outcome.SUSPICIOUS, Outcome.REGRESSED),
        Kind.INVALID: assessment.with_outcome(Outcome.INVALID),
        Kind.FAILED: assessment.with_outcome(Outcome.FAILED),
        Kind.STALE: assessment.with_outcome(Outcome.STALE),
    }
    return {kind: findings for kind, findings in found.items() if any(f.part is None for f in findings)}


def _worsen(
    incident: Incident,
    findings: tuple[Finding, ...],
    run_id: str,
    policy: IncidentPolicy,
    now: datetime,
    *,
    certain: bool,
) -> Step:
    """Add a bad run to its incident: what was only suspected is filed once it is certain."""
    is_open = incident.state is IncidentState.OPEN
    fallen = {f.key for f in findings if not (is_open and f.outcome is Outcome.SUSPICIOUS)}
    incident = replace(
        incident,
        metrics=tuple(sorted(fallen.union(incident.metrics))),
        bad_runs=(*incident.bad_runs, run_id),
        good_runs=0,
    )
    if not is_open and not certain:
        return Step(incident, Turn.SUSPECTED)
    if not is_open:
        return Step(replace(incident, state=IncidentState.OPEN, told_at=now), Turn.FILED)
    # A clock that was set back makes the last word lie in the future: then it says nothing about how long ago it was.
    if incident.told_at is not None and timedelta(0) <= now - incident.told_at < policy.comment_every:
        return Step(incident, Turn.COUNTED)
    return Step(replace(incident, told_at=now), Turn.REPEATED)


def _mend(incident: Incident, assessment: Assessment, policy: IncidentPolicy, now: datetime) -> tuple[Step, ...]:
    """Count a good run towards recovery, or dismiss a candidate that did not reproduce."""
    if not _speaks_of(incident.kind, assessment):
        return ()
    if incident.state is IncidentState.CANDIDATE:
        return (Step(replace(incident, state=IncidentState.DISMISSED, closed_at=now), Turn.DISMISSED),)
    mended = replace(incident, good_runs=incident.good_runs + 1)
    wanted = 1 if incident.kind is Kind.STALE else policy.recovery_runs  # one run ends a silence
    if mended.good_runs < wanted:
        return (Step(mended, Turn.RECOVERING),)
    return (Step(replace(mended, state=IncidentState.RESOLVED, closed_at=now), Turn.RESOLVED),)


def _speaks_of(kind: Kind, assessment: Assessment) -> bool:
    """Say whether a run that does not show *kind* shows that it is over.

    A failed run says nothing about its metrics, an invalid one nothing about their level.
    """
    match kind:
        case Kind.STALE:
            return True
        case Kind.FAILED:
            return assessment.outcome is not Outcome.STALE
        case Kind.INVALID:
            return assessment.outcome not in {Outcome.STALE, Outcome.FAILED}
        case Kind.REGRESSED:
            return assessment.accepted
        case _:
            assert_never(kind)
