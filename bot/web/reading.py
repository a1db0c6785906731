"""What every page is made with: the state at one moment, a language, the ways from it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from bot.config.models import Config
from bot.config.pipeline import PipelineSection
from bot.domain.page_paths import DIGESTS, HOME
from bot.domain.page_views import Frame, LanguageLink
from bot.errors import StateError
from bot.reports.reader import Readable
from bot.text import formats
from bot.text.locales import Locale, known_locales
from bot.web.ways import Ways

_TRIES, _BETWEEN = 4, 0.02  # where the state was written to while it was read; seconds
_POLICY = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; base-uri 'none'"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reading:
    """One page being made."""

    herald: Readable
    tx: Connection
    now: datetime
    locale: Locale
    ways: Ways

    @property
    def config(self) -> Config:
        return self.herald.config

    def section(self, name: str) -> PipelineSection:
        return self.config.pipeline[name]

    def title(self, name: str) -> str:
        return self.section(name).title or name

    def zone(self, name: str | None = None) -> ZoneInfo:
        return ZoneInfo(self.config.time_zone) if name is None else self.config.zone_of(name)

    def moment(self, when: datetime | None, name: str | None = None) -> str:
        return "" if when is None else formats.moment(when, self.zone(name), self.locale)

    def plain(self, name: str, metric: str) -> str:
        """Return what the team calls a metric."""
        section = self.section(name).metrics.get(metric)
        return metric if section is None else section.name.get(self.locale, metric)


def frame(herald: Readable, ways: Ways, locale: Locale, now: datetime) -> Frame:
    config = herald.config
    languages = tuple(
        LanguageLink(each, f"?lang={each}", is_chosen=each == locale) for each in known_locales() if not ways.is_folder
    )
    return Frame(
        language="zh-CN" if locale == "zh" else locale,
        home=ways.to(HOME),
        digests=ways.to(DIGESTS),
        style=ways.asset("style.css"),
        script=ways.asset("script.js"),
        as_of=formats.moment(now, ZoneInfo(config.time_zone), locale),
        instance=config.instance,
        languages=languages,
        policy=_POLICY if ways.is_folder else "",
    )


def read(herald: Readable, work: Callable[[Connection], T]) -> T:
    """Read the state in one transaction; once more where it was written to meanwhile."""

    def once() -> T:
        with herald.database.begin() as tx:
            return work(tx)

    return asked_again(once)


def asked_again(ask: Callable[[], T]) -> T:
    """Ask the state; once more where it was written to meanwhile."""
    for tries_left in reversed(range(_TRIES)):
        try:
            return ask()
        except StateError as error:
            if not tries_left or "ask again" not in str(error):
                raise
            time.sleep(_BETWEEN)
    raise AssertionError
