"""What has happened before: soon after it was resolved its ticket is opened again, later a new one names the old."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.domain.incidents import Incident, IncidentState, Step, Turn, speak
from bot.domain.owners import share_out
from bot.domain.policy import IncidentPolicy


@dataclass(frozen=True, slots=True)
class Recalled:
    """The steps of a run, where what is filed may be known from before."""

    steps: tuple[Step, ...]
    superseded: tuple[str, ...] = ()  # ids of incidents that turned out to be earlier ones; nobody was told of them


def recall(steps: Iterable[Step], over: Sequence[Incident], policy: IncidentPolicy, now: datetime) -> Recalled:
    """Find what is filed among the incidents that are *over*, the latest first.

    Opened again is only what Herald itself has closed: a person's word that something is over stands.
    """
    found: list[Step] = []
    superseded: list[str] = []
    for step in steps:
        earlier = next((each for each in over if _is_the_same(step.incident, each)), None)
        if step.turn is not Turn.FILED or step.incident.follows or earlier is None:
            found.append(step)
        elif earlier.closed_by_herald and _is_within(earlier, policy.reopen_within, now):
            found.append(speak(_opened_again(earlier, step.incident, policy), Turn.RETURNED, now))
            superseded.append(step.incident.incident_id)
        else:
            found.append(replace(step, incident=replace(step.incident, follows=earlier.incident_id)))
    return Recalled(tuple(found), tuple(superseded))


def _is_the_same(new: Incident, earlier: Incident) -> bool:
    """Say whether an earlier incident was of the same kind of problem, and of something that has fallen now."""
    if (new.series, new.kind) != (earlier.series, earlier.kind) or earlier.state is not IncidentState.RESOLVED:
        return False
    return new.incident_id != earlier.incident_id and bool(new.fallen & earlier.fallen)


def _is_within(earlier: Incident, reopen_within: timedelta, now: datetime) -> bool:
    return earlier.closed_at is not None and timedelta(0) <= now - earlier.closed_at <= reopen_within


def _opened_again(earlier: Incident, new: Incident, policy: IncidentPolicy) -> Incident:
    """Return the earlier incident with what has come of it now."""
    worst = {each.key: each for each in (*new.worst, *earlier.worst)}
    return replace(
        earlier,
        state=IncidentState.OPEN,
        metrics=tuple(sorted({*earlier.metrics, *new.metrics})),
        bad_runs=(*earlier.bad_runs, *new.bad_runs),
        good_runs=0,
        closed_at=None,
        recovered_at=None,
        recovered_by="",
        closed_by_herald=False,
        worst=tuple(worst[key] for key in sorted(worst)),
        parts=share_out(earlier.parts, new.fallen, policy.owners, told=earlier.fallen),
    )
