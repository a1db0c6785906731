"""The pages that show what is quiet: of the pipelines that it is about, and the one page of this Herald."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bot.config.models import DIGEST, Config
from bot.domain.effects import UpdateLedger, UpdateSection
from bot.domain.objects import Marker, ObjectKey, ObjectKind
from bot.domain.rules import Rule, RuleKind
from bot.domain.views import LedgerView, RuleRow
from bot.judging.between_runs import BetweenRuns
from bot.judging.facts import rules_in_force
from bot.judging.titles import ledger_page_title
from bot.judging.views.page import pipeline_page_view
from bot.store import objects, outbox, rules
from bot.triage.desks import Desk

_ENDED_LATELY = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class QuietPages:
    """Keeps the pages true that say what is quiet."""

    config: Config
    desk: Callable[[str], Desk]  # of a pipeline

    def owe(self, tx: Connection, changed: Sequence[Rule], now: datetime) -> None:
        """Owe the pages that show rules which were made, taken back or have lapsed."""
        if not changed:
            return
        cause = "/".join(f"{rule.number}{'' if rule.holds_at(now) else '-ended'}" for rule in changed)
        for series in dict.fromkeys(rule.scope.series for rule in changed):
            desk = self.desk(series.pipeline)
            if not desk.is_configured:
                continue
            on = BetweenRuns(desk.context).occasion(tx, series, now)
            page = on.places.page(on.places.pipeline_page)
            if page is not None and page in objects.known_objects(tx, [page]):
                outbox.owe(tx, series.pipeline, [(UpdateSection(page, f"rules/{cause}"), pipeline_page_view(on))], now)
        for wiki in self.config.wiki:
            view = self.ledger(tx, now)
            target = ObjectKey(wiki, ObjectKind.PAGE, view.title)
            outbox.owe(tx, DIGEST, [(UpdateLedger(target, f"rules/{cause}"), view)], now)

    def ledger(self, tx: Connection, now: datetime) -> LedgerView:
        """Gather what is quiet in all pipelines that are configured, and what has lately ceased to be."""
        known = [rule for rule in rules.made_since(tx, datetime.min.replace(tzinfo=now.tzinfo)) if self._is_shown(rule)]
        links: dict[str, ObjectKey] = {}
        held = {rule.number for rule in rules_in_force(tx, now)}
        quiet = [self._row(rule, links) for rule in reversed(known) if rule.number in held]
        ended = [self._row(rule, links) for rule in reversed(known) if _ended_lately(rule, now)]
        instance, locale = self.config.instance, self.config.locale_of(DIGEST)
        return LedgerView(ledger_page_title(instance, locale), instance, tuple(quiet), tuple(ended), links)

    def _is_shown(self, rule: Rule) -> bool:
        """Leave out what keeps nothing quiet, and what is about a pipeline that config no longer has."""
        return rule.kind is not RuleKind.FIXED and rule.scope.series.pipeline in self.config.pipeline

    def _row(self, rule: Rule, links: dict[str, ObjectKey]) -> RuleRow:
        pipeline = rule.scope.series.pipeline
        tracker = self.config.pipeline[pipeline].tracker
        name = f"rule{rule.number}"
        if tracker is not None and rule.scope.incident_id:
            marker = str(Marker(self.config.instance, rule.scope.incident_id))
            links[name] = ObjectKey(tracker, ObjectKind.TICKET, marker)
        return self.desk(pipeline).naming(self.config.locale_of(DIGEST)).row(rule, name)


def _ended_lately(rule: Rule, now: datetime) -> bool:
    ends = [end for end in (rule.until, rule.undone_at) if end is not None]
    return not rule.holds_at(now) and bool(ends) and now - min(ends) < _ENDED_LATELY
