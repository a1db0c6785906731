"""What the pages in a browser show, finished but for words; long, since a view is a list of what it shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bot.domain.health import Health
from bot.domain.incidents import IncidentState, Kind, Turn
from bot.domain.judge.findings import Outcome
from bot.domain.objects import Bound
from bot.domain.page_charts import CurvePicture, HeatMap, HistoryPicture, ShareBar, Sparkline
from bot.domain.rules import RuleKind
from bot.domain.views import (
    DiagnosisView,
    DigestLine,
    DigestView,
    FactRow,
    MetricRow,
    RuleRow,
    RunPageView,
    RunView,
    Source,
    VerdictView,
)


@dataclass(frozen=True, slots=True)
class LanguageLink:
    code: str
    href: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around every page."""

    language: str
    home: str  # the way to the overview
    digests: str
    style: str
    script: str
    as_of: str
    instance: str
    languages: tuple[LanguageLink, ...] = ()
    policy: str = ""  # of a page that lies in a folder: nobody sends a header with it


@dataclass(frozen=True, slots=True)
class HealthTile:
    health: Health
    count: str
    href: str
    is_chosen: bool = False


@dataclass(frozen=True, slots=True)
class OwnerLink:
    name: str
    href: str
    is_chosen: bool = False


@dataclass(frozen=True, slots=True)
class OverviewRow:
    """One pipeline at a glance."""

    title: str
    href: str
    health: Health
    owner: str
    line: DigestLine | None  # why it stands so, in a sentence; None: nothing is wrong
    verdict: VerdictView | None  # of its newest run, where nothing is wrong; None: there is none
    spark: Sparkline | None
    metric: str  # that is drawn, as the team calls it
    value: str  # its newest
    incidents: str  # how many stand; empty: none
    incident_href: str  # of the latest
    next_due: str  # empty where no clock says
    after: str  # the title of the pipeline that it waits for
    tickets: Mapping[str, Bound | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OverviewLine:
    """A line of the overview by itself: most of them are the same from one reader to the next."""

    row: OverviewRow


@dataclass(frozen=True, slots=True)
class JobLine:
    """A job that waits or runs."""

    title: str  # of its pipeline
    href: str
    stage: str  # `ahead`, `due`, `queued`, `running`, `away`
    since: str
    executor: str
    said: str  # by the cluster, or why it cannot be asked
    place: str
    name: str  # at the cluster
    url: str  # of its page there; empty where it has none
    is_rerun: bool


@dataclass(frozen=True, slots=True)
class OverviewPage:
    frame: Frame
    tiles: tuple[HealthTile, ...]
    owners: tuple[OwnerLink, ...]
    rows: tuple[str, ...]  # markup, a line of the table each
    is_filtered: bool
    all_href: str
    troubles: tuple[DigestLine, ...] = ()  # of Herald itself
    jobs: tuple[JobLine, ...] = ()  # that wait or run


@dataclass(frozen=True, slots=True)
class SimplePage:
    """A page that says one thing: that there is no such page, that the state cannot be read, what the token is."""

    frame: Frame
    said: str  # its name among the words
    asks: bool = False  # for the token
    action: str = ""  # where the token goes
    wanted: str = ""  # the page that was asked for, from the root on


@dataclass(frozen=True, slots=True)
class Crumb:
    """The page above this one."""

    title: str
    href: str


@dataclass(frozen=True, slots=True)
class ChartCard:
    """The history of one metric, and where it leads on to."""

    picture: HistoryPicture
    metric: str  # as MLflow knows it
    plain: str
    why: str
    newest: MetricRow | None
    slices_href: str = ""


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run in a list."""

    run: RunView
    href: str
    outcome: Outcome
    values: tuple[str, ...]  # one a metric of the list
    compare_href: str = ""  # beside the accepted run before it


@dataclass(frozen=True, slots=True)
class SeriesSection:
    """The runs of one series."""

    name: str  # empty where the pipeline is one series
    runs_id: str  # of the element that names the runs for whoever points at them
    runs_json: str
    charts: tuple[ChartCard, ...]
    metrics: tuple[str, ...]  # plain names
    runs: tuple[RunLine, ...]  # newest first
    more: str = ""  # how many runs there are besides those that are drawn


@dataclass(frozen=True, slots=True)
class IncidentLine:
    """An incident in a list."""

    line: DigestLine
    state: IncidentState
    since: str
    href: str
    tickets: Mapping[str, Bound | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SpanLink:
    """How many runs are drawn."""

    count: str
    href: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class PipelineDetail:
    frame: Frame
    title: str
    description: str
    row: OverviewRow  # how it stands
    series: tuple[SeriesSection, ...]
    incidents: tuple[IncidentLine, ...]
    quiet: tuple[RuleRow, ...]
    spans: tuple[SpanLink, ...]
    compare_action: str = ""  # where the form goes that asks for two runs; empty in a folder
    other_series: str = ""  # how many series there was no room for
    jobs: tuple[JobLine, ...] = ()  # that wait or run


class EventName(StrEnum):
    """What happened at one moment of an incident's life."""

    SEEN = "seen"
    RERUN = "rerun"
    TOLD = "told"
    ANSWERED = "answered"
    UNDONE = "undone"
    ASKED = "asked"  # a diagnosis began
    DIAGNOSED = "diagnosed"
    RECOVERED = "recovered"


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """One moment of an incident's life; what does not belong to its kind is empty."""

    kind: EventName
    when: str
    run: str = ""  # its name
    href: str = ""  # of the run's page
    value: str = ""
    outcome: Outcome | None = None
    turn: Turn | None = None
    sentence: str = ""  # as it was told then
    places: tuple[str, ...] = ()  # where
    rule: RuleRow | None = None
    rule_kind: RuleKind | None = None
    by: str = ""
    state: str = ""  # of a rerun's fire, or of a diagnosis
    diagnosis: DiagnosisView | None = None


@dataclass(frozen=True, slots=True)
class PartBar:
    row: MetricRow
    bar: ShareBar


@dataclass(frozen=True, slots=True)
class IncidentDetail:
    frame: Frame
    crumb: Crumb
    line: DigestLine
    tickets: Mapping[str, Bound | None]
    state: IncidentState
    kind: Kind
    verdict: VerdictView  # as it was told last
    owner: str
    since: str
    lasted: str
    ticket: Bound | None
    told: str  # when; empty: people have not heard of it
    rows: tuple[MetricRow, ...]
    parts: tuple[PartBar, ...]
    different: tuple[FactRow, ...]
    unknown: tuple[Source, ...]
    charts: tuple[ChartCard, ...]
    timeline: tuple[TimelineRow, ...]  # newest first
    diagnosis: DiagnosisView | None = None
    runs_json: str = ""
    run_href: str = ""
    compare_href: str = ""
    slices_href: str = ""
    is_whole: bool = True  # what was told reads as it was written


@dataclass(frozen=True, slots=True)
class RunDetail:
    frame: Frame
    crumb: Crumb
    report: RunPageView
    card: ChartCard | None
    runs_json: str = ""
    curves: tuple[CurvePicture, ...] = ()
    compare_href: str = ""
    incidents: tuple[IncidentLine, ...] = ()


@dataclass(frozen=True, slots=True)
class ComparedRow:
    """One number of two runs."""

    name: str
    plain: str
    before: str
    after: str
    change: str
    relative: str
    interval: str  # of the change, 95 %, by what runs differ by
    tone: str  # bad, good, or nothing: within what runs differ by


@dataclass(frozen=True, slots=True)
class ComparisonPage:
    frame: Frame
    crumb: Crumb
    before: RunLine
    after: RunLine
    metrics: tuple[ComparedRow, ...]
    made: tuple[FactRow, ...]  # from which commit, data, test set, environment, machine
    params: tuple[FactRow, ...]
    facts: tuple[FactRow, ...]
    parts: tuple[ComparedRow, ...]
    swap_href: str


@dataclass(frozen=True, slots=True)
class SlicesPage:
    frame: Frame
    crumb: Crumb
    plain: str
    heat: HeatMap | None
    runs_json: str
    rows: tuple[PartBar, ...]  # of the newest run
    run: RunLine | None
    others: tuple[Crumb, ...] = ()  # metrics


@dataclass(frozen=True, slots=True)
class DigestItem:
    href: str
    view: DigestView


@dataclass(frozen=True, slots=True)
class DigestList:
    frame: Frame
    items: tuple[DigestItem, ...]


@dataclass(frozen=True, slots=True)
class DigestDetail:
    frame: Frame
    crumb: Crumb
    view: DigestView
    bound: Mapping[str, Bound | None]
    hrefs: Mapping[str, str]  # of incidents, by their ids
    is_whole: bool = True
