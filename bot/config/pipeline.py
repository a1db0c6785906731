"""What config says of one pipeline: what to run or watch, when, how it is judged, and where it is told."""

from __future__ import annotations

import glob
import re
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bot.config.confirm import ConfirmSection
from bot.config.diagnose import DiagnoseSection
from bot.config.metric import MetricSection
from bot.config.owners import OwnerSection
from bot.config.slices import ExamplesSection, SlicesSection
from bot.config.timetable import Every, Timetable, first_after, read_at, read_cron
from bot.config.values import ALIAS, Words, Zone, read_due_time, read_owned
from bot.domain.policy import (
    DEFAULT_GUARDS,
    Guard,
    IncidentPolicy,
    Policies,
    Preset,
)
from bot.domain.runs import Release
from bot.domain.silence import SilencePolicy
from bot.sections import Duration, Language, Section, Size


class ScheduleSection(Section):
    """When a pipeline is due: one of a cron line, an interval, a time, or after another pipeline."""

    cron: str | None = None
    every: Duration | None = None
    at: Annotated[time | datetime | None, BeforeValidator(read_due_time)] = None  # each day, or once
    after: str | None = None  # a pipeline: due each time its job has ended well
    jitter: Duration = timedelta(0)  # starts up to this much later, the same each time it is asked about one due time
    catch_up: Literal["one", "none"] = "one"  # whether times that were missed are made up for, by one run

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [name for name in ("cron", "every", "at", "after") if getattr(self, name) is not None]
        if len(given) != 1:
            wanted = 'cron = "0 3 * * *", every = "6h", at = "03:00" or after = "another-pipeline"'
            found = f"; it has {' and '.join(given)}" if given else ""
            raise ValueError(f"should have exactly one of {wanted}{found}")
        if self.every is not None and self.every < timedelta(seconds=1):
            raise ValueError("every should be at least 1s")
        if self.every is not None and self.jitter >= self.every:
            raise ValueError("jitter should be shorter than every")
        if self.cron is not None:
            _check_cron(self.cron)
        return self

    def timetable(self, zone: ZoneInfo) -> Timetable | None:
        """Return when it is due; None where another pipeline says so."""
        if self.cron is not None:
            return read_cron(self.cron, zone)
        if self.at is not None:
            return read_at(self.at, zone)
        return None if self.every is None else Every(self.every)


@lru_cache(maxsize=1024)  # many pipelines run at the same times
def _check_cron(line: str) -> None:
    try:
        comes = first_after(read_cron(line, ZoneInfo("UTC")), datetime(2000, 1, 1, tzinfo=UTC))
    except ValueError as error:
        raise ValueError(f'cron = {line!r} is not a cron line such as "0 3 * * *": {error}') from None
    if comes is None:
        raise ValueError(f"cron = {line!r} names a day that never comes")


def _read_environment(variables: dict[str, str]) -> dict[str, str]:
    for name, value in variables.items():
        if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name, re.ASCII) is None:
            raise ValueError(f"{name!r} should be a variable's name: letters, digits and _, and no digit first")
        if "\0" in value:
            raise ValueError(f"{name}: no variable can hold a NUL")
    return variables


Environment = Annotated[dict[str, str], AfterValidator(_read_environment)]


class JobSection(Section):
    """The command that makes a run; `{seed}` and `{fire_id}` in it are filled in."""

    command: Annotated[tuple[str, ...], Field(min_length=1)]
    cwd: str = "."
    environment: Environment = {}
    timeout: Duration = timedelta(hours=6)
    memory: Size | None = None  # that each of its processes may take
    cpus: Annotated[int, Field(ge=1)] | None = None  # that its processes may run on
    gpus: Annotated[int, Field(ge=1)] | None = None  # on a cluster
    executor: str = "local"  # where it runs: this machine, or the name of a section [executor.NAME]
    log_limit: Annotated[Size, Field(ge=10_000)] = 10_000_000  # of the log that is kept beside the run
    retry: Annotated[int, Field(ge=0, le=5)] = 1  # how often a job that was lost is started anew


class JudgeSection(Section):
    preset: Preset = Preset.QUIET
    min_runs: Annotated[int, Field(ge=2)] = 3
    slice_by: tuple[str, ...] = ()
    min_slice_examples: Annotated[int, Field(ge=2)] = 30
    slices: SlicesSection = SlicesSection()
    memory: Annotated[Duration, Field(ge=timedelta(days=1))] = timedelta(days=90)
    guards: dict[str, GuardSection] = Field(default_factory=dict)

    @property
    def slice_columns(self) -> tuple[str, ...]:
        """Return the columns whose values are slices by themselves."""
        return tuple(dict.fromkeys((*self.slice_by, *self.slices.by_themselves)))

    @property
    def columns_read(self) -> frozenset[str]:
        """Return the columns of text that the judge needs."""
        return frozenset((*self.slice_columns, *(each for pair in self.slices.pairs for each in pair)))


class GuardSection(Section):
    max_fall: float = float("inf")
    max_rise: float = float("inf")


class TicketsSection(Section):
    comment_every: Duration = timedelta(days=1)
    resolve: bool = True  # once it is over
    reopen_within: Duration = timedelta(days=14)  # of Herald's having resolved it; later it is a new ticket
    remind_after: Duration = timedelta(days=7)  # without an answer, once; 0s: never
    escalate_to: Words = ""  # whom the reminder names
    umbrella_above: Annotated[int, Field(ge=0)] = 5  # incidents of one cycle, one ticket over theirs; 0: never
    precision_floor: Annotated[float, Field(gt=0, lt=1)] | None = None  # share of a metric's tickets that are right
    digest_only: Literal["propose", "automatic"] = "propose"  # what becomes of a metric that is surely below it
    priority: str | None = None
    labels: tuple[Annotated[str, Field(pattern=r"^\S+$", max_length=255)], ...] = ()
    components: tuple[str, ...] = ()
    required: tuple[str, ...] = ()  # fields without which there should be no ticket at all


class RecoverySection(Section):
    runs: Annotated[int, Field(ge=1)] = 2


class WatchSection(Section):
    """Which runs that others log are a pipeline's, and how they are read."""

    experiments: tuple[Annotated[str, Field(min_length=1)], ...] = ()  # names, with * and ? for any letters
    filter: str = ""  # in MLflow's own syntax
    nested: bool = False  # runs inside other runs too
    parents: bool = False  # runs without metrics that others are inside, such as a sweep's own, are missed metrics
    recent: Annotated[int, Field(ge=1, le=19)] = 10  # at first contact: a fall that began longer ago is the past
    overlap: Duration = timedelta(days=1)  # how late a run may be logged after it ended


class StaleSection(Section):
    """When it is news that no run comes."""

    cadence: Duration
    grace: Duration = timedelta(hours=6)


class ReleaseSection(Section):
    """The released run, which every run is held against beside the recent ones."""

    run: Annotated[str, Field(min_length=1)] | None = None  # its id
    model: Annotated[str, Field(pattern=ALIAS)] | None = None  # the alias of a registered model, `models:/NAME@ALIAS`

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.run is None) == (self.model is None):
            raise ValueError('should have either run = "RUN-ID", or model = "models:/NAME@ALIAS"')
        return self


class PipelineSection(Section):
    title: Words = ""
    description: Words = ""
    owner: Words = ""  # as people should read it
    assignee: str | None = None  # the tracker's id of an account
    # By metric, or slice COLUMN=VALUE.
    owners: dict[Annotated[str, BeforeValidator(read_owned)], OwnerSection] = Field(default_factory=dict)
    experiment: str = ""
    repository: Words = ""  # the address of the code, as people open it
    watch: WatchSection = WatchSection()
    schedule: ScheduleSection | None = None
    time_zone: Zone | None = None
    locale: Language | None = None
    series_by: tuple[Annotated[str, Field(pattern=r"^(params|tags)\..+$")], ...] = ()
    publish: Literal["all", "changed", "incidents"] = "changed"
    tracker: str | None = None
    ticket: str = ""  # of the team's, which its runs are experiments for; a run's tag herald.ticket names another
    wiki: str | None = None
    chat: str | None = None
    channel: str | None = None
    job: JobSection | None = None
    metrics: Annotated[dict[str, MetricSection], Field(min_length=1)]
    judge: JudgeSection = Field(default_factory=JudgeSection)
    examples: ExamplesSection | None = None
    confirm: ConfirmSection = ConfirmSection()
    diagnose: DiagnoseSection | None = None
    tickets: TicketsSection = TicketsSection()
    recovery: RecoverySection = RecoverySection()
    stale: StaleSection | None = None
    release: ReleaseSection | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.confirm.reruns and self.job is None:
            raise ValueError("confirm.reruns needs a job to rerun: add [pipeline.NAME.job] or set reruns = 0")
        if self.diagnose is not None and self.job is None:
            raise ValueError("diagnose needs a job to rerun: add [pipeline.NAME.job], or leave diagnose out")
        if bool(self.experiment) == bool(self.watch.experiments):
            raise ValueError('should have either experiment = "NAME", or watch.experiments = ["GLOB", ...]')
        if self.job is not None and not self.experiment:
            raise ValueError("a job needs the one experiment that its runs go to: experiment = ...")
        if self.chat is not None and self.channel is None:
            raise ValueError("chat needs a channel: add channel = ...")
        self._owned_is_judged()
        return self

    def _owned_is_judged(self) -> None:
        """Refuse an owner of what no ticket will ever be about."""
        for owned in self.owners:
            column, is_slice, _ = owned.partition("=")
            if owned not in self.metrics and not is_slice:
                raise ValueError(f"owners: {owned!r} is no metric of {sorted(self.metrics)}, nor a slice COLUMN=VALUE")
            if is_slice and column not in self.judge.slice_columns:
                columns = sorted(self.judge.slice_columns)
                raise ValueError(
                    f"owners: {owned!r} is a slice by {column!r}, which is not in judge.slice_by: {columns}"
                )

    @property
    def watched(self) -> tuple[str, ...]:
        """Globs of the experiments whose runs are judged."""
        return self.watch.experiments or (glob.escape(self.experiment),)

    @property
    def wanted_experiments(self) -> str:
        """Name those experiments as config does."""
        return self.experiment or ", ".join(self.watch.experiments)

    @property
    def policies(self) -> Policies:
        metrics = tuple(section.policy(name) for name, section in self.metrics.items() if section.is_judged)
        limits = (section.limit(name) for name, section in self.metrics.items())
        guards = {guard.fact: guard for guard in DEFAULT_GUARDS}
        guards |= {fact: Guard(fact, g.max_fall, g.max_rise) for fact, g in self.judge.guards.items()}
        return Policies(
            metrics,
            self.judge.slice_columns,
            tuple(guards.values()),
            self.judge.preset,
            self.judge.min_runs,
            self.judge.min_slice_examples,
            self.confirm.reruns,
            self.judge.slices.min_effect,
            self.judge.memory,
            tuple(limit for limit in limits if limit is not None),
            self.judge.slices.pairs,
        )

    @property
    def incident_policy(self) -> IncidentPolicy:
        owners = {owned: each.owner for owned, each in self.owners.items()}
        tickets = self.tickets
        return IncidentPolicy(self.recovery.runs, tickets.comment_every, tickets.resolve, tickets.reopen_within, owners)

    @property
    def pinned(self) -> Release | None:
        """What was released, where config says."""
        if self.release is None:
            return None
        model, _, alias = (self.release.model or "").removeprefix("models:/").rpartition("@")
        return Release(self.release.run or "", model, alias)

    @property
    def silence_policy(self) -> SilencePolicy | None:
        return None if self.stale is None else SilencePolicy(self.stale.cadence, self.stale.grace)
