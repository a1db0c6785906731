"""The configuration as frozen models; `bot.config.file` reads them from config.toml."""

from __future__ import annotations

import glob
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, SecretStr, Tag, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from bot.config.timetable import Every, Timetable, first_after, read_at, read_cron
from bot.domain.policy import (
    DEFAULT_GUARDS,
    Direction,
    Guard,
    IncidentPolicy,
    MetricPolicy,
    MinEffect,
    Policies,
    Preset,
)
from bot.domain.runs import Release
from bot.domain.silence import SilencePolicy
from bot.sections import Duration, Section
from bot.services.confluence.config import ConfluenceSection
from bot.services.healthchecks.config import DeadManSection
from bot.services.jira.config import JiraSection
from bot.services.mlflow.config import MlflowSection
from bot.services.slack.config import SlackSection
from bot.services.trello.config import TrelloSection
from bot.services.webhook.config import WebhookSection
from bot.text.formats import Locale

SECRETS = frozenset({"token", "key", "webhook_url"})  # of services
_KINDS_OF_SERVICE = ("tracker", "wiki", "chat")
ENV_PREFIX = "HERALD_"
DIGEST = "[digest]"  # stands where the name of a pipeline would: no pipeline can be called so
_ALIAS = r"^models:/[^/:@]+@[^/:@]+$"
_SIZES = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_MOST_BYTES = 10**18


def _read_min_effect(value: object) -> object:
    """Read `2 %` as relative, a bare number as in the metric's own unit."""
    if isinstance(value, MinEffect):
        return value
    if isinstance(value, str) and (found := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", value)):
        return MinEffect(float(found[1]) / 100, relative=True)
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return MinEffect(float(value), relative=False)
    raise ValueError('should be a share such as "2 %", or a number of 0 or more in the metric\'s own unit')


def _read_words(value: str) -> str:
    """Take words that people should read; spaces alone are none."""
    return value if value.strip(" \t\r\n") else ""


Words = Annotated[str, AfterValidator(_read_words)]


def _read_size(value: object) -> object:
    """Read `500 kB`, `512 MB` or `8 GB` as bytes."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kMGT])B\s*", value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("should be a number with its unit, such as 512 MB or 8 GB")
    size = float(found[1]) * _SIZES[found[2]]
    if size > _MOST_BYTES:
        raise ValueError("is larger than any disk")
    return int(size)


def _read_at(value: object) -> object:
    """Read a time of day, or a date with a time, written as text or as TOML's own."""
    read = _read_moment(value) if isinstance(value, str) else value
    if isinstance(read, datetime) or (isinstance(read, time) and read.tzinfo is None):
        return read
    raise ValueError('should be a local time such as "03:00", or a date and time such as "2026-12-01 03:00"')


def _read_moment(text: str) -> time | datetime | None:
    for kind in (time, datetime):
        with suppress(ValueError):
            return kind.fromisoformat(text)
    return None


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError("should be a time zone such as UTC, Europe/Berlin or Asia/Shanghai") from None
    return name


Size = Annotated[int, BeforeValidator(_read_size), Field(gt=0)]  # bytes
Effect = Annotated[MinEffect, BeforeValidator(_read_min_effect)]
Zone = Annotated[str, AfterValidator(_known_zone)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=60)]
ServiceName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]  # must fit an environment variable


def _kind_of_tracker(section: object) -> object:
    """Read a tracker's kind: Jira where none is named."""
    return section.get("kind", "jira") if isinstance(section, dict) else getattr(section, "kind", "jira")


TrackerSection = Annotated[
    Annotated[JiraSection, Tag("jira")] | Annotated[TrelloSection, Tag("trello")], Discriminator(_kind_of_tracker)
]
WikiSection = ConfluenceSection
ChatSection = Annotated[SlackSection | WebhookSection, Field(discriminator="kind")]


class StoreSection(Section):
    url: SecretStr = SecretStr("sqlite:///herald.db")  # a PostgreSQL address may hold a password
    keep: Annotated[Duration, Field(ge=timedelta(days=30))] = timedelta(days=365)  # what is older and needed by nothing


class ScheduleSection(Section):
    """When a pipeline is due: one of a cron line, an interval, a time, or after another pipeline."""

    cron: str | None = None
    every: Duration | None = None
    at: Annotated[time | datetime | None, BeforeValidator(_read_at)] = None  # each day, or once
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


def _check_cron(line: str) -> None:
    try:
        comes = first_after(read_cron(line, ZoneInfo("UTC")), datetime(2000, 1, 1, tzinfo=UTC))
    except ValueError as error:
        raise ValueError(f'cron = {line!r} is not a cron line such as "0 3 * * *": {error}') from None
    if comes is None:
        raise ValueError(f"cron = {line!r} names a day that never comes")


class JobSection(Section):
    """The command that makes a run; `{seed}` and `{fire_id}` in it are filled in."""

    command: Annotated[tuple[str, ...], Field(min_length=1)]
    cwd: str = "."
    environment: dict[str, str] = {}
    timeout: Duration = timedelta(hours=6)
    memory: Size | None = None  # that each of its processes may take
    cpus: Annotated[int, Field(ge=1)] | None = None  # that its processes may run on
    log_limit: Annotated[Size, Field(ge=10_000)] = 10_000_000  # of the log that is kept beside the run
    retry: Annotated[int, Field(ge=0, le=5)] = 1  # how often a job that was lost is started anew


class MetricSection(Section):
    direction: Direction = Direction.UP
    min_effect: Effect = MinEffect(0.02)
    lower: float = float("-inf")
    upper: float = float("inf")
    prior_spread: Annotated[float, Field(gt=0, le=1)] = 0.02
    optional: bool = False  # only some runs log it: one without it is not told
    name: dict[Locale, Words] = {}  # as the team calls it
    why: dict[Locale, Words] = {}  # why it matters, in a sentence
    unit: Words = ""

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.lower >= self.upper:
            raise ValueError(f"lower ({self.lower:g}) should be below upper ({self.upper:g})")
        return self


class JudgeSection(Section):
    preset: Preset = Preset.QUIET
    min_runs: Annotated[int, Field(ge=2)] = 3
    slice_by: tuple[str, ...] = ()
    min_slice_examples: Annotated[int, Field(ge=2)] = 30
    guards: dict[str, GuardSection] = {}


class GuardSection(Section):
    max_fall: float = float("inf")
    max_rise: float = float("inf")


class ConfirmSection(Section):
    reruns: Annotated[int, Field(ge=0, le=5)] = 0


class TicketsSection(Section):
    comment_every: Duration = timedelta(days=1)
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
    model: Annotated[str, Field(pattern=_ALIAS)] | None = None  # the alias of a registered model, `models:/NAME@ALIAS`

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
    experiment: str = ""
    watch: WatchSection = WatchSection()
    schedule: ScheduleSection | None = None
    time_zone: Zone | None = None
    locale: Locale | None = None
    series_by: tuple[Annotated[str, Field(pattern=r"^(params|tags)\..+$")], ...] = ()
    publish: Literal["all", "changed", "incidents"] = "changed"
    tracker: str | None = None
    wiki: str | None = None
    chat: str | None = None
    channel: str | None = None
    job: JobSection | None = None
    metrics: Annotated[dict[str, MetricSection], Field(min_length=1)]
    judge: JudgeSection = JudgeSection()
    confirm: ConfirmSection = ConfirmSection()
    tickets: TicketsSection = TicketsSection()
    recovery: RecoverySection = RecoverySection()
    stale: StaleSection | None = None
    release: ReleaseSection | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.confirm.reruns and self.job is None:
            raise ValueError("confirm.reruns needs a job to rerun: add [pipeline.NAME.job] or set reruns = 0")
        if bool(self.experiment) == bool(self.watch.experiments):
            raise ValueError('should have either experiment = "NAME", or watch.experiments = ["GLOB", ...]')
        if self.job is not None and not self.experiment:
            raise ValueError("a job needs the one experiment that its runs go to: experiment = ...")
        if self.chat is not None and self.channel is None:
            raise ValueError("chat needs a channel: add channel = ...")
        return self

    @property
    def watched(self) -> tuple[str, ...]:
        """Globs of the experiments whose runs are judged."""
        return self.watch.experiments or (glob.escape(self.experiment),)

    @property
    def policies(self) -> Policies:
        metrics = tuple(
            MetricPolicy(name, m.direction, m.min_effect, m.lower, m.upper, m.prior_spread, m.optional)
            for name, m in self.metrics.items()
        )
        guards = {guard.fact: guard for guard in DEFAULT_GUARDS}
        guards |= {fact: Guard(fact, g.max_fall, g.max_rise) for fact, g in self.judge.guards.items()}
        return Policies(
            metrics,
            self.judge.slice_by,
            tuple(guards.values()),
            self.judge.preset,
            self.judge.min_runs,
            self.judge.min_slice_examples,
            self.confirm.reruns,
        )

    @property
    def incident_policy(self) -> IncidentPolicy:
        return IncidentPolicy(self.recovery.runs, self.tickets.comment_every)

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


class DigestSection(Section):
    """The status summary for those who plan the work."""

    schedule: ScheduleSection = ScheduleSection(cron="0 9 * * mon")
    time_zone: Zone | None = None
    locale: Locale | None = None
    chat: str | None = None
    channel: str | None = None
    wiki: str | None = None  # where each digest also becomes a page
    skip_if_quiet: bool = False

    @model_validator(mode="after")
    def _has_a_place(self) -> Self:
        if self.chat is None and self.wiki is None:
            raise ValueError("should have chat, wiki, or both: where the digest is told")
        if self.chat is not None and self.channel is None:
            raise ValueError("chat needs a channel: add channel = ...")
        if self.schedule.after is not None:
            raise ValueError("schedule should name times, not a pipeline: cron, every or at")
        return self


class _Environment(PydanticBaseSettingsSource):
    """The environment's variables, less the secrets of services that the file does not name."""

    def __init__(self, source: PydanticBaseSettingsSource, written: Mapping[str, Any]) -> None:
        super().__init__(source.settings_cls)
        self._source = source
        self._written = written

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self._source.get_field_value(field, field_name)

    def __call__(self) -> dict[str, Any]:
        return _without_strangers(self._source(), self._written)


class _SecretsFolder(NestedSecretsSettingsSource):
    """The files of a secrets folder, less those of services that the file does not name."""

    def __init__(self, source: PydanticBaseSettingsSource, written: Mapping[str, Any]) -> None:
        super().__init__(source)
        self._written = written

    def __call__(self) -> dict[str, Any]:
        return _without_strangers(super().__call__(), self._written)


def _without_strangers(given: Mapping[str, Any], written: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out services of which nothing but secrets is known: they may be another Herald's on this machine."""
    return {
        key: _named(value, written.get(key)) if key in _KINDS_OF_SERVICE and isinstance(value, dict) else value
        for key, value in given.items()
    }


def _named(services: Mapping[str, Any], written: object) -> dict[str, Any]:
    names = written if isinstance(written, dict) else {}
    return {
        name: service
        for name, service in services.items()
        if name in names or not isinstance(service, dict) or not service.keys() <= SECRETS
    }


class Config(BaseSettings):
    """The whole configuration; relative paths in it are relative to the file's folder."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        secrets_nested_delimiter="__",
        secrets_dir_missing="error",
    )

    instance: Annotated[str, Field(pattern=r"^[a-z0-9]+$", max_length=20)] = "herald"  # part of every marker
    locale: Locale = "en"
    time_zone: Zone = "UTC"
    templates: str | None = None  # a folder whose templates replace ours by name
    jobs_folder: str = "jobs"
    jobs_at_once: Annotated[int, Field(ge=1)] = 2  # that `herald serve` lets run
    dead_man: DeadManSection | None = None
    store: StoreSection = StoreSection()
    mlflow: MlflowSection = MlflowSection()
    tracker: dict[ServiceName, TrackerSection] = {}
    wiki: dict[ServiceName, WikiSection] = {}
    chat: dict[ServiceName, ChatSection] = {}
    pipeline: dict[Name, PipelineSection] = {}
    digest: DigestSection | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  the library calls it by these names
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        written = init_settings()
        return _Environment(env_settings, written), _SecretsFolder(file_secret_settings, written), init_settings

    @model_validator(mode="after")
    def _services_exist(self) -> Self:
        places = [
            (f"pipeline.{name}.{kind}", kind, getattr(pipeline, kind))
            for name, pipeline in self.pipeline.items()
            for kind in ("tracker", "wiki", "chat")
        ]
        if self.digest is not None:
            places += [("digest.wiki", "wiki", self.digest.wiki), ("digest.chat", "chat", self.digest.chat)]
        for key, kind, wanted in places:
            known = sorted(getattr(self, kind))
            if wanted is not None and wanted not in known:
                raise ValueError(f"{key}: {wanted!r} is not one of {known}")
        return self

    @model_validator(mode="after")
    def _required_fields_exist(self) -> Self:
        """Refuse a required field that no ticket of a pipeline has: its refusal would never keep a ticket back."""
        for name, pipeline in self.pipeline.items():
            tracker = self.tracker.get(pipeline.tracker or "")
            own = tracker.fields if isinstance(tracker, JiraSection) else {}
            known = sorted({"priority", "assignee", "components", "labels", *own})
            for wanted in pipeline.tickets.required:
                if wanted not in known:
                    raise ValueError(f"pipeline.{name}.tickets.required: {wanted!r} is not one of {known}")
        return self

    @model_validator(mode="after")
    def _predecessors_exist(self) -> Self:
        """Refuse a pipeline that waits for one that is not there, or in the end for itself."""
        after = {name: p.schedule.after for name, p in self.pipeline.items() if p.schedule and p.schedule.after}
        for name, wanted in after.items():
            if wanted not in self.pipeline:
                raise ValueError(f"pipeline.{name}.schedule.after: {wanted!r} is not one of {sorted(self.pipeline)}")
            chain = [name]
            while chain[-1] in after and after[chain[-1]] not in chain:
                chain.append(after[chain[-1]])
            if after.get(chain[-1]) == name:
                circle = " after ".join((*chain, name))
                raise ValueError(f"pipeline.{name}.schedule.after: {circle} goes in a circle, so none would ever start")
        return self

    def locale_of(self, name: str, chat: str | None = None, channel: str | None = None) -> Locale:
        """Return the language of a pipeline or of the digest; with a channel, that of what is said in it."""
        own = self.chat[chat].locales.get(channel) if chat in self.chat and chat and channel else None
        section = self.digest if name == DIGEST else self.pipeline.get(name)
        return own or (section.locale if section else None) or self.locale

    def zone_of(self, name: str) -> ZoneInfo:
        """Return the time zone of a pipeline."""
        return ZoneInfo(self.pipeline[name].time_zone or self.time_zone)
