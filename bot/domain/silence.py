"""When a pipeline of which nothing comes counts as silent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.domain.judge.findings import Finding, Outcome, Reason


@dataclass(frozen=True, slots=True)
class SilencePolicy:
    cadence: timedelta  # a run is expected at least this often
    grace: timedelta  # and may be this late


def find_silence(
    policy: SilencePolicy, last_run: datetime | None, known_since: datetime, now: datetime
) -> Finding | None:
    """Return the finding that no run came in time; None while one may still come.

    *known_since* is when the pipeline was first seen: what was silent before is nobody's news. The finding's value is
    the length of the silence, its baseline the cadence, both in seconds.
    """
    quiet = now - quiet_since(last_run, known_since)
    if quiet <= policy.cadence + policy.grace:
        return None
    return Finding(
        "runs",
        Outcome.STALE,
        Reason.SILENCE,
        value=quiet.total_seconds(),
        baseline=policy.cadence.total_seconds(),
    )


def quiet_since(last_run: datetime | None, known_since: datetime) -> datetime:
    return known_since if last_run is None else max(last_run, known_since)
