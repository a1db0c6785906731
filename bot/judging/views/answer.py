"""Rules as people read them, and the page that lists what is quiet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from bot.config.metric import MetricSection
from bot.domain.judge.findings import whole_of
from bot.domain.rules import Rule, RuleKind
from bot.domain.views import RuleRow
from bot.text import formats
from bot.text.locales import Locale, conventions

_DAY = timedelta(days=1)
_A_MOMENT = timedelta(minutes=1)  # between reading an answer and keeping it
_SHORT = timedelta(days=3)  # what lasts less is over at an hour
_WITHIN_A_YEAR = timedelta(days=300)  # a day of which nobody asks the year
_FOR_SO_LONG = frozenset({RuleKind.NOISE, RuleKind.MUTE})


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
            days=_whole_days(rule),
            until=self._end(rule),
            joins=rule.repeats or rule.joins,
            undone_by="" if rule.undone_by is None else str(rule.undone_by),
            undone=day(rule.undone_at),
            ticket=ticket,
        )

    def _end(self, rule: Rule) -> str:
        """Write when a rule lapses; what ends with a day is said by that day."""
        if rule.until is None:
            return ""
        lasts, last = rule.until - rule.made_at, rule.until - timedelta(microseconds=1)
        if lasts < _SHORT:
            return formats.moment(rule.until, self.zone, self.locale)
        write = formats.day if lasts < _WITHIN_A_YEAR else formats.date
        return write(last, self.zone, self.locale)

    def plain(self, key: str) -> str:
        """Return what the team calls a metric, or a slice of it."""
        metric = whole_of(key)
        section = self.metrics.get(metric)
        plain = section.name.get(self.locale, metric) if section is not None else metric
        column, _, value = key[len(metric) :].strip(" []").partition("=")
        if not column:
            return plain
        return conventions(self.locale).slice_of.format(metric=plain, column=column.strip(), value=value.strip())


def _whole_days(rule: Rule) -> str:
    """Return for how many days somebody asked; empty where they named no length, or one of hours."""
    if rule.kind not in _FOR_SO_LONG or rule.until is None:
        return ""
    lasts = rule.until - rule.made_at
    days = round(lasts / _DAY)
    return str(days) if days and abs(lasts - days * _DAY) < _A_MOMENT else ""
