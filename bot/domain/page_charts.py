"""What the charts of pages are drawn of: numbers, and finished strings beside them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bot.domain.judge.findings import Outcome


@dataclass(frozen=True, slots=True)
class Sparkline:
    """A metric over the newest runs, as small as a word."""

    values: tuple[float, ...]  # oldest first
    outcomes: tuple[Outcome | None, ...]


@dataclass(frozen=True, slots=True)
class RunPoint:
    """One run in a history."""

    value: float  # NaN: it has none
    outcome: Outcome | None  # None: not judged
    shown: str  # the value as people read it
    low: float | None = None  # where runs that are as before lie
    high: float | None = None
    href: str = ""  # of its page


class EventKind(StrEnum):
    """What happened between two runs, or with one."""

    ACCEPTED = "accepted"  # somebody said that the level from here on is the new normal
    RELEASE = "release"
    DATA = "data"  # the data are other ones than before


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    at: int  # the number of the run that it came with
    kind: EventKind
    label: str


@dataclass(frozen=True, slots=True)
class IncidentSpan:
    """The runs between which an incident stood."""

    first: int
    last: int
    label: str
    href: str = ""


@dataclass(frozen=True, slots=True)
class HistoryPicture:
    """A metric over the runs of one series, with what happened meanwhile."""

    key: str  # tells the charts of a page apart
    name: str  # of the metric, as the team calls it
    points: tuple[RunPoint, ...]  # oldest first
    days: tuple[str, ...]  # when each ended
    spans: tuple[IncidentSpan, ...] = ()
    events: tuple[HistoryEvent, ...] = ()
    limits: tuple[float, ...] = ()
    runs_at: str = ""  # the id of the element that names the runs


@dataclass(frozen=True, slots=True)
class CurvePicture:
    """A metric by step within one run."""

    name: str
    steps: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class HeatRow:
    """A part of the examples over the runs, or above such parts the column that they were split by."""

    part: str
    changes: tuple[float | None, ...] = ()  # one a run, relative to its baseline, good ones above 0; None: not there
    shown: tuple[str, ...] = ()
    whole: str = ""  # the part with its column
    is_heading: bool = False


@dataclass(frozen=True, slots=True)
class HeatMap:
    """How each part of the examples changed, over the runs."""

    name: str
    rows: tuple[HeatRow, ...]
    days: tuple[str, ...]
    full: float  # the change that is drawn in full colour


@dataclass(frozen=True, slots=True)
class ShareBar:
    """A share of a whole, as long as it is large."""

    share: float


PagePicture = Sparkline | HistoryPicture | CurvePicture | HeatMap | ShareBar
