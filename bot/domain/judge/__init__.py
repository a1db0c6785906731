"""The one way in to the judge: :func:`assess`, loaded where it is asked for: whoever reads findings needs no numpy."""

from typing import TYPE_CHECKING, Any

from bot.domain.judge.findings import (
    Against,
    Assessment,
    Caveat,
    Finding,
    Method,
    Outcome,
    Reason,
    SeriesState,
    Streak,
    unjudged,
)

if TYPE_CHECKING:
    from bot.domain.judge.assessing import assess

__all__ = [
    "Against",
    "Assessment",
    "Caveat",
    "Finding",
    "Method",
    "Outcome",
    "Reason",
    "SeriesState",
    "Streak",
    "assess",
    "unjudged",
]


def __getattr__(name: str) -> Any:
    if name != "assess":
        raise AttributeError(name)
    from bot.domain.judge.assessing import assess

    return assess
