"""Moves times to the clock of a place."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

SECOND, HOUR = 1_000_000, 3_600_000_000  # microseconds


def local_time(times: Ints, zone: str | None) -> Ints:
    """Move UTC to the clock of a place; offsets are looked up once an hour that occurs: clocks change on the hour."""
    if zone is None:
        return times
    hours, row = np.unique(times // HOUR, return_inverse=True)
    epoch, place = datetime(1970, 1, 1, tzinfo=UTC), ZoneInfo(zone)
    offsets = [(epoch + timedelta(hours=int(hour))).astimezone(place).utcoffset() or timedelta() for hour in hours]
    return np.asarray(times + np.array([round(o.total_seconds()) for o in offsets])[row] * SECOND, dtype=np.int64)
