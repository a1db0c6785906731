"""Clusters that cannot be asked about the jobs that wait for them: what fires say of them, told where it lasts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from bot.domain.fires import Fire, Standing
from bot.domain.judge.findings import Finding, Outcome, Reason
from bot.domain.own_health import PATIENCE

_KEY = "executor."


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
        return f"{self.executor} could not be asked since {self.since.isoformat()}"

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
