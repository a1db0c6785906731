"""What is quiet by people's answers, and where their answers could not be read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from bot.domain.objects import Bound, Marker, ObjectKey, ObjectKind
from bot.domain.rules import Rule
from bot.judging.facts import rules_in_force
from bot.reports.reader import Readable
from bot.store import listenings, objects, rules
from bot.store.listenings import Listening


@dataclass(frozen=True, slots=True)
class KnownRule:
    """A rule, whether it holds, and the ticket that it came from."""

    rule: Rule
    holds: bool
    ticket: Bound | None


@dataclass(frozen=True, slots=True)
class Quiet:
    rules: tuple[KnownRule, ...]  # in the order of their numbers
    services: tuple[Listening, ...]  # that are listened to


def find_quiet(herald: Readable, *, with_ended: bool = False) -> Quiet:
    """Gather the rules that hold, or all that are known, from the state."""
    now = herald.around.clock()
    with herald.database.begin() as tx:
        held = rules_in_force(tx, now)
        found = rules.made_since(tx, datetime.min.replace(tzinfo=UTC)) if with_ended else held
        keys = {rule.number: key for rule in found if (key := _ticket_of(herald, rule)) is not None}
        known = objects.known_objects(tx, set(keys.values()))
        heard = listenings.all_of_them(tx)

    def bound(rule: Rule) -> Bound | None:
        key = keys.get(rule.number)
        return known[key].bound if key is not None and key in known else None

    return Quiet(tuple(KnownRule(rule, rule in held, bound(rule)) for rule in found), tuple(heard))


def _ticket_of(herald: Readable, rule: Rule) -> ObjectKey | None:
    section = herald.config.pipeline.get(rule.scope.series.pipeline)
    if section is None or section.tracker is None or not rule.scope.incident_id:
        return None
    return ObjectKey(section.tracker, ObjectKind.TICKET, str(Marker(herald.config.instance, rule.scope.incident_id)))
