"""The state fails in the midst of a delivery: what was claimed is given back as soon as it answers, and said once."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.exc import OperationalError

from bot.delivery.dispatcher import Dispatcher
from bot.domain.capabilities import ChatCapabilities
from bot.errors import RetryableError, StateError
from bot.services.memory.chat import MemoryChat
from bot.store import Database
from bot.store.owners import Owner
from tests.unit.delivery_bench import Bench
from tests.unit.state_samples import comment, open_ticket, tell

SOON = timedelta(minutes=1)  # past every wait for what may be on its way, and far below the length of a lease
MOMENTS = ("begun", "written", "committed")
MANY = 100  # transactions; more than all that is owed takes


class FailingDatabase(Database):
    """Fails transactions, from one on: when they begin, when they should be committed, or after they were."""

    moment, first, last, count = "", 0, 0, 0

    @contextmanager
    def begin(self) -> Iterator:
        self.count += 1
        moment = self.moment if self.first <= self.count <= self.last else ""
        with super().begin() as tx:
            if moment == "begun":
                raise OperationalError("", {}, Exception("database is locked"))
            yield tx
            if moment == "written":
                raise OperationalError("", {}, Exception("database or disk is full"))
        if moment == "committed":
            raise StateError("the connection was lost before the answer came")

    def fail(self, moment: str, number: int, times: int) -> None:
        self.moment, self.first, self.last, self.count = moment, number, number + times - 1, 0

    def is_well(self) -> None:
        self.last = 0


@pytest.fixture
def benches(migrated_sqlite, tmp_path) -> Iterator:
    """Make a bench for each transaction that may fail, until one is made that drains without failing."""
    made: list[FailingDatabase] = []

    def make(moment: str, times: int = 1, **changes) -> Iterator[Bench]:
        for number in range(1, MANY):
            path = tmp_path / f"{len(made)}.db"
            shutil.copyfile(migrated_sqlite, path)
            made.append(FailingDatabase(f"sqlite:///{path}"))
            bench = Bench(made[-1], **{name: change() for name, change in changes.items()})
            bench.owe(open_ticket(), comment("a"), tell("a"))
            made[-1].fail(moment, number, times)
            yield bench
            if made[-1].count < number:  # it came to the end before
                assert number > 8
                return
        pytest.fail("it never came to an end")

    yield make
    for database in made:
        database.close()


def drain(dispatcher: Dispatcher) -> None:
    """Drain while the state fails, and once more when it is well."""
    failing = dispatcher.database
    try:
        dispatcher.drain()
    except StateError:
        assert failing.count >= failing.first
    count = failing.count
    failing.is_well()
    dispatcher.drain(SOON)
    failing.count = count


def assert_all_told_once_and_soon(bench: Bench) -> None:
    which = f"transaction {bench.database.first} of {bench.database.count}"
    assert bench.owed == [], which
    assert [len(ticket.comments) for ticket in bench.tracker.tickets.values()] == [1], which
    assert len(bench.chat.messages) == 1, which
    assert sum(bench.clock.pauses) < SOON.total_seconds(), which


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(("times", "workers"), [(1, 1), (MANY, 1), (1, 3)], ids=["once", "from then on", "of three"])
def test_whenever_the_state_fails_all_is_told_once_and_soon(benches, moment, times, workers):
    for bench in benches(moment, times):
        drain(bench.dispatcher(workers=workers))
        assert_all_told_once_and_soon(bench)


@pytest.mark.parametrize("moment", MOMENTS)
def test_another_herald_takes_over_at_once_what_the_state_failed_in(benches, moment, tmp_path):
    for bench in benches(moment):
        first, second = (Owner.begin(tmp_path / "locks", lambda _tx, bench=bench: bench.clock()) for _ in range(2))
        try:
            replace(bench.dispatcher(), owner=first).drain()
        except StateError:
            first.resign()
        count = bench.database.count
        bench.database.is_well()
        replace(bench.dispatcher(), owner=second).drain(SOON)
        assert_all_told_once_and_soon(bench)
        bench.database.count = count


@pytest.mark.parametrize("moment", MOMENTS)
def test_what_is_known_to_stand_is_in_no_doubt_though_it_could_not_be_recorded(benches, moment):
    """Nobody can ask a webhook: a message in doubt would be left to a person."""
    for bench in benches(moment, chat=lambda: MemoryChat(ChatCapabilities())):
        drain(bench.dispatcher())
        assert bench.parked == []
        assert_all_told_once_and_soon(bench)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_doubtful_end_that_could_not_be_recorded_is_settled_all_the_same(benches, moment):
    for bench in benches(moment):
        bench.tracker.faults.fail_next("create", RetryableError("503", doubtful=True), committed=True)
        drain(bench.dispatcher())
        assert_all_told_once_and_soon(bench)
