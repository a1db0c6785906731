"""The loop of `herald serve`: rounds that record what is due, start what waits, deliver what is owed, until stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from bot.app import Herald, load_for_work
from bot.config.models import Config
from bot.connections import make_dead_man
from bot.delivery.dispatcher import LEASE
from bot.errors import HeraldError, IntegrationError
from bot.pipeline.lease import LEASE_OF
from bot.pipeline.lookout import FAR_BACK_EVERY
from bot.pipeline.rerun_places import jobs_of_each
from bot.ports import DeadMan
from bot.runtime.log import get_logger, journal
from bot.serve.background import Errand, Task, start_thread
from bot.serve.cycle_places import CyclePlaces
from bot.serve.duties import Duties
from bot.serve.leading import Leading
from bot.serve.loading import Loading
from bot.serve.shutdown import STOP_SECONDS, Orders
from bot.serve.vitals import what_ails, what_lacks
from bot.store import backlog, fires, inquiries, leases
from bot.store.owners import agreed_time

_ROUND_SECONDS = 1.0
_BETWEEN_DELIVERIES = timedelta(seconds=5)
_BEFORE_CLEARING = timedelta(minutes=10)  # after the start: a clock that was wrong then is found out by now
_BETWEEN_CLEARINGS = timedelta(days=1)
_AFTER_BUSY = timedelta(seconds=5)
_AFTER_ELSEWHERE = timedelta(seconds=30)  # so that the Herald which can see the job comes to it
_TO_LEAVE = 2.0  # seconds of those in which Herald has to end
_FOR_CYCLES = 6.0  # seconds, before their jobs are ended
_HANGS_AFTER = 2 * LEASE  # an effect that is under way so long will not end any more

log = get_logger(__name__)


@dataclass(slots=True)
class Server:
    """Runs pipelines at their times and delivers what is owed, until stopped.

    Fires are rows before anything starts, and one cycle at a time works on a pipeline's rows. Nothing that is kept in
    memory here is missed after a crash.
    """

    herald: Herald
    orders: Orders
    reconfigured: Callable[[Herald], Herald]  # raises ConfigError where the configuration cannot be used
    stop_jobs: bool = False
    load: Callable[[Config], None] = load_for_work
    start_task: Callable[[str, Callable[[], None]], Task] = start_thread
    cycles: dict[str, Errand] = field(default_factory=dict)  # by pipeline
    delivery: Errand = field(default_factory=lambda: Errand("delivery"))
    looking_back: Errand = field(default_factory=lambda: Errand("looking for runs logged late"))
    clearing: Errand = field(default_factory=lambda: Errand("clearing folders"))
    keeping: Errand = field(default_factory=lambda: Errand("keeping the state"))  # the loop's own part
    dead_man: DeadMan | None = None
    signalling: Errand = field(default_factory=lambda: Errand("dead man's switch"))
    loading: Loading = field(default_factory=Loading)
    last_round: float = 0.0  # as time.monotonic() tells it
    duties: Duties = field(init=False)

    def __post_init__(self) -> None:
        leading = Leading(self.herald.database, self.herald.dispatcher.owner)
        self.duties = Duties(leading, self.orders, self.delivery.hurry)

    def run(self) -> bool:
        """Serve until stopped; jobs that run then live on, to be adopted by the next Herald, or end if so asked.

        Says whether everything that was under way has come to its end.
        """
        for step in (self._begin, self._record_first, self._load):  # a stop may come at any of them
            if not self.orders.stop:
                step()
        while not self.orders.stop:
            self.round()
            # Due times are whole seconds: a round begins just after one, and not up to a second later.
            self.orders.wait(_ROUND_SECONDS - self.herald.around.clock().microsecond / 1e6)
        return self.finish()

    def _begin(self) -> None:
        self.clearing.rest(self.herald.around.clock(), _BEFORE_CLEARING)
        self.duties.begin(self.herald.around.clock())

    def _record_first(self) -> None:
        self._record_meanwhile(self.herald.around.clock())  # with all that this takes, before another thread imports

    def _load(self) -> None:
        self.dead_man = make_dead_man(self.herald.config)
        log.info("serving", pipelines=len(self.herald.config.pipeline))
        self._name_the_unscheduled()
        self.loading.begin(partial(self.load, self.herald.config), self.orders.wake)

    def _name_the_unscheduled(self) -> None:
        """Say which pipelines nothing here will look at: a server without schedules would sit there in silence."""
        for name, section in self.herald.config.pipeline.items():
            if section.schedule is None:
                log.warning("pipeline has no schedule: only `herald run` looks at it", pipeline=name)

    def round(self) -> None:
        """Do once what is done again and again; what goes wrong is logged, and tried again later."""
        self.last_round = time.monotonic()
        if self.loading.is_under_way:
            self._record_meanwhile(self.herald.around.clock())
            return
        self.loading.raise_failure()
        if self.orders.reload:
            self.orders.reload = False
            journal.forget()
            self._reload()
        now = self.herald.around.clock()
        self.duties.leading.keep_if_alone()
        if self.keeping.may_start(now):
            self.keeping.attempt(lambda: self._record_and_start(now), self.herald.around.clock)
        self._send(self.delivery, self.herald.dispatcher.drain, now, pause=_BETWEEN_DELIVERIES)
        self._send(self.clearing, self._clear, now, pause=_BETWEEN_CLEARINGS)
        self._send(self.looking_back, self.herald.lookout.look_far_back, now, pause=FAR_BACK_EVERY)
        self.duties.attend(self.herald, now, self._send)
        if self.herald.config.dead_man is not None and self.duties.leading.epoch is not None and self.is_healthy:
            self._send(self.signalling, self._signal, now, pause=self.herald.config.dead_man.every)

    def finish(self) -> bool:
        """Let what is under way come to its next stop, as long as there is time for it, and end jobs if so asked.

        What is owed stays owed. Says whether everything has ended.
        """
        log.info("stopping")
        began, errands = time.monotonic(), [*self._errands(), self.signalling]
        if self.stop_jobs:
            _join(self.cycles.values(), began + _FOR_CYCLES)
            for name, section in self.herald.config.pipeline.items():
                if section.job is not None:
                    errands.append(Errand(f"end of the job of {name}"))
                    self._send(errands[-1], partial(self._stop_job, name), self.herald.around.clock())
        _join(errands, began + STOP_SECONDS - _TO_LEAVE)
        self.duties.leading.end()
        left = [errand.name for errand in errands if errand.is_under_way]
        left += ["loading"] if self.loading.is_under_way else []
        log.info("stopped", **{"still at work": ", ".join(left)} if left else {})
        return not left

    def _stop_job(self, name: str) -> None:
        if self.herald.cycle(name).stop_job():
            log.info("job stopped", pipeline=name)

    def _record_meanwhile(self, now: datetime) -> None:
        """Do what needs nothing that is still being imported: no due time waits for that, nor the lead."""
        self.duties.leading.keep_if_alone()
        if self.keeping.may_start(now):
            self.keeping.attempt(lambda: self.duties.record(self.herald, now), self.herald.around.clock)

    def _record_and_start(self, now: datetime) -> None:
        """Record what is due, and start a cycle for each pipeline with a fire that is not over, while there is room."""
        herald, owner = self.herald, self.herald.dispatcher.owner
        self.duties.record(herald, now)
        with herald.database.begin() as tx:
            agreed = agreed_time(tx, now, owner.clock)
            due = [fire for fire in fires.waiting(tx) if not fire.lies_ahead(agreed)]
            waiting = sorted(due, key=lambda fire: fire.gives_way)
            asked = inquiries.pipelines_of_running(tx)
            running = jobs_of_each(waiting)
            at_work = [name for name, errand in self.cycles.items() if errand.is_under_way]
            at_work += [name.removeprefix(LEASE_OF) for name in list(owner.holdings.of)]
            leases.give_back_all_but(tx, LEASE_OF, owner.name, at_work)
            elsewhere = leases.held_by_others(tx, LEASE_OF, owner.name, owner.clock(tx), owner.may_take_over)
        under_way = {name for name, errand in self.cycles.items() if errand.is_under_way}
        places = CyclePlaces(herald.config, under_way, elsewhere, running)
        for name in dict.fromkeys((*(fire.pipeline for fire in waiting), *asked)):
            if name in herald.config.pipeline and places.are_left_for(name):
                errand = self.cycles.setdefault(name, Errand(name))
                self._send(errand, partial(self._cycle, herald, errand), now)
                if errand.is_under_way:
                    places.take(name)

    def _cycle(self, herald: Herald, errand: Errand) -> None:
        report = herald.cycle(errand.name).resume()
        if report.busy:
            if not errand.is_waiting:
                log.debug("waiting: another Herald is at work on it", pipeline=errand.name)
            errand.rest(herald.around.clock(), _AFTER_BUSY)
        elif report.elsewhere:
            errand.rest(herald.around.clock(), _AFTER_ELSEWHERE)
        errand.is_waiting = report.busy
        self.delivery.hurry()
        self.orders.wake()

    def _clear(self) -> None:
        for name in self.herald.config.pipeline:
            if not self.orders.stop:
                self.herald.cycle(name).clear()

    def _signal(self) -> None:
        """Tell the dead man's switch that Herald is well: a round of the loop says so, however much is owed."""
        if self.dead_man is None or self._is_refused():
            self.signalling.rest(self.herald.around.clock(), _BETWEEN_DELIVERIES)
            return
        try:
            self.dead_man.signal()
        except IntegrationError as error:  # no trouble of Herald's own
            log.warning("not signalled", error=str(error))

    def _is_refused(self) -> bool:
        """Say whether something waits for a service that does not take our account, which somebody has to mend."""
        refusing = self.herald.dispatcher.admission.breakers.refusing()
        if not refusing:
            return False
        with self.herald.database.begin() as tx:
            return any(refusal.service in refusing for refusal in backlog.refusals(tx))

    def ails(self) -> Sequence[str]:
        """Say what only a new start would mend."""
        goes_on = not self.last_round or self.orders.stop
        hangs = self.herald.dispatcher.admission.longest(self.herald.around.clock())
        return what_ails(0.0 if goes_on else time.monotonic() - self.last_round, hangs, _HANGS_AFTER)

    def lacks(self) -> Sequence[str]:
        """Say what keeps due times from being kept."""
        starts_for = None if self.is_ready else time.monotonic() - self.orders.began
        return what_lacks(self.herald.config, self.keeping.trouble, self.duties.unscheduled, starts_for)

    @property
    def is_ready(self) -> bool:
        """Say whether the loop goes round and has all that it needs."""
        return self.last_round > 0 and not self.loading.is_under_way

    @property
    def is_healthy(self) -> bool:
        """Say whether everything that Herald does went well the last time."""
        if self.duties.unscheduled or any(errand.trouble for errand in self._errands()):
            return False
        under_way = self.herald.dispatcher.admission.longest(self.herald.around.clock())
        return under_way < _HANGS_AFTER

    def _errands(self) -> Iterator[Errand]:
        cycles = list(self.cycles.values())  # a delivery asks while the loop adds to them
        yield from (*cycles, self.delivery, self.looking_back, self.clearing, self.keeping, *self.duties.errands)

    def _send(
        self, errand: Errand, work: Callable[[], object], now: datetime, *, pause: timedelta = timedelta(0)
    ) -> None:
        """Start an errand beside the loop, unless it is under way or it is too early for it."""
        if errand.may_start(now):
            errand.rest(now, pause)
            attempt = partial(errand.attempt, work, self.herald.around.clock)
            try:
                errand.task = self.start_task(errand.name, attempt)
            except RuntimeError as error:  # the machine has no room for another thread just now
                log.error("not started", what=errand.name, error=str(error))  # noqa: TRY400
                errand.fail(str(error), now)

    def _reload(self) -> None:
        """Take on the configuration as it reads now; one that cannot be used changes nothing."""
        before = set(self.herald.config.pipeline)
        try:
            herald = self.reconfigured(self.herald)
            self.load(herald.config)
            self.herald = herald
        except HeraldError as error:
            for line in str(error).splitlines():
                log.error("configuration kept as it was", error=line, always=True)  # noqa: TRY400
            return
        except Exception:
            log.exception("configuration kept as it was", always=True)
            return
        self.dead_man = make_dead_man(self.herald.config)
        if gone := before - self.herald.config.pipeline.keys():
            log.warning("pipelines are gone from the configuration", pipelines=", ".join(sorted(gone)), always=True)
        kept = self.herald.config.pipeline
        self.cycles = {name: errand for name, errand in self.cycles.items() if name in kept or errand.is_under_way}
        log.info("configuration read anew", pipelines=len(kept))


def _join(errands: Iterable[Errand], until: float) -> None:
    """Wait for errands to end, until then at the latest."""
    for errand in list(errands):
        if errand.task is not None:
            errand.task.join(max(until - time.monotonic(), 0.0))
