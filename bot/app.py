"""The composition root: from a configuration to a Herald that is ready to work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection

from bot.config.addresses import addresses_of
from bot.config.models import Config
from bot.config.paths import with_absolute_paths
from bot.connections import make_executors, make_run_store, paces_of, to_chat, to_tracker, to_wiki
from bot.delivery.admission import Admission
from bot.delivery.attempt import TicketFields
from bot.delivery.dispatcher import IN_FLIGHT, Dispatcher
from bot.delivery.reconciliation import Reconciliation
from bot.delivery.services import Services
from bot.domain.objects import ObjectKey, channel_of
from bot.domain.views import AnswerView
from bot.errors import ConfigError, TemplateError
from bot.pipeline.cycle import Cycle
from bot.pipeline.lookout import Lookout, watch_all
from bot.ports import Executor, RunStore, Tracker
from bot.render import renderer
from bot.render.renderer import Renderer
from bot.runtime.clock import SteadyClock, pause
from bot.runtime.log import get_logger
from bot.runtime.request_counts import requests_made
from bot.runtime.steps import ignore_progress, ignore_step
from bot.store import Database, future_effects, owners
from bot.store.owners import Owner
from bot.text.locales import Locale
from bot.triage.answering import Answering
from bot.triage.listeners import Listeners, make_listeners
from bot.triage.round import TriageRound

_WORKERS = 8  # they wait for services most of the time
_AT_ONCE = _WORKERS // 2  # effects under way to one service, so that one that stalls leaves workers to the others

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a Herald takes from outside itself: time, and for tests the named steps it goes through."""

    clock: Callable[[], datetime] = field(default_factory=SteadyClock)
    pause: Callable[[float], None] = pause
    stopping: Callable[[], bool] = lambda: False
    on_step: Callable[[str], None] = ignore_step
    lease_clock: Callable[[Connection], datetime] = owners.database_time
    complain: Callable[[str], None] = lambda _: None  # hears once of each template of a team's that is broken
    in_flight: timedelta = IN_FLIGHT


@dataclass(frozen=True, slots=True)
class ConfiguredWording:
    """Renderers and ticket fields by pipeline, as the configuration has them."""

    config: Config
    folder: Path
    complain: Callable[[str], None] = lambda _: None
    _renderers: dict[Locale, Renderer] = field(default_factory=dict)
    _complaints: set[str] = field(default_factory=set)

    def renderer(self, pipeline: str, target: ObjectKey | None) -> Renderer:
        """Return what renders for whoever reads *target*; None: the command line."""
        place = () if target is None else (target.service, channel_of(target))
        locale = self.config.locale_of(pipeline, *place)
        if locale not in self._renderers:
            overrides = self.folder / self.config.templates if self.config.templates else None
            self._renderers[locale] = Renderer(locale, overrides, self._complain)
        return self._renderers[locale]

    def _complain(self, error: TemplateError) -> None:
        """Say once of a team's template that it is broken; ours is used meanwhile."""
        if str(error) not in self._complaints:
            self._complaints.add(str(error))
            log.error("template", error=str(error))
            self.complain(str(error))

    def ticket_fields(self, pipeline: str) -> TicketFields:
        section = self.config.pipeline.get(pipeline)
        if section is None:
            return TicketFields()
        tickets = section.tickets
        return TicketFields(
            tickets.priority, section.assignee, tickets.labels, tickets.components, frozenset(tickets.required)
        )


@dataclass(frozen=True, slots=True)
class Herald:
    """A configured Herald; every command works through one."""

    config: Config
    folder: Path
    database: Database
    run_store: RunStore
    executor_of: Callable[[str], Executor]  # by the names that config has
    dispatcher: Dispatcher
    around: Surroundings
    lookout: Lookout
    listeners: Listeners = field(default_factory=Listeners)
    threads_read_at: dict[ObjectKey, datetime] = field(default_factory=dict)

    @property
    def overrides(self) -> Path | None:
        """The folder of the team's own templates."""
        return self.folder / self.config.templates if self.config.templates else None

    @property
    def trackers(self) -> Mapping[str, Tracker]:
        return self.dispatcher.services.trackers

    def close(self) -> None:
        """Let go of the state; what is still held is free for others."""
        self.dispatcher.owner.resign()
        self.database.close()

    @property
    def reconciliation(self) -> Reconciliation:
        return Reconciliation(self.config, self.database, self.dispatcher.services, self.around.clock)

    @property
    def answering(self) -> Answering:
        return Answering(self.config, self.database, self.run_store, self.around.clock, self.around.on_step)

    def answer_text(self, pipeline: str, view: AnswerView) -> str:
        """Return a reply as it is read on the command line."""
        return ConfiguredWording(self.config, self.folder).renderer(pipeline, None).render_answer_text(view, {})

    @property
    def triage(self) -> TriageRound:
        return TriageRound(
            config=self.config,
            database=self.database,
            listeners=self.listeners,
            answering=self.answering,
            owner=self.dispatcher.owner,
            clock=self.around.clock,
            stopping=self.around.stopping,
            on_step=self.around.on_step,
            threads_read_at=self.threads_read_at,
        )

    def cycle(self, name: str, on_past: Callable[[int, int], None] = ignore_progress) -> Cycle:
        """Return the cycle of a pipeline; raises ConfigError where there is none of that name."""
        if name not in self.config.pipeline:
            known = ", ".join(sorted(self.config.pipeline)) or "none"
            raise ConfigError(f"pipeline {name!r} is not configured; configured are: {known}")
        return Cycle(
            name=name,
            config=self.config,
            database=self.database,
            run_store=self.run_store,
            executor_of=self.executor_of,
            owner=self.dispatcher.owner,
            lookout=self.lookout,
            clock=self.around.clock,
            pause=self.around.pause,
            folder=self.folder,
            stopping=self.around.stopping,
            on_step=self.around.on_step,
            on_past=on_past,
        )


def make_reader(
    config: Config, folder: Path, *, around: Surroundings | None = None, services: Services | None = None
) -> Herald:
    """Build a Herald that only reads: it makes, changes and frees nothing of the state, and cannot."""
    store = with_absolute_paths(config, folder).store
    database = Database.for_reading(store.url.get_secret_value(), store.timeouts_of_looks)
    return _build(config, folder, around or Surroundings(), database, Owner("a reader"), services=services)


def make_herald(
    config: Config,
    folder: Path,
    *,
    around: Surroundings | None = None,
    services: Services | None = None,
    listeners: Listeners | None = None,
    run_store: RunStore | None = None,
    database: Database | None = None,
) -> Herald:
    """Build a Herald whose relative paths start at *folder*; what is given replaces what config says."""
    if database is None:
        address = with_absolute_paths(config, folder).store.url.get_secret_value()
        database = Database(address, timeouts=config.store.timeouts)
        database.migrate()
    around = around or Surroundings()
    owner = Owner.begin(_lock_folder(config, folder, database), around.lease_clock)
    with database.begin() as tx:
        left = owner.bury_the_dead(tx, around.clock() + around.in_flight)
        future_effects.bring_back(tx, owners.agreed_time(tx, around.clock(), around.lease_clock))
    owners.remove(left)
    return _build(config, folder, around, database, owner, services=services, listeners=listeners, run_store=run_store)


def _lock_folder(config: Config, folder: Path, database: Database) -> Path:
    """Return where the Heralds that share a state show that they live: all who could share it have to see it."""
    file = database.file
    return folder / config.jobs_folder / ".heralds" if file is None else file.with_name(f"{file.name}-heralds")


def _build(
    config: Config,
    folder: Path,
    around: Surroundings,
    database: Database,
    owner: Owner,
    *,
    services: Services | None,
    listeners: Listeners | None = None,
    run_store: RunStore | None = None,
) -> Herald:
    config = with_absolute_paths(config, folder)
    dispatcher = Dispatcher(
        database=database,
        services=services or make_services(config),
        wording=ConfiguredWording(config, folder, around.complain),
        owner=owner,
        clock=around.clock,
        pause=around.pause,
        on_step=around.on_step,
        in_flight=around.in_flight,
        stopping=around.stopping,
        prepare=load_for_delivery,
        workers=_WORKERS if services is None else 1,  # what is given may not be made for threads
        admission=Admission(at_once=_AT_ONCE, paces=paces_of(config)) if services is None else Admission(),
    )
    if listeners is None:  # who is given services listens to none that are configured
        listeners = make_listeners(config) if services is None else Listeners()
    run_store = run_store or make_run_store(config)
    return Herald(
        config,
        folder,
        database,
        run_store,
        make_executors(config),
        dispatcher,
        around,
        watch_all(config, database, run_store, around.clock),
        listeners,
    )


def reconfigure(old: Herald, config: Config) -> Herald:
    """Build a Herald from another configuration on the state, the jobs and the leases of *old*."""
    config = with_absolute_paths(config, old.folder)
    if config.store.url != old.config.store.url:
        raise ConfigError("store.url: takes effect when Herald is started anew")
    old.dispatcher.admission.breakers.reset()  # a new token is tried at once
    old.dispatcher.admission.keep_paces(paces_of(config))
    wording, run_store = ConfiguredWording(config, old.folder, old.around.complain), make_run_store(config)
    return replace(
        old,
        config=config,
        run_store=run_store,
        executor_of=make_executors(config, old.executor_of),
        dispatcher=replace(old.dispatcher, services=make_services(config), wording=wording),
        lookout=watch_all(config, old.database, run_store, old.around.clock),
        listeners=make_listeners(config),
    )


def load_for_work(config: Config) -> None:
    """Import everything that cycles and deliveries import where they use it: what threads import together may break.

    A thread that meets another in the middle of packages which import one another finds half of a module, and so does
    everybody after it.
    """
    import scipy.special  # noqa: F401  the judge's

    from bot.services.mlflow import importing

    importing.load(config.mlflow.tracking_uri)
    importing.load_for_artifacts()
    load_for_delivery()


def load_for_delivery() -> None:
    """Import everything that deliveries import where they use it."""
    import netrc  # noqa: F401  requests' own

    renderer.load()


def make_services(config: Config) -> Services:
    requests_made.know(addresses_of(config))
    return Services(
        trackers={name: to_tracker(section).make() for name, section in config.tracker.items()},
        wikis={name: to_wiki(section).make() for name, section in config.wiki.items()},
        chats={name: to_chat(section).make() for name, section in config.chat.items()},
    )
