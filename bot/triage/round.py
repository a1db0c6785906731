"""A round over everything that people answer in: each tracker and chat once, and the rules that have lapsed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bot.config.models import Config
from bot.domain.objects import ObjectKey
from bot.errors import IntegrationError
from bot.runtime.log import get_logger
from bot.runtime.steps import ignore_step
from bot.store import Database, leases, listenings, rules
from bot.store.listenings import Listening
from bot.store.owners import Owner
from bot.triage.answering import Answering
from bot.triage.listeners import Listeners, ThreadListener, TicketListener
from bot.triage.quiet_pages import QuietPages
from bot.triage.threads import ThreadRound
from bot.triage.tickets import TicketRound

LEASE_OF = "answers:"  # and the service's name
_LEASE = timedelta(minutes=10)

log = get_logger(__name__)


@dataclass(slots=True)
class RoundReport:
    """How a round went."""

    read: list[str] = field(default_factory=list)  # services
    busy: list[str] = field(default_factory=list)  # that another Herald reads just now
    troubles: dict[str, str] = field(default_factory=dict)  # services that could not be asked, in their words
    lapsed: list[int] = field(default_factory=list)  # rules


@dataclass(frozen=True, slots=True)
class TriageRound:
    """Reads what people answered, in all services of a configuration."""

    config: Config
    database: Database
    listeners: Listeners
    answering: Answering
    owner: Owner
    clock: Callable[[], datetime]
    stopping: Callable[[], bool] = lambda: False
    on_step: Callable[[str], None] = ignore_step
    threads_read_at: dict[ObjectKey, datetime] = field(default_factory=dict)

    def run(self) -> RoundReport:
        """Read every service once; one that cannot be asked keeps the others from nothing."""
        report = RoundReport()
        for listener in self.listeners.all_of_them:
            if not self.stopping():
                self._read(listener, report)
        self._let_lapse(report)
        return report

    def _read(self, listener: TicketListener | ThreadListener, report: RoundReport) -> None:
        service = listener.service
        if not self._take(service):
            report.busy.append(service)
            return
        try:
            with self.database.begin() as tx:
                before = listenings.of_service(tx, service)
            try:
                after = self._round_of(listener).run(before)
            except IntegrationError as error:
                report.troubles[service] = str(error)
                after = replace(before, failing_since=before.failing_since or self.clock(), said=str(error))
            else:
                report.read.append(service)
            self.on_step("round.read")
            with self.database.begin() as tx:
                listenings.save(tx, after)
        finally:
            with self.database.begin() as tx:
                leases.give_back(tx, f"{LEASE_OF}{service}", self.owner.name)

    def _round_of(self, listener: TicketListener | ThreadListener) -> TicketRound | ThreadRound:
        shared = self.config, self.database, self.answering, self.clock, self.stopping
        if isinstance(listener, TicketListener):
            return TicketRound(listener, *shared)
        return ThreadRound(listener, *shared, self.threads_read_at)

    def _take(self, service: str) -> bool:
        with self.database.begin() as tx:
            owner = self.owner
            name, now = f"{LEASE_OF}{service}", owner.clock(tx)
            return leases.take(tx, name, owner.name, now, _LEASE, owner.may_take_over)

    def _let_lapse(self, report: RoundReport) -> None:
        """Say again what rules kept quiet that have lapsed, where it still stands: once for each rule."""
        now = self.clock()
        with self.database.begin() as tx:
            lapsed = rules.lapsed_unseen(tx, now)
        for rule in lapsed:
            with self.database.begin() as tx:
                if not rules.see_lapse(tx, rule.number, now):
                    continue
                self.on_step("lapse.seen")
                desk = self.answering.desk(rule.scope.series.pipeline)
                if desk.is_configured:
                    desk.say_again(tx, rule, now)
                    QuietPages(self.config, self.answering.desk).owe(tx, [rule], now)
            self.on_step("lapse.told")
            report.lapsed.append(rule.number)
            log.info("lapsed", rule=rule.number, kind=rule.kind.value, pipeline=rule.scope.series.pipeline)


def trouble_of(listening: Listening) -> str:
    """Return why a service could not be asked lately; nothing where it could."""
    return listening.said if listening.failing_since is not None else ""
