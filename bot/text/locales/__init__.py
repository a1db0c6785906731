"""The languages that people may read: a module each, found by its name, of how it writes what is no sentence.

Its sentences and words are a template of the same name, `templates/words/en.j2`. These two files are a language.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import NewType

Locale = NewType("Locale", str)  # the name of one that is known

ENGLISH = Locale("en")


@dataclass(frozen=True, slots=True, kw_only=True)
class Conventions:
    """Patterns and names of one language; a comment says what a pattern is filled with.

    Titles of pages are here and not among the words: by them a page is found again, so that no template may change one.
    """

    percent: str  # number
    between: str  # low, high
    slice_of: str  # metric, and the column and value of the slice: what a sentence says of
    aside: str  # text, and aside: the same otherwise
    months: tuple[str, ...]  # as they stand in a date, January first
    weekdays: tuple[str, ...]  # Monday first
    moment: str  # year, month, day, time
    day: str  # month, day
    date: str  # year, month, day
    coming: str  # weekday, month, day, time
    duration: str  # count, unit
    units: tuple[str, str, str, str]  # of a duration: a day, an hour, a minute, a second
    run_page: str  # pipeline, run, run_id
    pipeline_page: str  # pipeline, instance
    archive_page: str  # pipeline, year, instance
    seldom_right: str  # why a metric is told in the digest alone
    digest_page: str  # until, instance
    ledger_page: str  # instance


def known_locales() -> tuple[Locale, ...]:
    """Return the languages that there are."""
    return tuple(sorted(Locale(module.name) for module in iter_modules(__path__)))


def read_locale(name: object) -> Locale:
    """Return a language that is known; raises ValueError for another."""
    known = known_locales()
    if name in known:
        return Locale(str(name))
    *others, last = map(repr, known)
    raise ValueError(f"should be {', '.join(others)} or {last}")


@cache
def conventions(locale: Locale) -> Conventions:
    found: Conventions = import_module(f"{__name__}.{locale}").CONVENTIONS
    return found
