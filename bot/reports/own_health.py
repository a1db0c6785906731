"""How Herald itself is, from what its state shows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bot.config.models import Config
from bot.domain.own_health import PATIENCE, OwnHealth, overdue
from bot.store import outages


def waiting_since(tx: Connection, config: Config, now: datetime) -> Mapping[str, datetime]:
    """Return the pipelines of *config* that are due and have not started, and since when; jitter is no lateness."""
    found = {}
    for name, due in outages.due_and_not_started(tx).items():
        section = config.pipeline.get(name)
        if section is None:
            continue
        start = due + (section.schedule.jitter if section.schedule is not None else timedelta(0))
        if start <= now:
            found[name] = start
    return found


def own_health(tx: Connection, config: Config, now: datetime) -> OwnHealth:
    """Gather what people should know of Herald itself; parked effects and clocks are told where they are counted."""
    services = {*config.tracker, *config.wiki, *config.chat}
    failing = outages.failing_services(tx)
    down = tuple(each for each in failing if each.service in services and now - each.since > PATIENCE)
    return OwnHealth(overdue(waiting_since(tx, config, now), now), down)
