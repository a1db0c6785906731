"""Clusters that cannot be asked about the jobs that wait for them: what fires say of them, told where it lasts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.domain.fires import Fire, Standing
from bot.domain.incidents import Incident, Step, Turn, speak
from bot.domain.judge.findings import Finding, Outcome, Reason
from bot.domain.own_health import PATIENCE

_KEY = "executor."
# What differs between two answers that say the same: ids, times, ports. A status such as 401 has three digits.
_PARTICULARS = re.compile(r"\b(?:0x[0-9a-f]+|(?=[0-9a-f-]*\d)[0-9a-f-]{8,}|\d+\.\d+|\d{4,})\b", re.IGNORECASE)
_LASTING = timedelta(minutes=10)  # between two words on one outage: whoever starts a cluster anew sees many causes
_MOST_CAUSES = 5  # told as soon as they are new; a cluster that finds ever other words is told of as repeats are


@dataclass(frozen=True, slots=True)
class ClusterOutage:
    """A cluster that cannot be asked about a job, or about several."""

    executor: str  # as config calls it
    since: datetime  # when the first of those that wait could not be asked about
    said: str  # why, in its own words, of that first one
    pipelines: tuple[str, ...]  # whose jobs wait for it, the one that has waited the longest first

    @property
    def key(self) -> str:
        """Name it among findings, as config names its section."""
        return f"{_KEY}{self.executor}"

    @property
    def opened_by(self) -> str:
        return f"{self.executor} could not be asked since {self.since.isoformat()}: {self._cause}"

    @property
    def _cause(self) -> str:
        """Return a short sign of why, the same for answers that say the same."""
        return hashlib.sha256(_PARTICULARS.sub("#", self.said).encode()).hexdigest()[:8]

    def tell_cause(self, incident: Incident, comment_every: timedelta, now: datetime) -> Step | None:
        """Let people hear of an outage that goes on why it does by now; None where they know, or have just heard."""
        *_, last = told = [each.rpartition(": ")[2] for each in incident.bad_runs]
        lasting = timedelta.max if incident.told_at is None else abs(now - incident.told_at)
        is_new = self._cause not in told and len(set(told)) < _MOST_CAUSES
        if last == self._cause or lasting < (_LASTING if is_new else comment_every):
            return None
        why = f"{self.executor} could not be asked at {now.isoformat()}: {self._cause}"
        return speak(replace(incident, bad_runs=(*incident.bad_runs, why)), Turn.REPEATED, now)

    def finding(self, now: datetime) -> Finding | None:
        """Return the finding that it has lasted for too long; its value is for how long, in seconds."""
        lasted = now - self.since
        if lasted <= PATIENCE:
            return None
        return Finding(self.key, Outcome.AWAY, Reason.UNANSWERED, value=lasted.total_seconds())


def executor_in(key: str) -> str:
    """Return the executor that the key of a finding names."""
    return key.removeprefix(_KEY)


def find_outages(waiting: Iterable[Fire]) -> tuple[ClusterOutage, ...]:
    """Return the clusters about which fires that are not over say that they cannot be asked, the longest first.

    A fire that has not started says nothing of its cluster, and waits for it with the others.
    """
    by_executor: dict[str, list[Fire]] = {}
    for fire in waiting:
        by_executor.setdefault(fire.executor, []).append(fire)
    found = (_outage(executor, some) for executor, some in by_executor.items())
    return tuple(sorted((each for each in found if each is not None), key=lambda each: each.since))


def _outage(executor: str, waiting: Iterable[Fire]) -> ClusterOutage | None:
    some = [*waiting]
    unseen = [
        (fire.standing.since, fire.fire_id, fire.standing.said, fire.pipeline)
        for fire in some
        if fire.standing is not None and fire.standing.standing is Standing.AWAY
    ]
    if not unseen:
        return None
    unseen.sort()
    since, _, said, _ = unseen[0]
    yet_to_start = (fire.pipeline for fire in some if fire.started_at is None)
    return ClusterOutage(executor, since, said, tuple(dict.fromkeys((*(each[3] for each in unseen), *yet_to_start))))
