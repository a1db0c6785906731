"""How long a cluster that is busy asks to be left alone, as HTTP has it (RFC 9110, 10.2.3): seconds, or a date."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

BUSY = frozenset({429, 503})  # the statuses that say so


def asked_wait(headers: Mapping[str, str]) -> float | None:
    """Read for how many seconds a cluster wants no request; None where it does not say. Names are in small letters."""
    said = headers.get("retry-after", "").strip()
    try:
        seconds = float(said) if said else math.nan
    except ValueError:
        until, now = _moment(said), _moment(headers.get("date", "")) or datetime.now(UTC)
        seconds = math.nan if until is None else (until - now).total_seconds()
    return seconds if math.isfinite(seconds) and seconds > 0 else None


def said_of_wait(seconds: float | None) -> str:
    """Say it behind a sentence that a cluster is busy."""
    return "" if seconds is None else f", and asks to wait for {seconds:,.0f} s"


def _moment(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
