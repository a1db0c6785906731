"""How `herald serve` itself is: what only a new start would mend, and what keeps it from its work meanwhile."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta

from bot.config.models import Config

STUCK_AFTER = 120.0  # seconds; a round itself waits for nothing but the state


def what_ails(stands: float, hangs: timedelta, longest: timedelta) -> Sequence[str]:
    """Name what will not go on by itself: a loop that stands still, or a delivery that hangs; empty where all goes on.

    *Stands* is how many seconds ago the last round began, *longest* how long a delivery may take.
    """
    loop = [f"the loop has not gone round for {stands:.0f} s"] if stands > STUCK_AFTER else []
    delivery = [f"a delivery has been under way for {hangs.total_seconds():.0f} s"] if hangs >= longest else []
    return (*loop, *delivery)


def what_lacks(config: Config, trouble: str, unscheduled: Collection[str], starts_for: float | None) -> Sequence[str]:
    """Name what keeps due times from being kept; *trouble* itself and the names of pipelines are not for everybody.

    *Starts for* is for how many seconds it has been starting, None once it works; pages can be read, and due times are
    recorded, before that.
    """
    if starts_for is not None:
        return (f"Herald is starting, for {starts_for:.0f} s now",)
    found = ["due times cannot be kept just now; the log says why"] if trouble else []
    scheduled = sum(section.schedule is not None for section in config.pipeline.values())
    if 0 < scheduled <= len(unscheduled):
        found.append("no schedule tells its due times: `herald status` says why")
    return found
