"""Names that people read: of series, and of the pages of runs, pipelines and years."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from bot.domain.runs import Run
from bot.render.fitting import clean_title
from bot.text.locales import Locale, conventions

_SHORT_ID = 8
_LONGEST_SERIES = 500  # characters


def _series_values(run: Run, series_by: Sequence[str]) -> tuple[str, ...]:
    """Return the values of the params and tags that config lists."""
    pairs = (key.split(".", 1) for key in series_by)
    return tuple((run.params if kind == "params" else run.tags).get(name, "") for kind, name in pairs)


def series_of(run: Run, series_by: Sequence[str]) -> str:
    """Name the series a run belongs to by the values of the params and tags that config lists."""
    name = ", ".join(f"{key}={value}" for key, value in zip(series_by, _series_values(run, series_by), strict=True))
    if len(name) <= _LONGEST_SERIES:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{name[: _LONGEST_SERIES - len(digest) - 1]}…{digest}"


def series_title(title: str, run: Run, series_by: Sequence[str]) -> str:
    """Name a pipeline, and where it has several series which one: `Search relevance / two-tower`."""
    return " / ".join([title, *filter(None, _series_values(run, series_by))])


def page_title(title: str, run: Run, locale: Locale) -> str:
    """Return the title of a run's page: unique in its space, since the run's id is part of it."""
    name, run_id = run.name, run.run_id[:_SHORT_ID]
    return clean_title(conventions(locale).run_page.format(pipeline=title, run=name, run_id=run_id))


def pipeline_page_title(title: str, instance: str, locale: Locale) -> str:
    return clean_title(conventions(locale).pipeline_page.format(pipeline=title, instance=instance))


def archive_page_title(title: str, year: int, instance: str, locale: Locale) -> str:
    return clean_title(conventions(locale).archive_page.format(pipeline=title, year=year, instance=instance))


def digest_title(until: str, instance: str, locale: Locale) -> str:
    """Name a digest by its time and its Herald; one that is called herald is named once."""
    title = conventions(locale).digest_page.format(until=until, instance=instance)
    return clean_title(title.replace(f"Herald {instance}", "Herald") if instance.casefold() == "herald" else title)


def ledger_page_title(instance: str, locale: Locale) -> str:
    return clean_title(conventions(locale).ledger_page.format(instance=instance))


def year_of(run: Run, zone: ZoneInfo) -> int:
    return run.ended.astimezone(zone).year
