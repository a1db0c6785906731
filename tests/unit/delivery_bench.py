"""A dispatcher, what it delivers to, and the time it lives in."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bot.delivery.attempt import TicketFields
from bot.delivery.dispatcher import Dispatcher
from bot.delivery.drain_report import DrainReport
from bot.delivery.services import Services
from bot.domain.effects import (
    Effect,
    PublishPage,
    UpdateSection,
)
from bot.domain.objects import ObjectKey, ObjectKind
from bot.domain.views import (
    ChartView,
    PipelinePageView,
    RunPageView,
)
from bot.render.renderer import Renderer
from bot.runtime.steps import ignore_step
from bot.sandbox import RunningSandbox
from bot.services.memory.chat import MemoryChat
from bot.services.memory.tracker import MemoryTracker
from bot.services.memory.wiki import MemoryWiki
from bot.store import outbox
from bot.store.owed import EffectState
from bot.store.owners import Owner
from tests.unit.state_samples import (
    INCIDENT,
    NOON,
    PAGE,
    RUN_VIEW,
    TICKET,
    VERDICT,
    owe,
    owed_kinds,
)

LAG = timedelta(seconds=30)
PARENT = ObjectKey("confluence", ObjectKind.PAGE, "Search (Herald test)")


@dataclass
class Clock:
    now: datetime = NOON
    pauses: list[float] = field(default_factory=list)

    def __call__(self) -> datetime:
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += timedelta(seconds=seconds)


RENDERER = Renderer("en")


class Wording:
    def renderer(self, _pipeline: str, _target: ObjectKey) -> Renderer:
        return RENDERER

    def ticket_fields(self, _pipeline: str) -> TicketFields:
        return TicketFields("High", "account-7", ("model-quality",), ("ranking",))


@dataclass
class Bench:
    """A dispatcher, what it delivers to, and the time it lives in."""

    database: object
    clock: Clock = field(default_factory=Clock)
    tracker: MemoryTracker = field(default_factory=lambda: MemoryTracker(search_lag=LAG))
    wiki: MemoryWiki = field(default_factory=MemoryWiki)
    chat: MemoryChat | None = None
    is_looking: bool = False

    def __post_init__(self) -> None:
        self.chat = self.chat or MemoryChat(clock=self.clock)

    @property
    def services(self) -> Services:
        return Services({"jira": self.tracker}, {"confluence": self.wiki}, {"slack": self.chat})

    def owner(self, name: str) -> Owner:
        return Owner(name, clock=lambda _tx: self.clock())

    def dispatcher(self, owner="host/1/1/a", on_step: Callable[[str], None] = ignore_step, **changes) -> Dispatcher:
        made = Dispatcher(
            self.database, self.services, Wording(), self.owner(owner), self.clock, self.clock.pause, on_step
        )
        return replace(made, **changes)

    def drain(self, patience=timedelta(0)) -> DrainReport:
        return self.dispatcher().drain(patience)

    def owe(self, *effects) -> None:
        owe(self.database, *effects, now=self.clock())

    @property
    def owed(self) -> list[str]:
        return owed_kinds(self.database)

    @property
    def parked(self) -> list[tuple[str, str]]:
        with self.database.begin() as tx:
            parked = [owed for owed in outbox.outstanding(tx) if owed.state is EffectState.PARKED]
        return [(owed.effect.kind, owed.error) for owed in parked]

    def retry(self, seq: int) -> None:
        with self.database.begin() as tx:
            outbox.set_state(tx, seq, EffectState.PENDING, self.clock())

    @property
    def ticket(self):
        (ticket,) = self.tracker.tickets.values()
        return ticket

    @property
    def message(self):
        (message,) = self.chat.messages
        return message


def publish_page(cause="run5") -> tuple[Effect, RunPageView]:
    view = RunPageView(PAGE.name, VERDICT, RUN_VIEW, (VERDICT.headline,), (), (), (), None, TICKET.name, ("herald",))
    return PublishPage(PAGE, cause, INCIDENT), view


def update_section(cause="run5") -> tuple[Effect, PipelinePageView]:
    view = PipelinePageView(PARENT.name, "Search", "What it is for.", "Search team", ("Ranking quality",), (), ())
    return UpdateSection(PARENT, cause), view


CHART = ChartView("ndcg", ("run 1", "run 2"), (0.8, 0.6), (None, None), filename="history-1.png")


def attach(kind: type[Effect], target: ObjectKey) -> tuple[Effect, ChartView]:
    return kind(target, "run5", INCIDENT, needs=(target,)), CHART


class PlainWording(Wording):
    """Sets nothing on a ticket that the sandbox has none of."""

    def ticket_fields(self, _pipeline: str) -> TicketFields:
        return TicketFields()


@dataclass
class Office:
    """A dispatcher on real adapters against the sandbox."""

    database: object
    sandbox: RunningSandbox
    services: Services
    clock: Clock = field(default_factory=lambda: Clock(datetime.now(NOON.tzinfo)))
    dispatcher: Dispatcher | None = None

    def __post_init__(self) -> None:
        self.dispatcher = Dispatcher(
            self.database,
            self.services,
            PlainWording(),
            Owner("host/1/1/a", clock=lambda _tx: self.clock()),
            self.clock,
            self.clock.pause,
            in_flight=timedelta(0),
        )

    def drain(self) -> list[str]:
        return self.dispatcher.drain().failures
