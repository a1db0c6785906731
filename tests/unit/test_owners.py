"""Who holds leases: believed by a lock that ends with its process, and else by one clock that all share."""

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from bot.app import Surroundings, make_herald
from bot.config.models import Config
from bot.delivery.services import Services
from bot.runtime.clock import wall_clock
from bot.store import Database, claims, leases
from bot.store.owners import Life, Owner, database_time
from bot.store.tables import leases as lease_table
from tests.unit.state_samples import MINUTE, NOON, comment, open_ticket, owe, tell

ROOT = Path(__file__).parents[2]
HOUR = timedelta(hours=1)
STEPS = [timedelta(seconds=3), HOUR, timedelta(days=40)]


@pytest.fixture
def other(tmp_path):
    """Start a process that takes a name and its lock; return it and the name."""
    code = (
        "import sys; from pathlib import Path; from bot.store.owners import Owner\n"
        "owner = Owner.begin(Path(sys.argv[1])); print(owner.name, flush=True); input()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "locks")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    yield process, process.stdout.readline().strip()
    process.kill()
    process.communicate()


@pytest.fixture
def mine(tmp_path) -> Owner:
    return Owner.begin(tmp_path / "locks")


def test_a_herald_lives_until_its_process_ends_though_nobody_has_buried_it(other, mine):
    process, name = other
    assert mine.life_of(name) is Life.LIVES
    process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert mine.life_of(name) is Life.GONE


def test_neither_host_name_nor_process_number_make_a_herald(other, mine):
    host, pid, token = other[1].split("/")
    assert mine.life_of(f"{host}/{pid}/{token[::-1]}") is Life.UNKNOWN
    assert mine.life_of(f"elsewhere/1/{token}") is Life.LIVES, "as another container calls itself and counts"


def test_a_herald_that_stands_still_lives(other, mine):
    process, name = other
    process.send_signal(signal.SIGSTOP)
    assert mine.life_of(name) is Life.LIVES
    process.send_signal(signal.SIGCONT)


def test_two_heralds_in_one_process_are_two(mine, tmp_path):
    second = Owner.begin(tmp_path / "locks")
    assert second.name != mine.name
    assert mine.life_of(second.name) is second.life_of(mine.name) is Life.LIVES
    second.resign()
    assert mine.life_of(second.name) is Life.GONE


def test_looking_at_a_lock_lets_others_look_and_take_it(mine, tmp_path):
    second = Owner.begin(tmp_path / "locks")
    assert [mine.life_of(second.name) for _ in range(3)] == [Life.LIVES] * 3
    assert second.life_of(mine.name) is Life.LIVES


def test_where_no_lock_can_be_kept_a_herald_works_all_the_same(tmp_path):
    (tmp_path / "locks").write_text("a file")
    owner = Owner.begin(tmp_path / "locks")
    assert Owner.begin(tmp_path / "others").life_of(owner.name) is Life.UNKNOWN


def test_whoever_is_not_known_is_believed_until_the_lease_ends_but_not_for_ever(mine):
    stranger = "another-machine/1/1/abcdef"
    assert not mine.may_take_over(stranger, NOON + MINUTE, NOON)
    assert mine.may_take_over(stranger, NOON, NOON)
    assert mine.may_take_over(stranger, NOON + timedelta(days=40), NOON), "no lease is so long: a clock was wrong"


@pytest.mark.parametrize("step", [*STEPS, *(-step for step in STEPS)], ids=str)
def test_no_step_of_a_clock_takes_a_lease_from_a_living_herald_nor_leaves_it_with_a_dead_one(
    database, other, mine, step
):
    process, name = other
    owe(database, open_ticket(), comment("a"))

    def ask() -> tuple[bool, bool]:
        with database.begin() as tx:
            claims.free_dropped(tx, mine.name, NOON + step, NOON, may_take_over=mine.may_take_over)
            claimed = claims.claim_next(tx, mine.name, NOON, NOON) is not None
            return claimed, leases.take(tx, "pipeline:search", mine.name, NOON + step, MINUTE, mine.may_take_over)

    with database.begin() as tx:
        claims.claim_next(tx, name, NOON, NOON + MINUTE)
        leases.take(tx, "pipeline:search", name, NOON, MINUTE)
    assert ask() == (False, False)
    process.kill()
    process.wait()
    assert ask() == (True, True)


@pytest.mark.external_service
def test_machines_that_share_postgres_go_by_its_clock_alone(postgres_url, tmp_path):
    database, ended = Database(postgres_url), []
    for number, ahead in enumerate((timedelta(0), HOUR, -HOUR)):
        around = Surroundings(clock=lambda ahead=ahead: wall_clock() + ahead)
        herald = make_herald(
            Config(), tmp_path / f"machine{number}", around=around, services=Services({}, {}, {}), database=database
        )
        owner = herald.dispatcher.owner
        with database.begin() as tx:
            taken = leases.take(tx, "x", owner.name, owner.clock(tx), MINUTE, owner.may_take_over)
            ended.append((taken, abs(tx.scalar(select(lease_table.c.until)) - database_time(tx)) < MINUTE))
        owner.resign()
    assert ended == [(True, True), (False, True), (False, True)]
    database.close()


def test_a_start_frees_what_the_dead_held_at_once_and_clears_up_after_them(database, tmp_path):
    locks = tmp_path / "locks"
    dead, living, starting = (Owner.begin(locks) for _ in range(3))
    owe(database, open_ticket(), tell("a"))
    with database.begin() as tx:
        sent = claims.claim_next(tx, dead.name, NOON, NOON + MINUTE)
        claims.mark_sent(tx, sent, dead.name, NOON)
        claims.claim_next(tx, living.name, NOON, NOON + MINUTE)
        leases.take(tx, "pipeline:search", dead.name, NOON, MINUTE)
        leases.take(tx, "pipeline:shop", living.name, NOON, MINUTE)
    dead.resign()
    with database.begin() as tx:
        (left,) = starting.bury_the_dead(tx, NOON)
        assert leases.held_by_others(tx, "pipeline:", starting.name, NOON, starting.may_take_over) == {"shop"}
        again = claims.claim_next(tx, starting.name, NOON, NOON + MINUTE)
        assert claims.claim_next(tx, starting.name, NOON, NOON + MINUTE) is None
    assert (again.seq, again.is_doubtful) == (sent.seq, True)
    assert left.name == dead.name.split("/")[-1]


@pytest.mark.parametrize("is_starting", [True, False], ids=["at a start", "between deliveries"])
def test_what_the_dead_had_marked_as_sent_waits_from_when_their_end_was_noticed(database, tmp_path, is_starting):
    locks = tmp_path / "locks"
    dead, heir = Owner.begin(locks), Owner.begin(locks)
    owe(database, open_ticket(), tell("a"))
    noticed = NOON + HOUR  # the mark is as old as that: a service may have kept the dead waiting before the request
    with database.begin() as tx:
        claims.mark_sent(tx, claims.claim_next(tx, dead.name, NOON, NOON + MINUTE), dead.name, NOON)
        claims.claim_next(tx, dead.name, NOON, NOON + MINUTE)
    dead.resign()
    with database.begin() as tx:
        if is_starting:
            heir.bury_the_dead(tx, noticed + MINUTE)
        else:
            claims.free_dropped(tx, heir.name, noticed, noticed + MINUTE, may_take_over=heir.may_take_over)
        unsent = claims.claim_next(tx, heir.name, noticed, noticed + HOUR)
        assert claims.claim_next(tx, heir.name, noticed, noticed + HOUR) is None
        sent = claims.claim_next(tx, heir.name, noticed + MINUTE, noticed + HOUR)
    assert (unsent.effect.kind, unsent.is_doubtful) == ("tell_channel", False)
    assert (sent.effect.kind, sent.is_doubtful) == ("open_ticket", True)


def test_heralds_leave_no_more_than_one_file_behind(sqlite_url, tmp_path):
    for _ in range(3):
        config = Config.model_validate({"store": {"url": sqlite_url}})
        make_herald(config, tmp_path, services=Services({}, {}, {})).close()
    assert len(list((tmp_path / "state.db-heralds").iterdir())) == 1
    assert (tmp_path / "state.db-heralds").stat().st_mode & 0o777 == 0o700


def test_what_could_not_be_given_back_is_given_back_later(database, mine):
    with database.begin() as tx:
        for name in ("search", "shop"):
            leases.take(tx, f"pipeline:{name}", mine.name, NOON, MINUTE)
        leases.take(tx, "pipeline:other", "other", NOON, MINUTE)
        leases.give_back_all_but(tx, "pipeline:", mine.name, ["shop"])
        assert leases.held_by_others(tx, "pipeline:", "third", NOON) == {"shop", "other"}
