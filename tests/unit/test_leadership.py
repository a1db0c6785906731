"""One Herald leads those that share a state; one that was paused writes nothing of an epoch that is over."""

import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from bot.errors import LeaseLostError, StateError
from bot.serve.leading import Leading
from bot.store import Database, backup, fences, fires, leadership
from bot.store.leadership import LEASE, LeaderFence
from bot.store.owners import Owner
from tests.conftest import postgres_do
from tests.unit import leader_process
from tests.unit.simulation import World, configured, make_server
from tests.unit.state_samples import MINUTE, NOON

ROOT = Path(__file__).parents[2]
SECOND = timedelta(seconds=1)


@dataclass
class Clock:
    now: datetime = NOON


@dataclass
class Heralds:
    """Several that share a state, on machines that do not see each other's locks."""

    database: Database
    clock: Clock = field(default_factory=Clock)

    def make(self, name: str) -> Leading:
        owner = Owner(f"host/1/{name}", clock=lambda _tx: self.clock.now)
        return Leading(self.database, owner, wall=lambda: self.clock.now)

    @property
    def standing(self) -> leadership.Leadership:
        with self.database.begin() as tx:
            found = leadership.standing(tx)
        assert found is not None
        return found

    def write(self, leading: Leading) -> bool:
        """Let one record what is due if it leads; say whether it did."""
        wrote: list[bool] = []

        def record() -> None:
            with self.database.begin() as tx:
                fires.record(tx, "search", self.clock.now)
            wrote.append(True)

        leading.lead(record)
        return bool(wrote)


@pytest.fixture
def heralds(database) -> Heralds:
    return Heralds(database)


def test_one_leads_while_it_renews_and_the_next_begins_a_new_epoch(heralds):
    first, second = heralds.make("a"), heralds.make("b")
    for _ in range(5):
        first.keep()
        second.keep()
        heralds.clock.now += LEASE - SECOND
    assert (first.epoch, second.epoch) == (1, None)
    heralds.clock.now += 2 * SECOND
    second.keep()
    first.keep()
    assert (first.epoch, second.epoch) == (None, 2)
    assert (heralds.standing.holder, heralds.standing.since) == ("host/1/b", heralds.clock.now)


def test_a_leader_that_was_paused_writes_nothing_of_its_epoch_and_follows(heralds):
    paused, other = heralds.make("a"), heralds.make("b")
    paused.keep()
    assert heralds.write(paused)
    heralds.clock.now += LEASE
    other.keep()
    assert not heralds.write(paused)
    assert paused.epoch is None
    assert heralds.write(other)
    with heralds.database.begin() as tx:
        assert [fire.due_at for fire in fires.of_pipeline(tx, "search")] == [NOON, NOON + LEASE]


def test_nothing_of_a_transaction_is_written_that_began_after_the_lead_was_lost(heralds):
    paused, other = heralds.make("a"), heralds.make("b")
    paused.keep()
    fence = LeaderFence(paused.owner.name, 1)
    heralds.clock.now += LEASE
    other.keep()

    def record_behind_it() -> None:
        with fences.behind(heralds.database, fence), heralds.database.begin() as tx:
            fires.record(tx, "search", NOON)

    with pytest.raises(LeaseLostError, match="nothing of epoch 1"):
        record_behind_it()
    with heralds.database.begin() as tx:
        assert fires.of_pipeline(tx, "search") == []


def test_who_resigns_is_followed_at_once_in_a_new_epoch(heralds):
    first, second = heralds.make("a"), heralds.make("b")
    first.keep()
    first.end()
    second.keep()
    assert (first.epoch, second.epoch) == (None, 2)


def test_who_leads_again_does_so_in_a_new_epoch_only_where_another_led_meanwhile(heralds):
    first, second = heralds.make("a"), heralds.make("b")
    first.keep()
    heralds.clock.now += 3 * LEASE
    first.keep()
    assert first.epoch == 1
    heralds.clock.now += LEASE
    second.keep()
    heralds.clock.now += LEASE
    first.keep()
    assert first.epoch == 3


def test_a_restored_state_has_the_epoch_that_it_had_before(heralds, tmp_path):
    leading = heralds.make("a")
    leading.keep()
    backup.back_up(heralds.database, tmp_path / "state.backup")
    backup.restore(heralds.database, tmp_path / "state.backup", NOON, replace=True)
    assert heralds.standing.epoch == 1


@given(
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["keep", "write", "end"]), st.integers(0, 40)), max_size=25)
)
def test_whatever_happens_the_epoch_only_grows_and_only_its_holder_writes(steps):
    heralds = Heralds(Database.stand_in("memory"))
    some = [heralds.make(name) for name in "abc"]
    before: tuple[int, str] = (0, "")
    for who, does, seconds in steps:
        heralds.clock.now += timedelta(seconds=seconds)
        leading = some[who]
        if does == "keep":
            leading.keep()
        elif does == "write":
            epoch = leading.epoch
            assert not heralds.write(leading) or (epoch, leading.owner.name) == before
        elif leading.epoch is not None:
            leading.epoch = None
            with heralds.database.begin() as tx:
                leadership.resign(tx, leading.owner)
        with heralds.database.begin() as tx:
            found = leadership.standing(tx)
        after = before if found is None else (found.epoch, found.holder)
        assert after[0] == before[0] + (after[1] != before[1])
        before = after
    heralds.database.close()


def test_a_follower_starts_what_is_due_but_records_nothing_until_it_leads(sqlite_database, tmp_path):
    world = World(NOON, tmp_path)
    config = configured({"often": {"schedule": {"every": "5m"}, "job": {"command": ["train"]}}})
    leader, follower = (make_server(world, sqlite_database, config) for _ in range(2))
    leader.round()
    world.advance(6 * MINUTE)
    leader.duties.leading.keep()
    follower.round()
    assert world.starts == {}
    with sqlite_database.begin() as tx:
        fires.record(tx, "often", world.now)
    follower.round()
    assert len(world.starts) == 1
    world.advance(LEASE)
    follower.round()
    assert len(world.starts) == 2, "it leads now, and records what was due by the clock"
    leader.duties.leading.epoch, leader.duties.leading._task = 1, leader.delivery  # it was paused, and knows nothing
    world.advance(10 * MINUTE)
    leader.round()
    assert (leader.duties.leading.epoch, leader.is_healthy) == (None, True)
    assert len(world.starts) == 2


# ---- on PostgreSQL, by real locks and real processes


def take_at_once(database: Database, owner: Owner) -> int | None:
    with database.begin() as tx:
        tx.execute(text("SET LOCAL lock_timeout = '100ms'"))
        return leadership.take(tx, owner, NOON)


@pytest.mark.external_service
def test_who_renews_waits_for_no_work_and_who_would_follow_waits_for_all_of_it(postgres_url):
    database, beside = Database(postgres_url), Database(postgres_url)
    heralds = Heralds(database)
    first, second = heralds.make("a"), heralds.make("b")
    second.database = beside
    first.keep()
    with fences.behind(database, LeaderFence(first.owner.name, 1)), database.begin() as tx:
        fires.record(tx, "search", NOON)
        assert take_at_once(beside, first.owner) == 1
        heralds.clock.now += LEASE
        with pytest.raises(StateError, match="lock timeout"):
            take_at_once(beside, second.owner)
    second.keep()
    assert second.epoch == 2
    database.close()
    beside.close()


@pytest.mark.external_service
def test_a_leader_whose_connections_are_cut_goes_on_in_its_epoch(postgres_url):
    database = Database(postgres_url)
    leading = Heralds(database).make("a")
    leading.keep()
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = "
    postgres_do(postgres_url, f"{cut}current_database()")
    leading.keep()
    assert leading.epoch == 1
    assert Heralds(database).write(leading)
    database.close()


@pytest.fixture
def leaders(postgres_url):
    """Start two Heralds that do nothing but lead and write; their table goes with them."""
    postgres_do(postgres_url, leader_process.MADE)
    command = [sys.executable, "-m", "tests.unit.leader_process", postgres_url]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(2)]
    yield started
    for each in started:
        each.kill()
        each.communicate()
    postgres_do(postgres_url, "DROP TABLE led")


@pytest.mark.external_service
def test_a_process_that_is_stopped_and_goes_on_writes_nothing_of_the_old_epoch(leaders, postgres_url):
    database = Database(postgres_url)

    def written() -> list[tuple[str, int, int]]:
        with database.begin() as tx:
            return [tuple(row) for row in tx.execute(text("SELECT holder, epoch, stood FROM led ORDER BY number"))]

    def wait_for(epoch: int) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and all(row[1] < epoch for row in written()):
            time.sleep(0.05)
        assert any(row[1] == epoch for row in written())

    def of(epoch: int) -> subprocess.Popen:
        holder = next(row[0] for row in written() if row[1] == epoch)
        return next(each for each in leaders if str(each.pid) == holder.split("/")[1])

    for epoch in (1, 2):
        wait_for(epoch)
        paused = of(epoch)
        paused.send_signal(signal.SIGSTOP)
        wait_for(epoch + 1)
        assert of(epoch + 1) is not paused
        paused.send_signal(signal.SIGCONT)
        time.sleep(0.4)
    rows = written()
    assert all(epoch == stood for _, epoch, stood in rows)
    epochs = [epoch for _, epoch, _ in rows]
    assert epochs == sorted(epochs)
    assert {holder for holder, epoch, _ in rows if epoch == 1}.isdisjoint(h for h, epoch, _ in rows if epoch == 2)
    with suppress(StateError):
        database.close()
