"""What Herald asks of the outside world, in its own words; no SDK type crosses; long, since it is read as one page."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from bot.domain.capabilities import ChatCapabilities, Promise, TextForm, TicketState
from bot.domain.fires import name_on_cluster
from bot.domain.message import MessageDocument
from bot.domain.rate_limits import Allowance
from bot.domain.rules import Person
from bot.domain.runs import DataCard, ExampleTexts, Release, Run, RunResult
from bot.text.comment_lines import Markup


@dataclass(frozen=True, slots=True)
class Ticket:
    key: str
    url: str
    state: TicketState
    name: str = ""  # what people call it, where that is not its key


@dataclass(frozen=True, slots=True)
class MarkedTicket:
    marker: str
    ticket: Ticket


@dataclass(frozen=True, slots=True)
class TicketDraft:
    """A ticket as it is created; everything but the labels belongs to people from then on."""

    title: str
    body: str  # in the tracker's markup
    labels: tuple[str, ...] = ()
    priority: str | None = None
    assignee: str | None = None
    components: tuple[str, ...] = ()
    left_out: frozenset[str] = frozenset()  # of the fields that config adds to every ticket of the tracker


@dataclass(frozen=True, slots=True)
class RemoteLink:
    identity: str  # the same identity again replaces the link
    url: str
    title: str
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Attachment:
    filename: str  # holds a hash of the content, so that the same file is known by its name
    content: bytes
    media_type: str
    alt: str = ""  # of a picture, what it shows, for who cannot see it
    caption: str = ""  # of a picture, plain, where it is shown


class Right(StrEnum):
    """What an account must be allowed, where a project or space is concerned."""

    CREATE = "create"
    COMMENT = "comment"
    MOVE = "move"
    LINK = "link"
    ATTACH = "attach"
    EDIT = "edit"


class Tracker(Protocol):
    """Tickets, found again by their marker: a label without spaces, unique to one incident, owner and generation.

    Every method raises RetryableError (AccountError where who asks is refused) or PermanentError and sends each write
    once: repeating is the dispatcher's.
    """

    @property
    def text_form(self) -> TextForm:
        """Tell how tickets and comments are written for it."""

    @property
    def allowance(self) -> Allowance | None:
        """Tell how much more the service says it will take; None where it does not say."""

    @property
    def search_lag(self) -> timedelta:
        """Tell how long a ticket just created may stay invisible to :meth:`find`."""

    def confirm_access(self, right: Right | None = None) -> None:
        """Ask the service who we are, whether it shows us the project, and whether we have *right* there.

        Raises AccountError where one of these is refused, and passes where it does not say.
        """

    def find(self, marker: str) -> Ticket | None:
        """Find the ticket that carries the marker: the oldest that is open, else the oldest that people closed.

        One that was closed as repeating another is none.
        """

    def is_duplicate(self, key: str) -> bool:
        """Say whether the ticket was closed as repeating another."""

    def read(self, key: str) -> Ticket | None:
        """Return the ticket, or None where it is gone; raises AccountError where it may only be hidden from us."""

    def due(self, key: str) -> date | None:
        """Return the day, or the moment (a datetime), by which the ticket is to be done; None if it is, or names none.

        Raises PermanentError where there is no such ticket.
        """

    def marked(self, family: str) -> Sequence[MarkedTicket]:
        """List all tickets whose marker starts with *family*, which is among their labels too; oldest first."""

    def create(self, marker: str, draft: TicketDraft) -> Ticket:
        """Create the ticket; raises FieldsRefusedError where it would be taken without some of its fields."""

    def comment(self, key: str, mark: str, body: str) -> None:
        """Add a comment that :meth:`has_comment` finds again by *mark*; raises FullError where it takes no more."""

    def has_comment(self, key: str, mark: str) -> bool: ...

    def move(self, key: str, state: TicketState) -> None:
        """Bring the ticket into *state* by whatever transition leads there; does nothing if it is there already."""

    def assign(self, key: str, account: str) -> None:
        """Give the ticket to somebody who asked for it, known by the id that answers bear; harmless where it is so."""

    def close_duplicate(self, key: str, original: Ticket) -> None:
        """Link the ticket to the one that it repeats, and close it as its duplicate; harmless where that is done."""

    def link(self, key: str, link: RemoteLink) -> None:
        """Add the link, or replace the one of the same identity."""

    def attach(self, key: str, attachment: Attachment) -> None:
        """Attach the file unless one of that name is there."""

    def forget(self, key: str) -> None:
        """Believe nothing remembered of the ticket: a request whose end is not known may have written to it."""


@dataclass(frozen=True, slots=True)
class Comment:
    """What somebody said, as it stands now."""

    comment_id: str
    author: Person
    created: datetime
    body: str
    markup: Markup
    mark: str | None = None  # Herald's own, where it carries one
    is_edited: bool = False  # since it was made
    url: str = ""


@dataclass(frozen=True, slots=True)
class Resolution:
    """How people closed a ticket: Jira's resolution; on Trello the list or the labels that config names."""

    id: str
    name: str
    by: Person | None = None  # who set it, where the service tells
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TicketReading:
    """A ticket as people have left it."""

    ticket: Ticket
    comments: tuple[Comment, ...] = ()  # those made at or after the moment that was asked for, oldest first
    resolution: Resolution | None = None
    assignee: Person | None = None
    labels: tuple[str, ...] = ()
    duplicate_of: str = ""  # the key of the ticket that it repeats
    is_full: bool = False  # it takes no more comments, but for a last one
    changed: datetime | None = None


@dataclass(frozen=True, slots=True)
class Speakers:
    """Whom config lets give commands; without any of them, those to whom the project's tickets can be assigned."""

    accounts: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()

    @property
    def is_open(self) -> bool:
        """Say whether config names nobody."""
        return not (self.accounts or self.groups or self.roles)


class TicketAnswers(Protocol):
    """What people answer in a tracker's tickets: read, and never written. Raises as Tracker does."""

    def me(self) -> Person:
        """Return our own account, whose changes and comments are no answers."""

    def changed(self, family: str, since: datetime) -> Sequence[str]:
        """Return the keys of tickets labelled *family* that changed since a moment, the index's lag counted in.

        One search, however many tickets; *since* is the service's clock as far as it tells, and what it counts in
        whole minutes is rounded down.
        """

    def read(self, key: str, since: datetime | None) -> TicketReading | None:
        """Return the ticket with its comments since a moment, or of all time; None where it is gone."""

    def may_speak(self, person: Person, speakers: Speakers) -> bool:
        """Say whether somebody may give commands; no where the service does not say so for certain."""


class ThreadAnswers(Protocol):
    """What people answer in the threads of a chat's messages. Raises as Chat does."""

    def me(self) -> Person: ...

    def replies(self, posted: Posted, since: datetime | None) -> Sequence[Comment]:
        """Return the replies in a message's thread since a moment, oldest first; none where it is gone."""

    def may_speak(self, person: Person, speakers: Speakers) -> bool: ...


@dataclass(frozen=True, slots=True)
class Page:
    page_id: str
    title: str
    url: str


@dataclass(frozen=True, slots=True)
class PageDraft:
    title: str  # unique in its space
    body: str  # Confluence storage format
    labels: tuple[str, ...] = ()
    parent_id: str | None = None  # of a page; None: the place that config names
    parent_title: str | None = None  # of that page, by which one is found that was made in its place


class Wiki(Protocol):
    """Pages, found again by their exact title; the same promises about errors and writes as Tracker."""

    @property
    def allowance(self) -> Allowance | None:
        """Tell how much more the service says it will take; None where it does not say."""

    def confirm_access(self, right: Right | None = None) -> None:
        """Ask as :meth:`Tracker.confirm_access` does, of the space."""

    def find(self, title: str) -> Page | None: ...

    def read(self, page_id: str) -> Page | None:
        """Return the page as it is titled now, or None as :meth:`Tracker.read` does."""

    def labelled(self, label: str) -> Sequence[Page]:
        """List the pages of the space that carry the label."""

    def create(self, draft: PageDraft) -> Page:
        """Create the page without its labels; titles are unique, so a page that has this one is returned instead."""

    def label(self, page_id: str, labels: Sequence[str]) -> None:
        """Add the labels that are missing."""

    def attach(self, page_id: str, attachment: Attachment) -> None:
        """Attach the file, or replace the one of that name."""

    def forget(self, page_id: str) -> None:
        """Believe nothing remembered of the page, as :meth:`Tracker.forget`."""

    def replace_section(self, page_id: str, body: str) -> None:
        """Put *body* between Herald's own anchors, leaving what people wrote around them; raises RetryableError on a
        version conflict. Anchors that were deleted are appended again. Writes nothing where nothing changes.
        """


@dataclass(frozen=True, slots=True)
class Posted:
    channel: str
    message_id: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class MarkedMessage:
    mark: str
    posted: Posted


class Chat(Protocol):
    """Messages in channels; the same promises about errors and writes as Tracker."""

    @property
    def text_form(self) -> TextForm:
        """Tell how messages are written for it."""

    @property
    def capabilities(self) -> ChatCapabilities: ...

    @property
    def promise(self) -> Promise:
        """Say what holds for a message whose posting ended in doubt."""

    @property
    def allowance(self) -> Allowance | None:
        """Tell how much more the service says it will take; None where it does not say."""

    def confirm_access(self, right: Right | None = None) -> None:
        """Ask who we are, as :meth:`Tracker.confirm_access` does; a channel that is closed says so itself."""

    def post(self, channel: str, mark: str, document: MessageDocument) -> Posted: ...

    def edit(self, posted: Posted, mark: str, document: MessageDocument) -> None:
        """Replace a message's words; raises GoneError where it was deleted, or can no longer be edited."""

    def has_moved(self, channel: str, posted: Posted) -> bool:
        """Say whether that channel is another by now than the one in which the message stands."""

    def find(self, channel: str, mark: str, since: datetime) -> Posted | None:
        """Find the message that carries *mark* among those posted after *since*."""

    def reply(self, posted: Posted, mark: str, document: MessageDocument) -> None:
        """Answer a message in its thread; raises GoneError as :meth:`edit` does."""

    def has_reply(self, posted: Posted, mark: str) -> bool:
        """Say whether the message's thread holds a reply that carries *mark*; raises GoneError as :meth:`edit` does."""

    def share(self, posted: Posted, attachment: Attachment) -> None:
        """Show a file in the message's thread; one that is there by its name stays as it is."""

    def marked(self, channel: str, since: datetime) -> Sequence[MarkedMessage]:
        """List the messages of ours posted after *since*, oldest first; none where messages cannot be looked for."""


@dataclass(frozen=True, slots=True)
class Experiment:
    experiment_id: str
    name: str
    created: datetime
    artifacts: str = ""  # the address below which its runs keep theirs; empty where it says none


@dataclass(frozen=True, slots=True)
class Selection:
    """Which runs of an experiment count."""

    filter: str = ""  # in MLflow's own syntax
    nested: bool = False  # runs inside other runs too


ANY_RUN = Selection(nested=True)


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A finished run, as a look over many experiments has met it."""

    run: Run
    experiment_id: str
    is_nested: bool = False  # inside another run


FROM_THE_BEGINNING = -(2**62)  # earlier than any start


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Finished runs in the order in which they were started, each with its start as MLflow has written it."""

    runs: Sequence[tuple[int, Run]]


class StepReader(Protocol):
    """What runs logged step by step. Raises RunStoreError where it cannot be asked just now."""

    def by_step(self, run_id: str, metrics: Sequence[str]) -> Mapping[str, Sequence[tuple[int, float]]]:
        """Return each metric's steps with its values, in their order; one that was logged once has one step."""


class RunStore(Protocol):
    """Runs of an experiment, as MLflow holds them. Raises RunStoreError where it cannot be asked just now."""

    def version(self) -> str:
        """Return the version of the MLflow that answers; empty where it does not say."""

    def experiments(self, patterns: Sequence[str]) -> Sequence[Experiment]:
        """Return the experiments that are not deleted and whose names match any of these globs."""

    def runs_since(self, experiment: Experiment, since: datetime | None, selection: Selection) -> Iterator[Run]:
        """Yield runs of any final status that ended at or after *since*, oldest first; deleted ones are left out."""

    def history(self, experiment: Experiment, begun: int, selection: Selection) -> Iterator[HistoryPage]:
        """Yield all finished runs of an experiment that were started at *begun* or later, as MLflow writes it."""

    def finished(self, experiment_ids: Sequence[str], since: datetime) -> Iterator[Sequence[FoundRun]]:
        """Yield pages of the finished runs of all these experiments that ended since then, the newest first.

        A page is one request, a small one at first. Raises RefusedError where one of the experiments is not for us.
        """

    def finished_oddly(self, experiment_ids: Sequence[str], since: datetime) -> Iterator[FoundRun]:
        """Yield those that say no end, or one in another unit than MLflow's, in a few requests more."""

    def newest(self, experiment: Experiment, count: int, selection: Selection = ANY_RUN) -> Sequence[Run]:
        """Return the *count* finished runs that were started last, the newest first."""

    def has_children(self, experiment: Experiment, run_id: str) -> bool:
        """Say whether other runs of the experiment are nested in this one."""

    def present(self, experiment_ids: Sequence[str], run_ids: Sequence[str]) -> frozenset[str]:
        """Return those of *run_ids* that these experiments hold and that are not deleted."""

    def named(self, experiment_ids: Sequence[str], run_ids: Sequence[str], taken: str) -> Sequence[Run]:
        """Return those runs as they are now; where there is a filter in MLflow's syntax, those that it has *taken*."""

    def run_of_fire(self, experiment: str, fire_id: str, started: datetime | None) -> Run | None:
        """Find the run of a job, whatever its status: the one tagged with its fire's id.

        A job that knows nothing of fires tags none: then the newest untagged run since *started* is taken, and tagged,
        as a guess too; none where *started* is None.
        """

    def released(self, release: Release) -> Run | None:
        """Find the run that a release came from; None where there is none, or where it was deleted."""

    def end_run(self, run_id: str) -> None:
        """Let a run whose program is gone end as killed."""

    def mark_rerun(self, run_id: str) -> None:
        """Say on a run that it was made to ask about another: it is listed no more, here or by another Herald."""

    def load(self, run: Run, card: DataCard | None = None) -> RunResult:
        """Add what the run's artifacts say: the data card and the per-example table, each where there is one.

        Where its *card* is known from before, that is taken and not asked for.
        What is there and can never be read is named in the result; ArtifactsAwayError says that it may be read later.
        """

    def texts(self, run: Run, columns: Sequence[str], ids: Collection[str]) -> ExampleTexts:
        """Read what some columns of the per-example table say of some examples, the beginning of each text.

        What is there and can never be read is named; ArtifactsAwayError says that it may be read later.
        """

    def attach_log(self, run_id: str, log: Path) -> None:
        """Keep a job's log beside its run."""


class JobState(StrEnum):
    QUEUED = "queued"  # accepted, and waiting for room
    RUNNING = "running"
    ENDED = "ended"
    LOST = "lost"  # neither alive nor ended on record

    @property
    def is_over(self) -> bool:
        return self in {JobState.ENDED, JobState.LOST}


class Submission(StrEnum):
    STARTED = "started"
    ADOPTED = "adopted"  # it was there already, under the same name


@dataclass(frozen=True, slots=True)
class Job:
    """One execution of a pipeline's command; *folder* holds its log, and on this machine its process id and exit code.

    *cwd* is whole on this machine; for a cluster it is as config has it, and starts where the executor puts jobs.
    """

    fire_id: str  # letters and digits, 16 of them
    command: tuple[str, ...]
    folder: Path
    cwd: Path
    environment: Mapping[str, str]
    timeout: timedelta
    memory: int | None = None  # bytes that each of its processes may take; on a cluster all of them together
    cpus: int | None = None  # that its processes may run on
    log_limit: int | None = None  # bytes of its log that are worth keeping
    gpus: int | None = None
    owner: str = ""  # `instance/pipeline`: another Herald on the same cluster may have a fire of the same id

    @property
    def name(self) -> str:
        """Its name on a cluster: the fire's id, and the instance where it has a name of its own; a label of DNS."""
        return name_on_cluster(self.fire_id, self.owner.partition("/")[0])


@dataclass(frozen=True, slots=True)
class JobStatus:
    state: JobState
    exit_code: int | None = None
    timed_out: bool = False
    said: str = ""  # why, in a sentence with the cluster's words


@dataclass(frozen=True, slots=True)
class LogPart:
    data: bytes
    offset: int  # where the next part begins


class Executor(Protocol):
    """Runs jobs that outlive Herald, each under the name of its fire: none is ever started twice.

    Where it cannot be asked each call raises ExecutorAwayError: then nothing is known, and it is asked again later.
    """

    def submit(self, job: Job) -> Submission:
        """Start the job unless one of its name is there; may be repeated, and interrupted at any step.

        Raises:
            JobError: where it is refused for good, in the words of whoever refused.
        """

    def look(self, job: Job) -> JobStatus:
        """Tell how the job stands, whoever started it; lost is only what is known to be gone, or is known no more."""

    def stop(self, job: Job) -> None:
        """End the job with everything it started; where nothing of it lives, that is well too.

        Raises:
            JobError: where it lives on.
        """

    def log(self, job: Job, offset: int) -> LogPart:
        """Return what the job has written from *offset* on, at most a megabyte; nothing where there is no more."""


class DeadMan(Protocol):
    """Whoever raises the alarm where Herald is not heard of for too long."""

    def signal(self) -> None:
        """Say that Herald is well; raises RetryableError or PermanentError where that could not be said."""
