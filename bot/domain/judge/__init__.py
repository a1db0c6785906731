"""The one seam to the judge: :func:`assess`."""

from bot.domain.judge.assess import assess
from bot.domain.judge.findings import (
    Against,
    Assessment,
    Finding,
    Method,
    Outcome,
    Reason,
    SeriesState,
    Streak,
    unjudged,
)

__all__ = [
    "Against",
    "Assessment",
    "Finding",
    "Method",
    "Outcome",
    "Reason",
    "SeriesState",
    "Streak",
    "assess",
    "unjudged",
]
