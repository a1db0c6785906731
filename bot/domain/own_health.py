"""How Herald itself is, as people are told it: nothing where all is well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.domain.config_differences import ConfigDifference

PATIENCE = timedelta(hours=1)  # with a fire that does not start, and with a service that fails


@dataclass(frozen=True, slots=True)
class Outage:
    """A service that has failed for all that was owed to it since a moment."""

    service: str
    since: datetime
    waiting: int  # effects owed there
    said: str  # in its words, or why it did not answer


@dataclass(frozen=True, slots=True)
class OwnHealth:
    """What ails Herald for longer than anybody has patience with."""

    late: Mapping[str, datetime]  # pipelines that are due and have not started, and since when
    down: tuple[Outage, ...] = ()
    clock_off: timedelta | None = None  # by more than a lease: how far the leader's clock is ahead
    differing: tuple[ConfigDifference, ...] = ()  # Heralds with another configuration than the one that leads

    @property
    def latest(self) -> str | None:
        """Name the pipeline that has been due the longest."""
        return min(self.late, key=lambda name: (self.late[name], name), default=None)


def overdue(due: Mapping[str, datetime], now: datetime) -> Mapping[str, datetime]:
    return {name: since for name, since in due.items() if now - since > PATIENCE}
