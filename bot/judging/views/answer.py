"""Rules as people read them, and the page that lists what is quiet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from bot.config.pipeline import MetricSection
from bot.domain.judge.findings import whole_of
from bot.domain.rules import Rule
from bot.domain.views import RuleRow
from bot.text import formats
from bot.text.locales import Locale, conventions


@dataclass(frozen=True, slots=True)
class RuleNaming:
    """How the rules of one pipeline are written for one reader."""

    title: str  # of the pipeline
    metrics: Mapping[str, MetricSection]
    locale: Locale
    zone: ZoneInfo

    def row(self, rule: Rule, ticket: str = "") -> RuleRow:
        """Write a rule in finished strings; *ticket* is the name of its ticket among the view's links."""

        def day(moment: datetime | None) -> str:
            return "" if moment is None else formats.day(moment, self.zone, self.locale)

        return RuleRow(
            number=str(rule.number),
            kind=rule.kind,
            pipeline=self.title,
            about=tuple(map(self.plain, rule.scope.keys)),
            by=str(rule.author),
            made=day(rule.made_at),
            reason=rule.reason,
            until=day(rule.until),
            joins=rule.joins,
            undone_by="" if rule.undone_by is None else str(rule.undone_by),
            undone=day(rule.undone_at),
            ticket=ticket,
        )

    def plain(self, key: str) -> str:
        """Return what the team calls a metric, or a slice of it."""
        metric = whole_of(key)
        section = self.metrics.get(metric)
        plain = section.name.get(self.locale, metric) if section is not None else metric
        column, _, value = key[len(metric) :].strip(" []").partition("=")
        if not column:
            return plain
        return conventions(self.locale).slice_of.format(metric=plain, column=column.strip(), value=value.strip())
