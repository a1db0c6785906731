"""The configuration as frozen models; `bot.config.file` reads them from config.toml."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from bot.config.executors import LOCAL, ExecutorSection, check_executor
from bot.config.pipeline import PipelineSection, ScheduleSection
from bot.config.services import ChatSection, TrackerSection, WikiSection
from bot.config.sources import _Environment, _SecretsFolder
from bot.config.values import Name, ServiceName, Zone
from bot.config.web import WebSection
from bot.executors.local.config import LocalSection
from bot.runtime.json_lines import LogFormat
from bot.runtime.shown_addresses import without_user
from bot.runtime.state_timeouts import StateTimeouts
from bot.sections import Duration, Language, Secret, Section
from bot.services.healthchecks.config import DeadManSection
from bot.services.mlflow.config import MlflowSection
from bot.text.locales import ENGLISH, Locale
from bot.text.toml_keys import key_path

ENV_PREFIX = "HERALD_"
DIGEST = "[digest]"  # stands where the name of a pipeline would: no pipeline can be called so


class StoreSection(Section):
    url: Secret = SecretStr("sqlite:///herald.db")  # a PostgreSQL address may hold a password
    keep: Annotated[Duration, Field(ge=timedelta(days=30))] = timedelta(days=365)  # what is older and needed by nothing
    # Of a PostgreSQL that is away or hangs; migrations, exports and clearing what is old take as long as they need.
    connect_timeout: Annotated[Duration, Field(ge=timedelta(seconds=2))] = timedelta(seconds=5)
    statement_timeout: Annotated[Duration, Field(ge=timedelta(seconds=5))] = timedelta(seconds=60)

    @property
    def timeouts(self) -> StateTimeouts:
        """The limits of those who write."""
        return StateTimeouts(self.connect_timeout, self.statement_timeout)

    @property
    def timeouts_of_looks(self) -> StateTimeouts:
        """The limits of those who only look: what they ask for may be all there is."""
        return StateTimeouts(self.connect_timeout)


class DigestSection(Section):
    """The status summary for those who plan the work."""

    schedule: ScheduleSection = ScheduleSection(cron="0 9 * * mon")
    time_zone: Zone | None = None
    locale: Language | None = None
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
    locale: Language = ENGLISH
    time_zone: Zone = "UTC"
    templates: str | None = None  # a folder whose templates replace ours by name
    jobs_folder: str = "jobs"
    jobs_at_once: Annotated[int, Field(ge=1)] = 2  # that `herald serve` lets run
    log_format: LogFormat = LogFormat.TEXT  # of `herald serve`
    dead_man: DeadManSection | None = None
    web: WebSection = WebSection()
    store: StoreSection = StoreSection()
    mlflow: MlflowSection = MlflowSection()
    tracker: dict[ServiceName, TrackerSection] = {}
    wiki: dict[ServiceName, WikiSection] = {}
    chat: dict[ServiceName, ChatSection] = {}
    executor: dict[ServiceName, ExecutorSection] = {}
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
            (key_path("pipeline", name, kind), kind, getattr(pipeline, kind))
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
    def _executors_exist(self) -> Self:
        if LOCAL in self.executor and not self.executor[LOCAL].is_local:
            raise ValueError(f"executor.{LOCAL}: is Herald's own machine: name a cluster otherwise")
        for name, pipeline in self.pipeline.items():
            if pipeline.job is None:
                continue
            check_executor(key_path("pipeline", name, "job", "executor"), pipeline.job.executor, self.executor)
            if pipeline.job.gpus is not None and self.runs_here(pipeline.job.executor):
                key = key_path("pipeline", name, "job", "gpus")
                raise ValueError(f"{key}: Herald's own machine hands out no GPUs; a cluster does")
        return self

    @model_validator(mode="after")
    def _required_fields_exist(self) -> Self:
        """Refuse a required field that no ticket of a pipeline has: its refusal would never keep a ticket back."""
        for name, pipeline in self.pipeline.items():
            tracker = self.tracker.get(pipeline.tracker or "")
            own = tracker.own_fields if tracker else ()
            known = sorted({"priority", "assignee", "components", "labels", *own})
            for wanted in pipeline.tickets.required:
                if wanted not in known:
                    key = key_path("pipeline", name, "tickets", "required")
                    raise ValueError(f"{key}: {wanted!r} is not one of {known}")
        return self

    @model_validator(mode="after")
    def _tasks_could_exist(self) -> Self:
        """Refuse a pipeline's ticket that no tracker of its can have."""
        for name, pipeline in self.pipeline.items():
            tracker = self.tracker.get(pipeline.tracker or "")
            if pipeline.ticket and (tracker is None or not tracker.has_ticket(pipeline.ticket)):
                where = "it has no tracker" if tracker is None else f"[tracker.{pipeline.tracker}] has no such ticket"
                key = key_path("pipeline", name, "ticket")
                raise ValueError(f"{key}: {pipeline.ticket!r} cannot be commented on: {where}")
        return self

    @model_validator(mode="after")
    def _predecessors_exist(self) -> Self:
        """Refuse a pipeline that waits for one that is not there, or in the end for itself."""
        after = {name: p.schedule.after for name, p in self.pipeline.items() if p.schedule and p.schedule.after}
        for name, wanted in after.items():
            key = key_path("pipeline", name, "schedule", "after")
            if wanted not in self.pipeline:
                raise ValueError(f"{key}: {wanted!r} is not one of {sorted(self.pipeline)}")
            chain = [name]
            while chain[-1] in after and after[chain[-1]] not in chain:
                chain.append(after[chain[-1]])
            if after.get(chain[-1]) == name:
                circle = " after ".join((*chain, name))
                raise ValueError(f"{key}: {circle} goes in a circle, so none would ever start")
        return self

    def executor_section(self, name: str) -> ExecutorSection | None:
        """Return what config says of an executor; None where it does not have it, or not any more."""
        return LocalSection() if name == LOCAL else self.executor.get(name)

    def tracking_uri_for(self, section: ExecutorSection | None) -> str:
        """Return MLflow's address as jobs reach it; what stands in it to sign in with stays on this machine."""
        if section is None or section.is_local:
            return self.mlflow.tracking_uri
        return without_user(section.tracking_uri or self.mlflow.tracking_uri)

    def runs_here(self, executor: str) -> bool:
        """Say whether an executor runs jobs on Herald's own machine."""
        section = self.executor_section(executor)
        return section is not None and section.is_local

    def locale_of(self, name: str, chat: str | None = None, channel: str | None = None) -> Locale:
        """Return the language of a pipeline or of the digest; with a channel, that of what is said in it."""
        own = self.chat[chat].locales.get(channel) if chat in self.chat and chat and channel else None
        section = self.digest if name == DIGEST else self.pipeline.get(name)
        return own or (section.locale if section else None) or self.locale

    def zone_of(self, name: str) -> ZoneInfo:
        """Return the time zone of a pipeline."""
        return ZoneInfo(self.pipeline[name].time_zone or self.time_zone)
