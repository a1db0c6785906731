"""Parts of data as people speak of them: a day, a value, a file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import PurePosixPath
from zoneinfo import ZoneInfo

from bot.text import formats
from bot.text.locales import Locale

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}|\d{8}")


def part_shown(place: int, names: Sequence[str], locale: Locale) -> str:
    """Return one of some parts as people call it, or in full where others are called the same."""
    shown = [_shown(name, locale) for name in names]
    return shown[place] if shown.count(shown[place]) == 1 else names[place]


def _shown(name: str, locale: Locale) -> str:
    """Leave of an address the file, of `dt=2026-03-03` the day."""
    last = PurePosixPath(name).name or name
    key, is_pair, value = last.rpartition("=")
    bare = value if is_pair and key and value else last
    if _DAY.fullmatch(bare):
        with suppress(ValueError):  # a number that is no day
            day = datetime.strptime(bare.replace("-", ""), "%Y%m%d").replace(tzinfo=UTC)
            return formats.date(day, ZoneInfo("UTC"), locale)
    return bare
