"""The dispatcher's law: whatever services answer, and whoever dies, what is told in the end is what was owed, once."""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from sqlalchemy import select
from structlog.testing import capture_logs

from bot.delivery import carrier
from bot.delivery.attempt import TicketFields
from bot.delivery.dispatcher import LEASE, Dispatcher
from bot.delivery.drain_report import DrainReport
from bot.delivery.services import Services
from bot.domain.capabilities import ChatCapabilities, Promise, TicketState
from bot.domain.effects import (
    AnswerComment,
    AnswerInThread,
    AttachExamples,
    AttachToTicket,
    CommentTicket,
    Effect,
    LinkTicket,
    OpenTicket,
    ReopenTicket,
    ReplyInThread,
    ResolveTicket,
    ShareChart,
    TellChannel,
)
from bot.domain.objects import ObjectKey
from bot.errors import AccountError, PermanentError, Reach, RetryableError
from bot.render.renderer import Renderer
from bot.services.memory.chat import MemoryChat
from bot.services.memory.tracker import MemoryTracker
from bot.services.memory.wiki import MemoryWiki
from bot.store import Database, outbox, tables
from bot.store.owed import EffectState, ParkedFor
from bot.store.owners import Owner
from bot.store.tables import metadata
from tests.chaos.world import Told
from tests.unit.state_samples import NOON

INCIDENTS = 3
SEARCH_LAG = timedelta(seconds=30)
SPANS = st.sampled_from([0.5, 3.0, 6.0, 40.0, LEASE.total_seconds() + 1, 700.0])  # seconds
MENDED_WITHIN = 6.0  # seconds, that an account is refused
PATIENCE = timedelta(hours=1)
IN_FLIGHT = timedelta(seconds=5)  # as Dispatcher has it: a request may be carried out so long after its sender's end
BETWEEN_TRANSACTIONS = {"claimed", "settled", "marked-sent", "performed", "recorded"}
READS = {"find", "read", "marked", "has_comment", "has_reply", "labelled", "confirm_access"}
RENDERER = Renderer("en")


class Answer(StrEnum):
    """What a service may answer, or what may happen instead."""

    GOOD = "good"
    BUSY = "busy"  # surely not done; come back later
    LOST_BEFORE = "lost before"  # no answer; it was not done
    LOST_AFTER = "lost after"  # no answer; it was done
    LATE = "late"  # no answer; it will be done a little later
    STRANGER = "stranger"  # from now on our account is refused, until somebody mends it
    NOT_ALLOWED = "not allowed"  # our account, for this once, here or for what is of its kind
    VERDICT = "verdict"  # this one thing will never be done
    HIDDEN = "hidden"  # it is refused, or so it seems: it may be for who we are
    UNFORESEEN = "unforeseen"  # something breaks that nobody thought of, before the request
    UNFORESEEN_AFTER = "unforeseen after"  # the same once it was done
    DEATH_BEFORE = "death before"  # Herald dies
    DEATH_AFTER = "death after"
    DEATH_LATE = "death late"  # Herald dies, and its request is on its way


WEIGHTED = st.sampled_from([*([Answer.GOOD] * len(Answer)), *Answer])


class Killed(BaseException):
    """The process ends: nobody catches this."""


@dataclass
class Clock:
    now: Any = NOON
    late: list[tuple[Any, Callable[[], None]]] = field(default_factory=list)  # requests that are on their way

    def __call__(self) -> Any:
        return self.now

    def pass_by(self, seconds: float) -> None:
        until = self.now + timedelta(seconds=seconds)
        due = [each for each in self.late if each[0] <= until]
        self.late = [each for each in self.late if each[0] > until]
        for self.now, carry_out in sorted(due, key=lambda each: each[0]):
            carry_out()
        self.now = until

    def pause(self, seconds: float) -> None:
        self.pass_by(max(seconds, 300.0))  # the law does not hang on how finely time passes


class Wording:
    def renderer(self, _pipeline: str, _target: ObjectKey) -> Renderer:
        return RENDERER

    def ticket_fields(self, _pipeline: str) -> TicketFields:
        return TicketFields()


class Hostile:
    """A service in memory that answers as the test draws it."""

    def __init__(self, service: Any, law: DeliveryLaw) -> None:
        self._service = service
        self._law = law
        self.refuses_us = False

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._service, name)
        if not callable(member) or name == "forget":  # which asks nobody
            return member

        def ask(*given: Any) -> Any:
            return self._ask(name, lambda: member(*given))

        return ask

    def _ask(self, name: str, carry_out: Callable[[], Any]) -> Any:
        answer = self._law.draw_answer()
        self.refuses_us |= answer is Answer.STRANGER
        if self.refuses_us:
            raise AccountError("401: who are you?")
        match answer:
            case Answer.BUSY:
                raise RetryableError("503", doubtful=False)
            case Answer.NOT_ALLOWED:
                reach = self._law.data.draw(st.sampled_from(Reach), label="reach")
                raise AccountError("403: not you", reach=reach)
            case Answer.VERDICT | Answer.HIDDEN:
                if name != "confirm_access":  # that one says whether the account is refused, and nothing else
                    self._law.condemned = True
                    raise PermanentError("404: never", about_access=answer is Answer.HIDDEN)
            case Answer.UNFORESEEN:
                self._law.condemned = True
                raise KeyError("id")
            case Answer.DEATH_BEFORE:
                raise Killed
            case Answer.LOST_BEFORE:
                raise RetryableError("no answer", doubtful=name not in READS)
            case Answer.LATE | Answer.DEATH_LATE if name not in READS:
                self._law.let_it_come(carry_out)
                raise Killed if answer is Answer.DEATH_LATE else RetryableError("no answer", doubtful=True)
        self._law.let_others_work()
        done = carry_out()
        match answer:
            case Answer.LOST_AFTER:
                raise RetryableError("no answer", doubtful=name not in READS)
            case Answer.UNFORESEEN_AFTER:
                self._law.condemned = True
                raise KeyError("id")
            case Answer.DEATH_AFTER:
                raise Killed
        return done


class LaggingTracker(MemoryTracker):
    """One whose search shows a ticket only after a while."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(search_lag=SEARCH_LAG)
        self._clock = clock
        self._made_at: dict[str, Any] = {}

    def create(self, marker: str, draft: Any) -> Any:
        ticket = super().create(marker, draft)
        self._made_at[ticket.key] = self._clock()
        return ticket

    def find(self, marker: str) -> Any:
        ticket = super().find(marker)
        is_shown = ticket is not None and self._made_at[ticket.key] + SEARCH_LAG <= self._clock()
        return ticket if is_shown else None


class DeliveryLaw(RuleBasedStateMachine):
    """Owes what incidents call for, in order, and lets Heralds deliver it under whatever befalls them."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.database = Database("sqlite://")
        metadata.create_all(self.database._engine)
        self.trackers = {name: LaggingTracker(self.clock) for name in ("jira", "trello", "jira_dc")}
        self.wikis = {name: MemoryWiki() for name in ("confluence", "confluence_dc")}
        self.slack = MemoryChat(clock=self.clock)
        self.once = MemoryChat(ChatCapabilities(), clock=self.clock)
        self.again = MemoryChat(ChatCapabilities(), promise=Promise.AT_LEAST_ONCE, clock=self.clock)
        chats = {"slack": self.slack, "hook_once": self.once, "hook_again": self.again}
        self.hostile = {
            name: Hostile(service, self) for name, service in {**self.trackers, **self.wikis, **chats}.items()
        }
        self.services = Services(
            {name: self.hostile[name] for name in self.trackers},
            {name: self.hostile[name] for name in self.wikis},
            {name: self.hostile[name] for name in chats},
        )
        self.born = 0
        self.folder: tempfile.TemporaryDirectory[str] | None = None  # of the Heralds' locks
        self.heralds: list[Dispatcher] = []
        self.told = [Told(f"T{number:05d}", number) for number in range(INCIDENTS)]
        self.to_come = [iter(list(one.effects())) for one in self.told]
        self.owed: list[Effect] = []
        self.data: Any = None  # where answers are drawn from; None: all is well
        self.at_work: list[int] = []
        self.current: str | None = None
        self.condemned = False  # what is delivered just now got a verdict, or broke
        self.may_be_parked: set[str] = set()
        self.may_be_unheard: set[str] = set()

    def teardown(self) -> None:
        try:
            self._heal()
            self._check()
        finally:
            self.database.close()
            for herald in self.heralds:
                herald.owner.resign()
            if self.folder is not None:
                self.folder.cleanup()

    # ---- what the rules do

    @initialize(counts=st.tuples(*[st.integers(4, 20)] * INCIDENTS), share_a_machine=st.booleans())
    def incidents_open(self, counts: tuple[int, ...], *, share_a_machine: bool) -> None:
        self.folder = tempfile.TemporaryDirectory() if share_a_machine else None
        self.heralds = [self._new_herald(), self._new_herald()]
        for number, count in enumerate(counts):
            self._owe(number, count)

    @rule(number=st.integers(0, INCIDENTS - 1), count=st.integers(1, 6))
    def something_more_is_owed(self, number: int, count: int) -> None:
        self._owe(number, count)

    @rule(which=st.integers(0, 1), times=st.integers(1, 8), data=st.data())
    def a_herald_delivers(self, which: int, times: int, data: Any) -> None:
        self._work(which, times, data, then=0.0)

    @rule(which=st.integers(0, 1), times=st.integers(2, 8), then=SPANS, data=st.data())
    def a_herald_delivers_while_time_passes(self, which: int, times: int, then: float, data: Any) -> None:
        self._work(which, times, data, then)

    @rule(seconds=SPANS)
    def time_passes(self, seconds: float) -> None:
        self._pass_by(seconds)

    # ---- what happens in them

    def _owe(self, number: int, count: int) -> None:
        effects = list(itertools.islice(self.to_come[number], count))
        with self.database.begin() as tx:
            outbox.owe(tx, "search", effects, self.clock())
        self.owed += [effect for effect, _ in effects]

    def _work(self, which: int, times: int, data: Any, then: float) -> None:
        self.data = data
        try:
            for _ in range(times):
                is_idle = not self._deliver(which)
                self._pass_by(then)
                if is_idle and not then:
                    return
        finally:
            self.data = None

    def _pass_by(self, seconds: float) -> None:
        self.clock.pass_by(seconds)
        if seconds >= MENDED_WITHIN:
            for service in self.hostile.values():
                service.refuses_us = False

    def _new_herald(self) -> Dispatcher:
        self.born += 1
        return Dispatcher(
            self.database,
            self.services,
            Wording(),
            self._new_owner(),
            self.clock,
            self.clock.pause,
            self._on_step,
        )

    def _new_owner(self) -> Owner:
        """Name a Herald: one whose lock the others see, or one whose leases end by the clock alone."""
        if self.folder is None:
            return Owner(f"host/{self.born}/x{self.born}", clock=lambda _: self.clock())
        return Owner.begin(Path(self.folder.name), lambda _: self.clock())

    def _deliver(self, which: int) -> bool:
        """Let a Herald deliver one effect; where it dies, another takes its place."""
        self.at_work.append(which)
        self.condemned = False
        try:
            return self.heralds[which].deliver_next(DrainReport())
        except Killed:
            self.heralds[which].owner.resign()
            self.heralds[which] = self._new_herald()
            return True
        finally:
            self.at_work.pop()
            self._note_what_was_parked()

    def _note_what_was_parked(self) -> None:
        known = self.may_be_parked | self.may_be_unheard
        for effect_id, (state, reason) in self._states().items():
            if state == EffectState.PARKED and effect_id not in known:
                is_unheard = reason == ParkedFor.LOST and "hook_once" in effect_id
                assert self.condemned or is_unheard, f"{effect_id} was parked without a verdict on itself"
                (self.may_be_unheard if is_unheard else self.may_be_parked).add(effect_id)

    def _states(self) -> dict[str, tuple[str, str | None]]:
        columns = (tables.outbox.c.effect_id, tables.outbox.c.state, tables.outbox.c.parked_for)
        with self.database.begin() as tx:
            return {row.effect_id: (row.state, row.parked_for) for row in tx.execute(select(*columns))}

    def draw_answer(self) -> Answer:
        return Answer.GOOD if self.data is None else self.data.draw(WEIGHTED, label="answer")

    def _on_step(self, step: str) -> None:
        name = step.removeprefix("delivery.")
        if self.data is not None and self.data.draw(st.integers(0, 24), label=step) == 24:
            raise Killed
        if name in BETWEEN_TRANSACTIONS:
            self.let_others_work()

    def let_others_work(self) -> None:
        """Let the other Herald deliver something just now."""
        if self.data is None or len(self.at_work) > 1 or self.data.draw(st.integers(0, 9), label="meanwhile") < 9:
            return
        condemned = self.condemned
        self._deliver(1 - self.at_work[0])
        self.condemned = condemned

    def let_it_come(self, carry_out: Callable[[], Any]) -> None:
        seconds = self.data.draw(st.sampled_from([0.5, IN_FLIGHT.total_seconds() - 0.5]), label="late by")
        self.clock.late.append((self.clock() + timedelta(seconds=seconds), carry_out))

    # ---- in the end

    def _heal(self) -> None:
        """Let everything work again; then a person tries anew what was left to them."""
        for service in self.hostile.values():
            service.refuses_us = False
        self.clock.pass_by(LEASE.total_seconds() + 1)
        self.heralds[0].drain(PATIENCE)
        self._note_what_was_parked()
        with self.database.begin() as tx:
            for owed in outbox.outstanding(tx):
                if owed.state is EffectState.PARKED and owed.effect.effect_id not in self.may_be_unheard:
                    assert owed.effect.effect_id in self.may_be_parked
                    outbox.set_state(tx, owed.seq, EffectState.PENDING, self.clock())
        self.heralds[1].drain(PATIENCE)
        with self.database.begin() as tx:
            left = {owed.effect.effect_id: owed.error for owed in outbox.outstanding(tx)}
        assert left.keys() <= self.may_be_unheard, left

    def _check(self) -> None:
        for one in self.told:
            mine = [effect for effect in self.owed if effect.incident_id == one.incident_id]
            self._check_ticket(one, mine)
            self._check_messages(one, mine)
        owed_pages = {(e.target.service, e.target.name) for e in self.owed if e.target.kind == "page"}
        pages = [(name, page.draft.title) for name, wiki in self.wikis.items() for page in wiki.pages.values()]
        assert sorted(pages) == sorted(owed_pages)

    def _check_ticket(self, one: Told, mine: list[Effect]) -> None:
        kinds = Counter(effect.kind for effect in mine if effect.target == one.ticket)
        tickets = [t for t in self.trackers[one.ticket.service].tickets.values() if t.marker == one.marker]
        assert len(tickets) == kinds[OpenTicket.kind]
        for ticket in tickets:
            owed = [effect for effect in mine if effect.kind in {CommentTicket.kind, AnswerComment.kind}]
            said = [mark for mark, _ in ticket.comments]
            assert Counter(said) == Counter(effect.cause for effect in owed)
            in_order = [effect.cause for effect in owed if effect.effect_id not in self.may_be_parked]
            assert [mark for mark in said if mark in in_order] == in_order
            assert len(ticket.links) == kinds[LinkTicket.kind]
            assert len(ticket.attachments) == kinds[AttachToTicket.kind] + kinds[AttachExamples.kind]
            moves = [effect for effect in mine if effect.kind in {ResolveTicket.kind, ReopenTicket.kind}]
            if self.may_be_parked.isdisjoint(effect.effect_id for effect in moves):  # else they may have changed places
                is_done = bool(moves) and moves[-1].kind == ResolveTicket.kind
                assert (ticket.state is TicketState.DONE) == is_done

    def _check_messages(self, one: Told, mine: list[Effect]) -> None:
        key = one.message("slack")
        told = [effect for effect in mine if effect.target == key]
        messages = [message for message in self.slack.messages if message.mark == one.mark]
        assert len(messages) == bool([effect for effect in told if effect.kind == TellChannel.kind])
        for message in messages:
            replies = [effect.cause for effect in told if effect.kind in {ReplyInThread.kind, AnswerInThread.kind}]
            assert Counter(mark for mark, _ in message.replies) == Counter(replies)
            assert len(message.files) == sum(effect.kind == ShareChart.kind for effect in told)
            ended = any(effect.cause == "resolved" for effect in told)
            assert ("has recovered" in message.text) == ended, (message.text, self.may_be_parked)
            assert "pending" not in message.text
        for name, chat in (("hook_once", self.once), ("hook_again", self.again)):
            owed = [effect for effect in mine if effect.target == one.message(name)]
            heard = sum(one.name in message.text for message in chat.messages)
            unheard = sum(effect.effect_id in self.may_be_unheard for effect in owed)
            assert heard >= len(owed) - unheard
            assert name == "hook_again" or heard <= len(owed)


@pytest.fixture(autouse=True, scope="module")
def no_log() -> Iterator[None]:
    """The log has tests of its own, and takes most of the time."""
    with capture_logs():
        yield


TestTheDeliveryLaw = DeliveryLaw.TestCase
TestTheDeliveryLaw.settings = settings(max_examples=8, stateful_step_count=10, deadline=None)


@pytest.mark.long
def test_without_its_search_the_law_does_not_hold(monkeypatch):
    monkeypatch.setattr(carrier, "settle", lambda _attempt: None)
    enough = settings(
        max_examples=100, stateful_step_count=10, deadline=None, derandomize=True, phases=[Phase.generate]
    )
    with pytest.raises(AssertionError):
        run_state_machine_as_test(DeliveryLaw, settings=enough)
