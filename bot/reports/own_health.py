"""How Herald itself is, from what its state shows: for the digest, and for the doctor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from bot.config.models import Config
from bot.domain.checks import Check
from bot.domain.fires import Standing
from bot.domain.own_health import PATIENCE, OwnHealth, overdue
from bot.judging.cluster_watch import read_outages
from bot.store import backlog, fires, leadership, outages, serving
from bot.store.owed import EffectState
from bot.store.owners import agreed_time, database_time


def waiting_since(tx: Connection, config: Config, now: datetime) -> Mapping[str, datetime]:
    """Return the pipelines of *config* that are due and have not started, and since when; jitter is no lateness."""
    found = {}
    for name, due in outages.due_and_not_started(tx, now).items():
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
    lead = leadership.standing(tx)
    at = database_time(tx)
    is_off = lead is not None and lead.is_clock_off and not lead.is_over(at)
    agreed = agreed_time(tx, now)
    late = overdue(waiting_since(tx, config, agreed), agreed)
    off = lead.clock_ahead if lead is not None and is_off else None
    return OwnHealth(late, down, off, tuple(serving.differences(tx, at)))


def check_own_health(tx: Connection, config: Config, now: datetime) -> Iterator[Check]:
    """Say what ails Herald itself, and what to do; nothing where all is well."""
    health = own_health(tx, config, now)
    for name in sorted(health.late, key=lambda late: health.late[late]):
        said = f"{name} has been due since {_moment(health.late[name])} and has not started"
        remedy = "See that `herald serve` runs and leads, and whether jobs_at_once has room; `herald status` says."
        yield Check("schedule", ok=False, said=said, remedy=remedy)
    for each in health.down:
        said = (
            f"{each.service} has taken nothing since {_moment(each.since)}, {each.waiting:,} effects wait: {each.said}"
        )
        remedy = "What waits goes out by itself once it answers; see what it says of itself."
        yield Check("service", ok=False, said=said, remedy=remedy)
    for outage in read_outages(tx, config):
        waiting = ", ".join(outage.pipelines)
        said = f"{outage.executor} cannot be asked about jobs since {_moment(outage.since)}: {outage.said}"
        remedy = f"Mend what it says; jobs of {waiting} go on by themselves then, and none is started twice."
        yield Check("cluster", ok=False, said=said, remedy=remedy)
    for fire in fires.waiting(tx):
        if (
            config.runs_here(fire.executor)
            and fire.place is not None
            and fire.standing is not None
            and fire.standing.standing is Standing.AWAY
        ):
            said = f"the job of {fire.pipeline} cannot be seen: {fire.standing.said}"
            yield Check("job elsewhere", ok=False, said=said, remedy="Start that Herald, or let all share jobs_folder.")
    parked = backlog.count(tx)[EffectState.PARKED]
    if parked:
        remedy = "`herald outbox` shows each with its reason: retry or cancel it."
        yield Check("parked effects", ok=False, said=f"{parked:,} wait for a person", remedy=remedy)


def _moment(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
