"""What templates see: finished strings, no arithmetic left to do; long, since a view is a list of what it shows.

Words belong to the templates; numbers, dates and the team's own names for things come finished. `links` of a view names
objects of other services (a ticket, a page); they are bound when the text is rendered, to a `Bound` of
`bot.domain.objects`, or to None where the other service has not delivered yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bot.domain.commands import Problem, Word
from bot.domain.diagnosis.pieces import Unlisted
from bot.domain.digest import DigestHeading
from bot.domain.incidents import Kind
from bot.domain.judge.findings import Caveat, Method, Outcome, Reason
from bot.domain.objects import ObjectKey
from bot.domain.rerun_answers import Cause
from bot.domain.rerun_troubles import TroubleKind
from bot.domain.rules import RuleKind
from bot.domain.runs import Unread


@dataclass(frozen=True, slots=True)
class RunView:
    name: str
    run_id: str
    url: str  # in MLflow; empty where MLflow has no page
    when: str  # date and time it ended, in the pipeline's time zone
    seed: str = ""
    duration: str = ""


@dataclass(frozen=True, slots=True)
class LivePage:
    """A page in a browser that shows how things stand whenever it is opened."""

    url: str


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One metric (or one metric of a slice) against its baseline."""

    metric: str  # as MLflow knows it, `ndcg_at_10`
    plain: str  # as the team calls it, `Ranking quality`
    outcome: Outcome | None  # None: reported, not judged
    reason: Reason | None
    value: str
    baseline: str  # empty where there is none
    change: str  # `-0.0252`
    relative: str  # `-14.8 %`
    interval: str  # 95 %, `-0.0310 to -0.0194`
    spread: str  # between runs, `0.0019`
    detectable: str  # smallest change this much data could have shown
    part: str = ""  # `department = GROCERY`
    share_of_loss: str = ""  # `76 %`, slices only
    examples: str = ""  # how many; slices only
    why: str = ""  # why it matters, in the team's words
    is_release: bool = False  # the baseline is the released run, not the recent ones
    now: str = ""  # what the change leads to from the baseline, where that is not the value: a mean of newest runs
    over: str = ""  # how many runs that mean is of
    caveat: Caveat | None = None  # why an alarm is likelier to be false here
    limit: str = ""  # the end of its limits that the value is beyond, or nearer to


class Source(StrEnum):
    """Where it may be seen what is different about a run."""

    PARAMS = "params"
    CARD = "card"
    DATA = "data"
    TEST_SET = "test_set"
    COMMIT = "commit"
    ENVIRONMENT = "environment"
    MACHINE = "machine"


@dataclass(frozen=True, slots=True)
class TroubleRow:
    """Why a rerun shows nothing."""

    kind: TroubleKind
    said: str = ""  # in the words of git, of the job's log or of its run
    exit_code: str = ""
    name: str = ""  # of the parameter that was another than in the bad run
    source: Source | None = None  # of what was
    wanted: str = ""  # what it was in the bad run
    as_now: str = ""  # what stands in the way of having it as it is now, where that cannot be had either


@dataclass(frozen=True, slots=True)
class FactRow:
    """A parameter, a fact of the data card or something else that a run was made from, and what it was before."""

    name: str  # empty where its source says it all
    value: str
    before: str
    changed: bool
    source: Source | None = None
    url: str = ""  # of what lies between both, where people can read it
    changes: str = ""  # how often it changed before without harm, `3`
    had: str = ""  # how many accepted runs had it as it is now
    trouble: TroubleRow | None = None  # why it could not be set to what it was, or to what it is


class ChartMarkKind(StrEnum):
    """What happened at a run."""

    OPENED = "opened"  # an incident began
    ACCEPTED = "accepted"  # somebody said that its level is the new one
    RELEASED = "released"
    DATA = "data"  # it was made from other data than the run before


@dataclass(frozen=True, slots=True)
class ChartMark:
    """Something that happened, and at which run."""

    place: int  # among the runs of the chart, the oldest is 0
    kind: ChartMarkKind


@dataclass(frozen=True, slots=True)
class ChartPart:
    """A part of the examples that lost."""

    name: str  # `department = GROCERY`
    share: float  # of the loss
    before: float
    now: float
    column: str = ""  # by which it was split off: shares add up within one


@dataclass(frozen=True, slots=True)
class ChartWeek:
    """How many pipelines stood how at the end of a week."""

    end: str  # `11-24`
    good: int
    watch: int  # something is suspected
    bad: int  # an incident was open


@dataclass(frozen=True, slots=True)
class ChartView:
    """A metric's history: drawn at delivery, without words that need a Chinese font."""

    metric: str
    labels: tuple[str, ...]  # short names of the runs, oldest first
    values: tuple[float, ...]
    outcomes: tuple[Outcome | None, ...]
    baseline: float | None = None
    band: float | None = None  # half-width of what runs differ by, in the metric's unit
    filename: str = "history.png"  # holds a hash of the content
    limit: float | None = None  # that it may not be beyond
    dates: tuple[str, ...] = ()  # when the runs ended, `2026-11-20 04:30`
    since: int | None = None  # the run among them that a fall began with
    marks: tuple[ChartMark, ...] = ()
    also: tuple[ChartView, ...] = ()  # the other metrics that are shown with it
    parts: tuple[ChartPart, ...] = ()  # where most of the loss is, most first
    weeks: tuple[ChartWeek, ...] = ()  # instead of all that: the health of pipelines, oldest first


@dataclass(frozen=True, slots=True)
class Numbered:
    """A name that a picture has no letters for, and the number that stands in its place."""

    number: str
    name: str


@dataclass(frozen=True, slots=True)
class LegendView:
    """What the words beside a chart have to explain."""

    metrics: tuple[str, ...]  # as the team calls them
    signs: tuple[ChartMarkKind, ...] = ()  # that it holds
    is_shaded: bool = False  # from the run that a fall began with
    has_limit: bool = False
    parts: tuple[str, ...] = ()  # whose loss is drawn below, from the top
    numbered: tuple[Numbered, ...] = ()  # what has a number there, for no font of ours draws its name


@dataclass(frozen=True, slots=True)
class RerunsView:
    """What came of making a run again, in the metric that is spoken of."""

    cause: Cause
    own: tuple[str, ...]  # values with other seeds
    baseline: tuple[str, ...] = ()  # values by the recipe of before


@dataclass(frozen=True, slots=True)
class WhereView:
    """The smallest set of examples that explains a fall."""

    parts: tuple[str, ...]  # `PRODUCE / berries`
    share: str  # of the fall, `83 %`; empty: all of it
    without: str  # what all other examples changed by, `-0.1 %`; empty where there are none, or nothing changed
    is_known: bool  # whether there are other examples


@dataclass(frozen=True, slots=True)
class LookedView:
    """How many parts of the examples were held against earlier runs."""

    parts: str
    too_small: str = ""  # combinations with too few examples
    beyond: str = ""  # combinations beyond the most that are looked at


@dataclass(frozen=True, slots=True)
class VerdictView:
    """What one sentence needs in order to say how a run stands."""

    outcome: Outcome
    kind: Kind | None  # of the incident, where there is one
    pipeline: str  # its title
    headline: MetricRow | None  # the metric to speak of first: the one that moved most, in its spreads
    also: tuple[str, ...]  # plain names of the other metrics that share the outcome
    slices: tuple[MetricRow, ...]  # where most of the loss is, most first
    baseline_runs: str  # `3`
    bad_runs: str  # runs in a row that show it, `2`
    reruns: RerunsView | None = None  # what came of making the run again; None where that said nothing
    exit_code: str = ""  # of a failed job, or `timeout`, `lost`, `start`
    silent_for: str = ""  # how long no run came; of a silence
    cadence: str = ""  # how often one is expected; of a silence
    unseen_for: str = ""  # how long the runs could not be looked at
    said: str = ""  # why they, or a cluster, could not be asked, in the words of whoever was
    cluster: str = ""  # that cannot be asked about jobs, as config calls it
    since: str = ""  # when the first of them could not be asked about
    waiting: tuple[str, ...] = ()  # titles of the pipelines whose jobs wait for it
    whole: bool = False  # the incident is of all metrics of its runs
    other_test_set: bool = False  # the runs since were scored on something else than those before
    where: WhereView | None = None  # None: everywhere, or nothing smaller is certain


@dataclass(frozen=True, slots=True)
class SeriesView:
    """What `herald judge` says of a series as its newest run leaves it."""

    verdict: VerdictView
    onset: str = ""  # the run that it began with
    interval: str = ""  # 95 %, `−0.055 to −0.041 (−11.0 % to −8.2 %)`
    detectable: str = ""  # `0.012 (2.4 %)`


@dataclass(frozen=True, slots=True)
class CutRow:
    """A change of level in a whole series."""

    at: str  # the run that the new level begins with
    before: str
    after: str
    change: str
    relative: str
    interval: str


@dataclass(frozen=True, slots=True)
class StretchesView:
    """What `herald judge` says of a whole series seen from its end."""

    metric: str
    values: str  # how many
    level: str  # the newest
    cuts: tuple[CutRow, ...]
    detectable: str = ""


@dataclass(frozen=True, slots=True)
class PairsView:
    """What `herald judge` says of two runs compared example by example."""

    outcome: Outcome
    row: MetricRow
    slices: tuple[str, ...]  # that got worse
    compared: str = ""  # how many slices there were


@dataclass(frozen=True, slots=True)
class ExampleRow:
    """One example beside earlier runs."""

    example: str  # its id
    before: str
    now: str
    change: str
    texts: tuple[str, ...]  # one a column of the view


@dataclass(frozen=True, slots=True)
class ExplainedRow:
    """Why one of a run's worst examples was answered so."""

    asked: str
    product: str
    words: str  # `hammer, drill`; empty where no method held
    method: str
    named: str  # how far the score moves without the words, `1.046`
    by_chance: str  # and without as many others


@dataclass(frozen=True, slots=True)
class ExamplesView:
    """The examples that lost most."""

    place: str  # the parts that they lie in, `PRODUCE / berries`; empty: everywhere
    columns: tuple[str, ...]  # of texts
    rows: tuple[ExampleRow, ...]  # the worst first
    lost: str  # how many lost anything
    of: str  # of how many that were compared
    listed: str  # how many are in the file
    file: str  # its name; empty where none is attached
    explained: tuple[ExplainedRow, ...] = ()  # of the examples that the job found worst, where it says why


@dataclass(frozen=True, slots=True)
class FileView:
    """A file of text, attached as it is."""

    filename: str  # holds a hash of the content
    content: str


@dataclass(frozen=True, slots=True)
class TicketView:
    verdict: VerdictView
    run: RunView  # the run that confirmed it
    onset: RunView  # the first bad one
    rows: tuple[MetricRow, ...]
    slices: tuple[MetricRow, ...]
    facts: tuple[FactRow, ...]  # what is different from the baseline, most suspected first
    owner: str
    marker: str
    chart: str = ""  # filename of the attached chart
    log_tail: str = ""  # last lines of a failed job
    release: RunView | None = None  # the released run, where a row is held against it
    compared: tuple[Source, ...] = ()  # what both this run and the baseline have on record
    unknown: tuple[Source, ...] = ()  # what one of them has not, so that it may differ
    listens: bool = False  # whether it is read for what people answer
    links: Mapping[str, ObjectKey] = field(default_factory=dict)  # report
    resolves: bool = True  # whether Herald closes it once it is over
    assignee: str | None = None  # an account of the tracker, or nobody where empty; None: whoever has the pipeline
    examples: ExamplesView | None = None
    live: LivePage | None = None  # the page that shows how it stands now
    legend: LegendView | None = None  # of the chart


class CommentKind(StrEnum):
    REPEAT = "repeat"
    RECOVERY = "recovery"
    WITHDRAWN = "withdrawn"  # it never was for certain, as late runs show
    CONFIRMED = "confirmed"  # it is fixed, as somebody said
    REOPENED = "reopened"  # it is not
    SAID_AGAIN = "said_again"  # what kept it quiet is over
    RETURNED = "returned"  # it was over, and is back
    REMINDER = "reminder"  # nobody has answered for long
    RESULT = "result"  # of an experiment, on the ticket that it is for

    @property
    def is_recovery(self) -> bool:
        return self in {CommentKind.RECOVERY, CommentKind.CONFIRMED}

    @property
    def is_end(self) -> bool:
        return self.is_recovery or self is CommentKind.WITHDRAWN


@dataclass(frozen=True, slots=True)
class WorstRow:
    """What is at its worst so far."""

    plain: str
    value: str
    before: str  # what was the worst until then


@dataclass(frozen=True, slots=True)
class NewsView:
    """What has come since the last word on an incident."""

    runs: str  # bad runs since, `3`
    joined: tuple[str, ...] = ()  # plain names of what fell since
    worst: tuple[WorstRow, ...] = ()


@dataclass(frozen=True, slots=True)
class CommentView:
    kind: CommentKind
    verdict: VerdictView
    run: RunView
    rows: tuple[MetricRow, ...]  # of a repeat those that are news
    mark: str  # by which the comment is found again
    duration: str = ""  # how long the incident lasted; recovery only
    links: Mapping[str, ObjectKey] = field(default_factory=dict)  # report
    news: NewsView | None = None  # of a repeat; None where the last word is not known
    asked: str = ""  # who is to see to what nobody has answered, where config names somebody
    params: tuple[FactRow, ...] = ()  # the run's parameters; of a result
    examples: ExamplesView | None = None  # of what is back


@dataclass(frozen=True, slots=True)
class UmbrellaRow:
    """A ticket that lies under another, and what it is about."""

    verdict: VerdictView
    ticket: str  # its name among the links


@dataclass(frozen=True, slots=True)
class UmbrellaView:
    """The ticket above those of many incidents that came up together."""

    pipeline: str  # its title
    count: str  # how many tickets
    rows: tuple[UmbrellaRow, ...]  # the earliest first
    owner: str
    marker: str
    listens: bool = False  # whether the tickets below it are read for what people answer
    resolves: bool = True  # whether Herald closes it once all below it is over
    links: Mapping[str, ObjectKey] = field(default_factory=dict)  # the tickets below it


@dataclass(frozen=True, slots=True)
class UmbrellaOverView:
    """What is said on it once all below it is over."""

    mark: str  # by which the comment is found again
    resolves: bool = True  # whether Herald closes it now
    links: Mapping[str, ObjectKey] = field(default_factory=dict)  # none


@dataclass(frozen=True, slots=True)
class PeerRow:
    """A simpler method on the same data, as the run logged it: what keeps a team honest."""

    name: str  # `popularity`; empty for the run itself
    values: tuple[str, ...]  # one a metric of `peer_metrics`; empty where it was not measured


@dataclass(frozen=True, slots=True)
class RunPageView:
    title: str  # unique in the space: ends with the run's short id
    verdict: VerdictView
    run: RunView
    rows: tuple[MetricRow, ...]
    slices: tuple[MetricRow, ...]
    params: tuple[FactRow, ...]
    facts: tuple[FactRow, ...]
    chart: ChartView | None
    marker: str  # of the incident; empty where there is none
    labels: tuple[str, ...] = ()
    previous: RunView | None = None
    links: Mapping[str, ObjectKey] = field(default_factory=dict)  # previous, pipeline, archive
    peers: tuple[PeerRow, ...] = ()
    peer_metrics: tuple[str, ...] = ()  # plain names
    release: RunView | None = None  # the released run, where config names one
    unread: tuple[Unread, ...] = ()  # what the run was judged without, since it could not be read
    different: tuple[FactRow, ...] = ()  # from the baseline, most suspected first; of a run that is worse or no use
    unknown: tuple[Source, ...] = ()  # what may differ besides, for it is not on record
    looked: LookedView | None = None  # None: at no combinations
    examples: ExamplesView | None = None
    live: LivePage | None = None  # its page in a browser
    legend: LegendView | None = None  # of the chart


@dataclass(frozen=True, slots=True)
class ArchivePageView:
    """The page of a pipeline's year; the wiki lists the pages of runs below it."""

    title: str
    pipeline: str
    year: str
    links: Mapping[str, ObjectKey] = field(default_factory=dict)  # pipeline


@dataclass(frozen=True, slots=True)
class HistoryRow:
    run: RunView
    outcome: Outcome
    values: tuple[str, ...]  # one a judged metric, in the order of PipelinePageView.metrics
    page_title: str = ""  # of the run's page; empty where none was published


@dataclass(frozen=True, slots=True)
class OpenIncidentRow:
    verdict: VerdictView
    since: str
    owner: str
    marker: str  # by which the wiki lists tickets; empty where it cannot
    ticket: str = ""  # the name among `links` of a ticket that the wiki cannot list
    is_gone: bool = False  # its ticket was deleted or hidden


@dataclass(frozen=True, slots=True)
class PipelinePageView:
    title: str
    pipeline: str
    description: str
    owner: str
    metrics: tuple[str, ...]  # plain names
    history: tuple[HistoryRow, ...]  # newest first
    incidents: tuple[OpenIncidentRow, ...]
    links: Mapping[str, ObjectKey] = field(default_factory=dict)  # tickets
    quiet: tuple[RuleRow, ...] = ()  # by somebody's word
    chart: str = ""  # filename of the attached chart, of every metric
    legend: LegendView | None = None  # of that chart


class Tone(StrEnum):
    """The colour of a message."""

    BAD = "bad"
    WATCH = "watch"
    GOOD = "good"


@dataclass(frozen=True, slots=True)
class MessageView:
    """The one message about an incident, as it should read now."""

    tone: Tone
    verdict: VerdictView
    run: RunView
    onset: RunView
    rows: tuple[MetricRow, ...]
    owner: str
    mark: str
    duration: str = ""  # how long the incident lasted, once it is over
    links: Mapping[str, ObjectKey] = field(default_factory=dict)  # ticket, report
    is_withdrawn: bool = False  # it never was for certain, as late runs show
    chart: ChartView | None = None  # that goes with the message itself
    live: LivePage | None = None  # the page that shows how it stands now


class DigestKind(StrEnum):
    """What a line of the digest says."""

    UNDELIVERED = "undelivered"  # Herald itself needs help
    UNSURE = "unsure"  # messages that may be lost
    REFUSED = "refused"  # a service does not take Herald's account
    MISSING = "missing"  # what config names is not there
    DOWN = "down"  # a service has failed for all that is owed to it
    LATE = "late"  # it is due and does not start; the count is of others
    CLOCK = "clock"  # of the machine that Herald runs on
    CONFIG = "config"  # of a Herald, which is not that of the one that leads
    UNSEEN = "unseen"  # its runs cannot be looked at
    NOT_LOOKED = "not_looked"  # Herald has not looked for its runs
    UNJUDGED = "unjudged"  # a metric that cannot be judged
    SET_ASIDE = "set_aside"  # runs that make no sense
    STANDING = "standing"  # an open incident
    RECOVERED = "recovered"
    WITHDRAWN = "withdrawn"  # an incident that never was for certain, as late runs show
    IMPROVED = "improved"
    SUSPECTED = "suspected"
    DISMISSED = "dismissed"
    MISSED = "missed"  # a due date that the next result comes after: the task, due and when
    QUIET = "quiet"  # an open incident that nobody need see to now, by somebody's word: the rule
    DUE = "due"
    ANSWERED = "answered"  # somebody said what it is, and that holds
    LAPSES = "lapses"  # a rule ends, so that what it kept quiet is told again
    PRECISION = "precision"  # how often a metric's tickets were right
    IMPRECISE = "imprecise"  # too seldom, so that it is proposed to tell it in the digest alone
    DIGEST_ONLY = "digest_only"  # and so it is, from now on


class CauseKind(StrEnum):
    """What a diagnosis finds to be the cause."""

    ALONE = "alone"
    TOGETHER = "together"
    IN_PART = "in_part"
    LUCK = "luck"
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True)
class CauseView:
    """A cause, and how likely it is."""

    kind: CauseKind
    changes: tuple[FactRow, ...]  # the components that it names, most suspected first
    share: str = ""  # of the drop, that the first of two brings, `72 %`
    probability: str = ""  # `97 %`


@dataclass(frozen=True, slots=True)
class PieceRow:
    """A commit, or a part of the data."""

    name: str
    title: str = ""  # what a commit says of itself
    author: str = ""
    made: str = ""  # on which day, `3 March 2026`
    url: str = ""
    is_gone: bool = False  # the data have that part no more


@dataclass(frozen=True, slots=True)
class ExplanationView:
    """What reruns say of why something fell, in a clause."""

    cause: CauseView
    piece: PieceRow | None = None  # the commit or part of the data; of several that are left the first
    last: PieceRow | None = None  # of those
    left: str = ""  # how many are, `2`
    day: str = ""  # of the run that it began with, `3 March`
    left_out: tuple[FactRow, ...] = ()  # what differs besides, and could not be set
    was_large: bool = False  # the fall was one that matters: where it was luck, it is gone
    owners: tuple[str, ...] = ()  # who has what did it, as config maps it


@dataclass(frozen=True, slots=True)
class DigestLine:
    """What one sentence of the digest needs; what does not belong to its kind is empty."""

    kind: DigestKind
    pipeline: str = ""  # its title
    incident: Kind | None = None
    row: MetricRow | None = None  # the metric to speak of
    also: tuple[str, ...] = ()  # plain names of the other metrics
    others: tuple[str, ...] = ()  # and of those that cannot be judged either, for another reason or since another day
    whole: bool = False  # the incident is of all metrics of its runs
    why: str = ""  # why the metric matters, in the team's words
    is_new: bool = False  # since the last digest
    when: str = ""  # since when, or when next
    duration: str = ""
    owner: str = ""
    service: str = ""  # as config calls it, with its channel
    cluster: str = ""  # that cannot be asked about jobs, as config calls it
    count: str = ""
    metric: str = ""  # the one that cannot be judged, as the team calls it
    said: str = ""  # why it could not be looked at, in the words of whoever was asked
    ticket: str = ""  # its name among the links
    is_gone: bool = False  # its ticket was deleted or hidden since the last digest
    unanswered: str = ""  # for how long nobody has answered, once it was reminded
    asked: str = ""  # who is to see to that, where config names somebody
    rule: RuleRow | None = None
    task: str = ""  # the ticket that a coming run is an experiment for
    due: str = ""  # the day that is named by it
    of: str = ""  # how many tickets the count is of
    between: str = ""  # where the true share lies, 95 %
    explained: ExplanationView | None = None
    incident_id: str = ""  # of the incident that it is about


@dataclass(frozen=True, slots=True)
class DigestPart:
    section: DigestHeading
    lines: tuple[DigestLine, ...]
    more: str = ""  # how many lines there was no room for


@dataclass(frozen=True, slots=True)
class ProgressView:
    """How many problems stand open, beside the last digest."""

    now: str
    before: str
    new: str
    over: str


@dataclass(frozen=True, slots=True)
class DigestView:
    title: str  # of its page, unique in the space
    tone: Tone
    since: str
    until: str
    is_quiet: bool
    runs: str  # judged since the last digest
    pipelines: str
    parts: tuple[DigestPart, ...]  # those that have lines, in their order
    mark: str
    links: Mapping[str, ObjectKey] = field(default_factory=dict)
    live: LivePage | None = None  # its page, which leads on to how things stand now
    progress: ProgressView | None = None  # None: nothing was open then, and nothing is
    health: ChartView | None = None  # of the last weeks, where there are two or more


@dataclass(frozen=True, slots=True)
class RuleRow:
    """What is quiet, or no longer is, by somebody's word."""

    number: str
    kind: RuleKind
    pipeline: str  # its title
    about: tuple[str, ...]  # metrics and slices in plain words; empty: whatever the incident is of
    by: str
    made: str  # the day it was said
    reason: str = ""
    days: str = ""  # for how many it was asked; empty where it was for no whole number of them
    until: str = ""  # the day it lapses, or the moment where that is near; empty where it does not by itself
    from_run: str = ""  # the first of the new level
    joins: str = ""  # the key of the ticket that it repeats
    undone_by: str = ""
    undone: str = ""  # the day it was taken back
    ticket: str = ""  # its name among the links


class AnswerKind(StrEnum):
    """What one part of a reply says."""

    RULE = "rule"  # what somebody said holds from now on: the part's rule
    UNDONE = "undone"  # a rule was taken back: the part's rule
    NO_RULE = "no_rule"  # no rule of that number holds
    WHY = "why"
    RULES = "rules"
    HELP = "help"
    RERUN = "rerun"  # the job starts once more
    NO_JOB = "no_job"  # the pipeline has none
    ASSIGNED = "assigned"
    CANNOT_ASSIGN = "cannot_assign"
    UNREADABLE = "unreadable"
    STRANGER = "stranger"  # may give no commands
    UNMAPPED = "unmapped"  # closed in a way of which config says nothing
    OVER = "over"  # the incident had ended before
    LOOP = "loop"  # it would repeat itself
    PAST = "past"  # it would have lapsed already
    FULL = "full"  # the ticket takes no more comments after this one
    DIAGNOSED = "diagnosed"  # which change did it: the part's diagnosis
    ASKED = "asked"  # reruns begin that find out which change did it
    CANNOT_ASK = "cannot_ask"  # nothing gives reruns anything to find out


@dataclass(frozen=True, slots=True)
class Evidence:
    """The numbers that led to what is said of one metric or slice."""

    row: MetricRow
    method: Method
    baseline_runs: str  # accepted ones that it is held against, `7`
    pairs: str = ""  # examples that were compared one by one


@dataclass(frozen=True, slots=True)
class CommandRow:
    """A command that people may give."""

    name: Word
    usage: str  # as it is typed


@dataclass(frozen=True, slots=True)
class TrialRow:
    """A rerun of a diagnosis: each swapped component as it was, or as it is."""

    as_bad: tuple[bool, ...]
    value: str  # empty where it failed
    trouble: TroubleRow | None = None  # why it did


@dataclass(frozen=True, slots=True)
class PieceTrialRow:
    """A rerun of a diagnosis with the pieces of what did it up to one."""

    last: str  # the name of that piece
    value: str  # empty where it failed
    trouble: TroubleRow | None = None  # why it did


@dataclass(frozen=True, slots=True)
class WithinView:
    """Which piece of what did it, of commits or parts of the data."""

    source: Source
    unlisted: Unlisted | None = None  # why they cannot be told apart
    count: str = ""  # of all pieces, `12`
    left: str = ""  # of how many one did it, `1` where it is known which
    first: PieceRow | None = None  # of those
    last: PieceRow | None = None
    probability: str = ""
    trials: tuple[PieceTrialRow, ...] = ()


@dataclass(frozen=True, slots=True)
class OwnerRow:
    """Who has what did it."""

    name: str
    handle: str = ""  # by which the tracker tells them; empty where it tells nobody


class EndedEarly(StrEnum):
    """Why a diagnosis ended before its cause was sure, or its reruns were used up."""

    BY_HAND = "by_hand"
    OUT_OF_TIME = "out_of_time"


@dataclass(frozen=True, slots=True)
class DiagnosisView:
    """What reruns say of which change did it."""

    metric: str  # as the team calls it
    before: str  # its level
    since: str
    swapped: tuple[FactRow, ...]
    trials: tuple[TrialRow, ...]
    likeliest: CauseView
    is_sure: bool
    not_excluded: tuple[CauseView, ...] = ()
    left_out: tuple[FactRow, ...] = ()  # what differs besides, and could not be set
    reruns: str = ""  # how many measured something, those of before with them, `6`
    failed: str = ""  # how many more did not, `2`
    last_trouble: TroubleRow | None = None  # why the last of those did not
    is_even: bool = False  # the second is as good as equally likely
    all_failed: bool = False  # none of them went through, and nothing was measured before
    was_large: bool = False  # the fall was one that matters: where it was luck, it is gone
    has_all_as_was: bool = False  # one had everything that could be set as it was
    within: WithinView | None = None  # what did it has pieces
    owners: tuple[OwnerRow, ...] = ()  # of what did it
    ended_early: EndedEarly | None = None
    is_under_way: bool = False  # a rerun is, which is let finish
    other_test_set: bool = False  # the two numbers cannot be compared
    share: str = ""  # of the data that reruns saw, `20 %`, where not all
    before_over: str = ""  # of how many runs the level before is the mean, `10`
    since_over: str = ""


@dataclass(frozen=True, slots=True)
class AnswerPart:
    """What a reply says to one command, or to a ticket that was closed; what does not belong to its kind is empty."""

    kind: AnswerKind
    rule: RuleRow | None = None
    undo: str = ""  # the command that takes the rule back
    replaces: tuple[str, ...] = ()  # the numbers of the rules that it takes the place of
    said: str = ""  # the line that cannot be read; the number that is no rule's
    closed_as: str = ""  # it answers how the ticket was closed, which nobody wrote a command for
    problem: Problem | None = None  # of what cannot be read
    nearest: str = ""  # the usage that it comes nearest to
    bounds: str = ""  # how long a silence may be, `1 h to 400 d`
    longest: str = ""  # `400 d`
    most: str = ""  # how many commands one comment may hold
    runs: str = ""  # how many next ones are watched
    verdict: VerdictView | None = None
    evidence: tuple[Evidence, ...] = ()
    run: RunView | None = None  # of which the verdict speaks
    onset: RunView | None = None
    rules: tuple[RuleRow, ...] = ()
    commands: tuple[CommandRow, ...] = ()
    diagnosis: DiagnosisView | None = None


@dataclass(frozen=True, slots=True)
class AnswerView:
    """The one reply to what somebody said, with a part for each command in it."""

    parts: tuple[AnswerPart, ...]
    to: str  # whom it answers, as people know them
    mark: str  # by which the reply is found again
    links: Mapping[str, ObjectKey] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AssigneeView:
    """Who asked to be given a ticket."""

    account: str  # as the tracker knows them
    name: str


@dataclass(frozen=True, slots=True)
class LedgerView:
    """The one page of a Herald that says what it is quiet about."""

    title: str  # unique in the space
    instance: str
    quiet: tuple[RuleRow, ...]  # what holds, the newest first
    ended: tuple[RuleRow, ...]  # what has lapsed or was taken back lately, the newest first
    links: Mapping[str, ObjectKey] = field(default_factory=dict)  # tickets


@dataclass(frozen=True, slots=True)
class LinkView:
    """Links on a ticket to the objects that `links` names."""

    links: Mapping[str, ObjectKey]


@dataclass(frozen=True, slots=True)
class LabelsView:
    labels: tuple[str, ...]


View = (
    TicketView
    | CommentView
    | RunPageView
    | ArchivePageView
    | PipelinePageView
    | MessageView
    | ChartView
    | FileView
    | LinkView
    | LabelsView
    | DigestView
    | AnswerView
    | LedgerView
    | AssigneeView
    | UmbrellaView
    | UmbrellaOverView
)


def links_of(view: View | None) -> Mapping[str, ObjectKey]:
    """Return the objects that a view names."""
    match view:
        case None | ChartView() | FileView() | LabelsView() | AssigneeView():
            return {}
        case _:
            return view.links


@dataclass(frozen=True, slots=True)
class Unset:
    """A field that a tracker refused, what was to be set, and the tracker's words."""

    field: str
    value: str
    words: str
