"""Values as a line of blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bot.domain.policy import is_usable

SPARKS = "▁▂▃▄▅▆▇█"
SPARK_WIDTH = 40  # newest runs drawn


def sparkline(values: Sequence[float | None], width: int = SPARK_WIDTH) -> str:
    """Draw the newest *width* values, a blank for what is missing."""
    shown = [math.nan if value is None else value for value in values[-width:]]
    known = [value for value in shown if is_usable(value)]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    step = (high - low) / (len(SPARKS) - 1) or 1.0
    return "".join(SPARKS[round((value - low) / step)] if is_usable(value) else " " for value in shown)
