"""What the page of a replay shows, in finished strings; and what its charts are drawn of."""

from __future__ import annotations

from dataclasses import dataclass

from bot.domain.backtest.drops import DropShape
from bot.domain.judge.findings import Outcome


@dataclass(frozen=True, slots=True)
class Dot:
    """One run in a chart."""

    value: float
    outcome: Outcome | None  # None: not judged
    label: str = ""  # shown where somebody points at it


@dataclass(frozen=True, slots=True)
class HistoryChart:
    """A metric over the runs of one series."""

    metric: str
    dots: tuple[Dot, ...]  # oldest first
    first: str  # when the first of them ended
    last: str
    spans: tuple[tuple[int, int], ...] = ()  # stretches under a ticket: numbers of the first and the last dot
    baseline: float | None = None
    is_small: bool = False  # without a mark for each run


@dataclass(frozen=True, slots=True)
class WeeksChart:
    """Tickets by week."""

    counts: tuple[int, ...]
    labels: tuple[str, ...]  # the day each begins with


@dataclass(frozen=True, slots=True)
class CatchPoint:
    size: float  # in spreads
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class CatchLine:
    shape: DropShape
    name: str
    points: tuple[CatchPoint, ...]


@dataclass(frozen=True, slots=True)
class CatchChart:
    """The share of planted drops that got a ticket, by their size."""

    lines: tuple[CatchLine, ...]
    across: str  # what the axis says
    up: str


@dataclass(frozen=True, slots=True)
class TradePoint:
    name: str
    false: float  # a month
    caught: float
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class TradeChart:
    """What settings catch, against what they cost."""

    points: tuple[TradePoint, ...]
    bearable: float  # false tickets a month
    across: str
    up: str


ReplayChart = HistoryChart | WeeksChart | CatchChart | TradeChart


@dataclass(frozen=True, slots=True)
class TicketRow:
    """A ticket that would have been filed."""

    sentence: str
    filed: str
    lasted: str
    is_open: bool  # it would be open still
    series: str
    comments: str  # how many; empty where none
    chart: HistoryChart | None


@dataclass(frozen=True, slots=True)
class DigestRow:
    sentence: str
    when: str
    series: str


@dataclass(frozen=True, slots=True)
class CatchRow:
    metric: str  # empty: of all
    shape: DropShape
    size: str
    places: str
    ticket: str  # `85 %`
    interval: str
    digest: str
    after: str  # runs, the first bad one included; empty where there was no ticket


@dataclass(frozen=True, slots=True)
class FalseRow:
    metric: str  # empty: any
    tickets: str
    months: str  # how long the healthy histories were, taken together
    a_month: str
    interval: str


@dataclass(frozen=True, slots=True)
class TriedRow:
    setting: str
    tickets: str
    a_month: str
    interval: str
    caught: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class ReplayView:
    """What one pipeline's history comes to."""

    pipeline: str  # its title
    since: str
    until: str
    runs: str
    preset: str
    tickets: tuple[TicketRow, ...]
    tickets_a_month: str
    weeks: WeeksChart
    digest: tuple[DigestRow, ...]
    improved: str  # how many runs; empty where none
    quiet_days: str
    days: str
    overviews: tuple[HistoryChart, ...]
    headline: CatchRow | None  # of a lasting drop of a middling size
    smallest_told: (
        str  # what the smallest effect that counts comes to, in spreads; empty where nothing is planted below
    )
    slices: str  # whether drops could be planted in slices, and why not
    slice_effect: str  # falls of a slice up to this share are never told
    slices_told: str  # which is so many of its spreads; empty where nothing was planted
    catches: tuple[CatchRow, ...]  # of all metrics together
    catches_by_metric: tuple[CatchRow, ...]  # where there are several
    catch_chart: CatchChart | None
    false: tuple[FalseRow, ...]  # any metric first
    histories: str  # healthy ones that were made; empty where none could be
    unjudged: tuple[str, ...]
    too_short: tuple[str, ...]
    tried: tuple[TriedRow, ...] = ()
    trade: TradeChart | None = None
    is_bearable: bool = True  # the chosen setting keeps to a false ticket a month


@dataclass(frozen=True, slots=True)
class ReplayPageView:
    """A page of its own, to be opened from a file."""

    language: str  # as HTML names it
    made: str
    pipelines: tuple[ReplayView, ...]
    aside: tuple[str, ...] = ()  # why other pipelines could not be replayed
