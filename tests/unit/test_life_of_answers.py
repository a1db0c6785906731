"""The whole life of an incident, whatever people answer, close, edit and move, and whenever Herald is killed.

Silence is kept while it is promised, nobody's words are overwritten, every answer is acted on once, and a rule that is
taken back leaves nothing behind.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from sqlalchemy import select

from bot.domain.capabilities import TicketState
from bot.domain.hush import keeps_quiet
from bot.domain.incidents import IncidentState, SeriesKey
from bot.domain.judge import SeriesState
from bot.domain.rules import Person, Rule, RuleKind
from bot.errors import RetryableError
from bot.services.memory.tracker import MemoryTicket
from bot.store import Database, incidents, outbox, rules, runs
from bot.store.tables import metadata
from bot.store.tables import outbox as outbox_table
from tests.unit.cycle_bench import EAGER, GOOD, Bench

SERIES = SeriesKey("search")
WEI, DANA, BOT = Person("wei", "Wei Zhang"), Person("dana", "Dana"), Person("ci", "CI", is_app=True)
QUIET_WORDS = ("comment_ticket", "tell_channel", "reply_in_thread", "open_ticket", "reopen_ticket")
COMMANDS = (
    "fixed",
    "expected the catalogue is new",
    "noise 2d seeds differ",
    "mute 1d known",
    "mute 3d known",
    "accept until {day} known",
    "why",
    "rules",
    "undo {number}",
    "help",
    "mutt 3d",
)
SHOWN = ("{{quote}}\n/herald {0}\n{{quote}}", "{{code}}\n/herald {0}\n{{code}}", "see /herald {0}", "> /herald {0}")
LEVELS = {"good": 0.80, "low": 0.70, "lower": 0.60}
STEPS = ("answer.heard", "answer.owed", "round.read", "lapse.seen", "lapse.told", "run.recording", "run.recorded")
QUIET = {**EAGER, "publish": "incidents", "wiki": None, "recovery": {"runs": 2}, "watch": {"overlap": "7d"}}


class Killed(BaseException):
    """The process ends here."""


class Life(RuleBasedStateMachine):
    """One pipeline, its tickets, and everybody who has a say in them."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.bench = self._bench("ruled")
        self.bench.tickets.people.assignable.add(WEI.account)
        self.fields: dict[str, tuple[object, ...]] = {}  # by ticket: what people have set
        self.reopened: set[str] = set()  # tickets that people opened again
        self.told: Counter[str] = Counter()  # commands that people gave, by comment
        self.logged: list[tuple[str, float, datetime, datetime]] = []  # run, value, its end, when it came
        self.drift = 0

    def _bench(self, name: str) -> Bench:
        folder = Path(self.folder.name) / name
        folder.mkdir()
        url = f"sqlite:///{folder / 'state.db'}"
        state = Database(url)
        metadata.create_all(state._engine)
        state.close()
        return Bench(folder, url, QUIET)

    @initialize()
    def a_fall_is_filed(self) -> None:
        self.bench.run()
        self._log(*[LEVELS["good"]] * 7, *[LEVELS["low"]] * 3)
        assert self._newest() is not None

    # ---- what happens

    @rule(level=st.sampled_from(sorted(LEVELS)), number=st.integers(1, 4))
    def runs_come(self, level: str, number: int) -> None:
        self._log(*[LEVELS[level]] * number)

    @rule(level=st.sampled_from(sorted(LEVELS)), back=st.integers(1, 5))
    def a_run_comes_late(self, level: str, back: int) -> None:
        ended = self.logged[-1][2] - back * timedelta(minutes=7)
        self._add(LEVELS[level], ended)
        self._run()

    @rule(said=st.sampled_from(COMMANDS), days=st.integers(0, 3), number=st.integers(1, 4))
    def somebody_commands(self, said: str, days: int, number: int) -> None:
        day = (self.bench.now + days * timedelta(days=1)).date().isoformat()
        self._comment(WEI, f"/herald {said.format(day=day, number=number)}")

    @rule(said=st.sampled_from(COMMANDS[:6]), level=st.sampled_from(sorted(LEVELS)), number=st.integers(1, 4))
    def somebody_commands_and_runs_come(self, said: str, level: str, number: int) -> None:
        self.somebody_commands(said, 2, 1)
        self._read()
        self._log(*[LEVELS[level]] * number)

    @rule(said=st.sampled_from(COMMANDS[:5]), shown=st.sampled_from(SHOWN), who=st.sampled_from([WEI, DANA, BOT]))
    def somebody_shows_a_command_or_may_give_none(self, said: str, shown: str, who: Person) -> None:
        self._comment(who, shown.format(said) if who is WEI else f"/herald {said}", is_command=False)

    @rule(said=st.sampled_from(COMMANDS[:5]))
    def somebody_changes_a_comment_into_a_command(self, said: str) -> None:
        for ticket in self.bench.tracker.tickets.values():
            for comment in [each for each in ticket.said if each.author == WEI][-1:]:
                self.bench.tracker.edit(ticket.key, comment.comment_id, f"/herald {said}")

    @rule(name=st.sampled_from(["Done", "Won't Do"]))
    def somebody_closes_the_ticket(self, name: str) -> None:
        ticket = self._newest()
        if ticket is not None and ticket.state is not TicketState.DONE:
            self.bench.tracker.close(ticket.key, name, WEI)

    @precondition(lambda self: self.is_closed)
    @rule()
    def somebody_opens_the_ticket_again(self) -> None:
        ticket = self._newest()
        if ticket is not None and ticket.state is TicketState.DONE:
            ticket.state, ticket.resolution = TicketState.DOING, None
            ticket.changed = self.bench.now
            self.reopened.add(ticket.marker)

    @rule(text=st.sampled_from(["My words", "Other words"]))
    def somebody_writes_into_the_ticket(self, text: str) -> None:
        ticket = self._newest()
        if ticket is not None:
            ticket.draft = replace(ticket.draft, title=text, body=text, priority=text, components=(text,))
            ticket.assignee, ticket.extra_labels = Person(text), (text.replace(" ", "-"),)
            ticket.changed = self.bench.now
            self.fields[ticket.marker] = written(ticket)

    @rule()
    def somebody_moves_the_ticket(self) -> None:
        ticket = self._newest()
        if ticket is not None:
            tracker, new = self.bench.tracker, f"MOVED-{len(self.bench.tracker.moved) + 1}"
            tracker.tickets[new] = tracker.tickets.pop(ticket.key)
            tracker.moved = {old: new if key == ticket.key else key for old, key in tracker.moved.items()}
            tracker.moved[ticket.key] = new
            ticket.key, ticket.changed = new, self.bench.now

    @rule(hours=st.sampled_from([1, 13, 30, 80]))
    def time_passes(self, hours: int) -> None:
        self.bench.now += timedelta(hours=hours)

    @rule()
    def herald_listens(self) -> None:
        self._read()

    @rule(step=st.sampled_from(STEPS))
    def herald_dies(self, step: str) -> None:
        def kill(name: str) -> None:
            if name == step:
                raise Killed

        self.bench.steps = kill
        try:
            self._read()
            self._log(self.logged[-1][1])
        except Killed:
            pass
        self.bench.steps = lambda _: None
        self.bench.herald = self.bench.make()

    @rule(method=st.sampled_from(["comment", "create", "move", "find"]), done=st.booleans())
    def the_tracker_gives_no_answer(self, method: str, *, done: bool) -> None:
        self.bench.tracker.faults.fail_next(method, RetryableError("gone", doubtful=True), committed=done)

    # ---- what holds

    @invariant()
    def nobodys_words_are_overwritten(self) -> None:
        for ticket in self.bench.tracker.tickets.values():
            assert written(ticket) == self.fields.get(ticket.marker, written(ticket))

    @invariant()
    def there_is_one_ticket_for_a_marker_and_one_comment_for_a_mark(self) -> None:
        tickets = list(self.bench.tracker.tickets.values())
        assert len({ticket.marker for ticket in tickets}) == len(tickets)
        for ticket in tickets:
            marks = [mark for mark, _ in ticket.comments]
            assert len(set(marks)) == len(marks)

    @invariant()
    def every_answer_is_acted_on_once_and_none_that_is_none(self) -> None:
        made = Counter(
            each.said_at.said_id for each in self._ledger() if not each.said_at.said_id.startswith("closed/")
        )
        assert made <= self.told

    @invariant()
    def silence_is_kept_while_it_is_promised(self) -> None:
        ledger = [each for each in self._ledger() if each.kind in {RuleKind.MUTE, RuleKind.ACCEPTED}]
        with self.bench.database.begin() as tx:
            rows = tx.execute(select(outbox_table).where(outbox_table.c.kind.in_(QUIET_WORDS))).all()
            known = {each.incident_id: each for each in incidents.of_pipeline(tx, "search", *IncidentState)}
        for row in rows:
            broken = [
                each
                for each in ledger
                if each.made_at < row.created_at < min(each.until, each.undone_at or each.until)
                and keeps_quiet(each, known[row.incident_id])
            ]
            assert broken == [], (row.effect_id, row.created_at)

    def teardown(self) -> None:
        try:
            if self.logged:
                self._what_ends_open_is_still_bad()
                self._what_is_taken_back_leaves_nothing_behind()
        finally:
            self.bench.database.close()
            self.folder.cleanup()

    def _what_ends_open_is_still_bad(self) -> None:
        self._settle()
        with self.bench.database.begin() as tx:
            for ticket in self.bench.tracker.tickets.values():
                (incident,) = [
                    each
                    for each in incidents.of_pipeline(tx, "search", *IncidentState)
                    if each.incident_id in ticket.marker
                ]
                if ticket.state is not TicketState.DONE and ticket.marker not in self.reopened:
                    assert incident.state is IncidentState.OPEN, ticket.key
                    assert incident.bad_runs

    def _what_is_taken_back_leaves_nothing_behind(self) -> None:
        ledger = self._ledger()
        with self.bench.database.begin() as tx:
            for each in ledger:
                rules.undo(tx, each.number, WEI, self.bench.now)
        self._log(LEVELS["low"])
        plain = self._bench("plain")
        plain.run()
        for run_id, value, ended, came in self.logged:
            plain.now = came
            plain.log(value, run_id, started=ended - timedelta(minutes=1), ended=ended)
            plain.run(deliver=False)
        with self.bench.database.begin() as tx, plain.database.begin() as other:
            assert runs.load_state(tx, SERIES) == runs.load_state(other, SERIES) != SeriesState()
            mine, theirs = (runs.recent(each, SERIES, 99) for each in (tx, other))
            assert [each.without_rules.findings for each in mine] == [each.findings for each in theirs]
            assert mine[-1].plain is None
        plain.database.close()

    # ---- how

    @property
    def is_closed(self) -> bool:
        ticket = self._newest()
        return ticket is not None and ticket.state is TicketState.DONE

    def _ledger(self) -> list[Rule]:
        with self.bench.database.begin() as tx:
            return list(rules.of_pipeline(tx, "search"))

    def _newest(self) -> MemoryTicket | None:
        return next(reversed(self.bench.tracker.tickets.values()), None)

    def _comment(self, who: Person, body: str, *, is_command: bool = True) -> None:
        ticket = self._newest()
        if ticket is not None:
            self.bench.now += timedelta(seconds=10)
            made = self.bench.tracker.say(ticket.key, who, body)
            self.told[made.comment_id] += is_command

    def _add(self, level: float, ended: datetime) -> None:
        self.drift += 1
        value = level + GOOD[self.drift % len(GOOD)] - GOOD[0]
        run_id = f"run{self.drift:03d}"
        self.logged.append((run_id, value, ended, self.bench.now))
        self.bench.log(value, run_id, started=ended - timedelta(minutes=1), ended=ended)

    def _log(self, *levels: float) -> None:
        for level in levels:
            self.bench.now += timedelta(minutes=10)
            self._add(level, self.bench.now)
            self._run()

    def _run(self) -> None:
        self.bench.now += timedelta(seconds=1)
        self.bench.herald.cycle("search").run(self.bench.now)
        self.bench.herald.dispatcher.drain()

    def _read(self) -> None:
        self.bench.now += timedelta(minutes=2)
        self.bench.herald.triage.run()
        self.bench.herald.dispatcher.drain()

    def _settle(self) -> None:
        """Let all be read and delivered that is on its way."""
        for _ in range(4):
            self.bench.now += timedelta(minutes=20)
            self._run()
            self._read()
        with self.bench.database.begin() as tx:
            assert outbox.outstanding(tx) == []


def written(ticket: MemoryTicket) -> tuple[object, ...]:
    """Return what people own of a ticket."""
    draft = ticket.draft
    return draft.title, draft.body, draft.priority, draft.components, ticket.assignee, ticket.extra_labels


TestLife = Life.TestCase
# To shrink a whole life takes minutes.
TestLife.settings = settings(max_examples=3, stateful_step_count=12, phases=[Phase.generate])
