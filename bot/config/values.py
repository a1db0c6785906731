"""The values of the configuration: how each is written, and what is said of one that is not."""

from __future__ import annotations

import math
from contextlib import suppress
from datetime import datetime, time
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field

from bot.domain.policy import MinEffect, read_share

ALIAS = r"^models:/[^/:@]+@[^/:@]+$"
_ENDS = 2


def _read_min_effect(value: object) -> object:
    """Read `2 %` as relative, a bare number as in the metric's own unit."""
    if isinstance(value, MinEffect):
        return value
    if isinstance(value, str) and (share := read_share(value)) is not None:
        return share
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return MinEffect(float(value), relative=False)
    raise ValueError('should be a share such as "2 %", or a number of 0 or more in the metric\'s own unit')


def _read_within(value: object) -> object:
    """Read `[100, 120]` as ends in the metric's own unit, `10 %` as a share of what the metric was."""
    if isinstance(value, str) and (share := read_share(value)) is not None and share.value > 0:
        return share.value
    ends = value if isinstance(value, list | tuple) and len(value) == _ENDS else ()
    numbers = [end for end in ends if isinstance(end, int | float) and not isinstance(end, bool) and math.isfinite(end)]
    if len(numbers) != _ENDS:
        given = f", not {value}" if isinstance(value, list) else ""
        raise ValueError(
            'should be two numbers in the metric\'s own unit such as [100, 120], or a share such as "10 %"' + given
        )
    low, high = numbers
    if low >= high:
        raise ValueError(f"should be [lowest, highest]: {low:g} is not below {high:g}")
    return float(low), float(high)


def _read_words(value: str) -> str:
    """Take words that people should read; spaces alone are none."""
    return value if value.strip(" \t\r\n") else ""


Words = Annotated[str, AfterValidator(_read_words)]


def read_due_time(value: object) -> object:
    """Read a time of day, or a date with a time, written as text or as TOML's own."""
    read = _read_moment(value) if isinstance(value, str) else value
    if isinstance(read, datetime) or (isinstance(read, time) and read.tzinfo is None):
        return read
    raise ValueError('should be a local time such as "03:00", or a date and time such as "2026-12-01 03:00"')


def _read_moment(text: str) -> time | datetime | None:
    for kind in (time, datetime):
        with suppress(ValueError):
            return kind.fromisoformat(text)
    return None


def read_owned(value: object) -> object:
    """Read `recall_at_10`, or a slice such as `department = GROCERY`, without the spaces around the sign.

    One within another is `department = GROCERY / category = tea`.
    """
    pieces = str(value).split(" / ")
    pieces = pieces if all("=" in piece for piece in pieces) else [str(value)]
    read = (piece.partition("=") for piece in pieces)
    return ", ".join(f"{column.strip()}{sign}{part.strip()}" for column, sign, part in read)


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError("should be a time zone such as UTC, Europe/Berlin or Asia/Shanghai") from None
    return name


Within = Annotated[tuple[float, float] | float, BeforeValidator(_read_within)]
Effect = Annotated[MinEffect, BeforeValidator(_read_min_effect)]
Zone = Annotated[str, AfterValidator(_known_zone)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=60)]
ServiceName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]  # must fit an environment variable
