"""How right the tickets of each pipeline were, read from the state."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from bot.config.models import Config
from bot.domain.incidents import IncidentState
from bot.domain.precision import Tally, below_their_floors, digest_only, tally
from bot.store import incidents, rules
from bot.text.locales import conventions


def tallies(tx: Connection, config: Config) -> Sequence[Tally]:
    """Count the answers to all tickets that the state still knows, of the pipelines that config names."""
    told = incidents.in_states(tx, IncidentState.OPEN, IncidentState.RESOLVED)
    ours = [each for each in told if each.series.pipeline in config.pipeline]
    return tally(ours, rules.of_incidents(tx, [each.incident_id for each in ours]))


def tell_in_digest_alone(tx: Connection, config: Config, now: datetime) -> None:
    """Mute the metrics whose tickets are right too seldom, where config leaves that to Herald."""
    mine = {name for name, section in config.pipeline.items() if section.tickets.digest_only == "automatic"}
    low = [each for each in below_their_floors(tallies(tx, config), floors(config)) if each.pipeline in mine]
    told = incidents.in_states(tx, IncidentState.OPEN, IncidentState.RESOLVED) if low else ()
    for name in {each.pipeline for each in low}:
        some = [each for each in low if each.pipeline == name]
        reason = conventions(config.locale_of(name)).seldom_right
        for rule in digest_only(some, told, rules.of_pipeline(tx, name), reason, now):
            rules.add(tx, rule)


def floors(config: Config) -> dict[str, float | None]:
    return {name: section.tickets.precision_floor for name, section in config.pipeline.items()}


def is_first_of_month(since: datetime, now: datetime, zone: ZoneInfo) -> bool:
    """Say whether a digest of that time is the first of its month."""
    before, after = since.astimezone(zone), now.astimezone(zone)
    return (before.year, before.month) != (after.year, after.month)
