"""A clock that jumps, ahead or back, for a round or for good: neither the schedule nor a channel waits for weeks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from bot.delivery.admission import Admission
from bot.domain.backoff import Backoff
from bot.domain.circuit_breaker import CircuitBreaker
from bot.domain.rate_limits import Allowance, Spacing
from bot.domain.runs import Run, RunStatus
from bot.errors import RetryableError
from bot.runtime.clock import SteadyClock
from bot.serve.background import Errand
from bot.store import contacts, future_effects, pipelines, runs
from bot.store.tables import outbox as rows
from tests.unit.delivery_bench import Bench
from tests.unit.simulation import World, configured, due_times_of, make_server
from tests.unit.state_samples import comment, open_ticket, tell

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
FAR = 40 * DAY
HOUR = timedelta(hours=1)


class Clocks:
    """The wall's clock, and the seconds that pass whatever it shows."""

    def __init__(self) -> None:
        self.wall, self.seconds = NOON, 100.0

    def pass_by(self, length: timedelta) -> None:
        self.wall += length
        self.seconds += length.total_seconds()


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def steady(clocks) -> SteadyClock:
    return SteadyClock(lambda: clocks.wall, lambda: clocks.seconds)


# ---- the clock itself


def test_it_shows_the_walls_time_while_that_goes_on_as_time_does(clocks, steady):
    for _ in range(100):
        assert steady() == clocks.wall
        clocks.pass_by(MINUTE)
        clocks.wall += SECOND  # they drift apart


@pytest.mark.parametrize("jump", [FAR, -FAR, timedelta(hours=1), timedelta(seconds=-3)])
def test_a_jump_for_a_moment_is_not_followed(clocks, steady, jump):
    steady()
    clocks.wall += jump
    for _ in range(60):
        clocks.pass_by(SECOND)
        assert steady() == clocks.wall - jump
    clocks.wall -= jump
    assert steady() == NOON + MINUTE


@pytest.mark.parametrize("jump", [FAR, -FAR, timedelta(seconds=-3)])
def test_a_clock_that_was_set_is_followed_after_some_minutes(clocks, steady, jump):
    steady()
    clocks.wall += jump
    for _ in range(6 * 60):
        clocks.pass_by(SECOND)
        steady()
    assert steady() == clocks.wall


def test_a_clock_that_jumps_to_and_fro_is_never_followed(clocks, steady):
    steady()
    for turn in range(1000):
        clocks.wall += FAR if turn % 2 else -FAR
        clocks.pass_by(SECOND)
        assert abs(steady() - (NOON + (turn + 1) * SECOND)) <= SECOND


# ---- what is kept in memory


def jumped(use) -> datetime:
    """Use something while the clock is far ahead; return the moment after it has gone back."""
    use(NOON + FAR)
    return NOON + SECOND


def test_a_service_that_failed_while_the_clock_was_ahead_is_asked_again():
    breaker = CircuitBreaker()
    for _ in range(3):
        breaker = breaker.fail(NOON + FAR, MINUTE, 3)
    assert not breaker.admits(NOON + FAR)
    assert breaker.admits(NOON + SECOND)
    assert breaker.admit(NOON + SECOND).probing
    refused = CircuitBreaker().refuse(NOON + FAR, Backoff(), 0.5)
    assert not refused.admits(NOON + FAR)
    assert refused.admits(NOON + SECOND)


def test_a_channel_that_was_posted_to_while_the_clock_was_ahead_is_free():
    spacing = Spacing(SECOND).used("C1", NOON + FAR)
    assert list(spacing.busy(NOON + FAR)) == ["C1"]
    assert spacing.busy(NOON + SECOND) == {}


def test_a_service_that_wants_rest_gets_an_hour_at_most_and_none_from_another_time():
    assert Allowance(0, FAR.total_seconds()).hold(1) == timedelta(hours=1)
    admission = Admission()
    admission.allowed("jira", Allowance(0, 60.0), NOON + FAR)
    assert admission.closed(NOON + FAR).services == {"jira"}
    assert admission.closed(NOON).services == set()
    assert admission.opens_at(NOON) is None


def test_threads_that_see_the_clock_a_little_apart_keep_their_distances():
    assert Spacing(MINUTE).used("C1", NOON + SECOND).busy(NOON)
    errand = Errand("delivery")
    errand.rest(NOON + SECOND, MINUTE)
    assert not errand.may_start(NOON)


def test_an_errand_that_rests_until_far_ahead_rests_no_more():
    errand = Errand("delivery")
    errand.fail("no", NOON + FAR)
    assert not errand.may_start(NOON + FAR)
    assert errand.may_start(NOON)


# ---- what is stored


@pytest.fixture
def world(tmp_path):
    return World(NOON, tmp_path)


def serve(server, world, rounds, step=MINUTE):
    for _ in range(rounds):
        server.round()
        world.advance(step)


def jump_for_a_round(server, world, jump=FAR):
    world.advance(jump)
    server.round()
    world.advance(-jump)


@pytest.mark.parametrize("jump", [FAR, -FAR])
@pytest.mark.parametrize("schedule", [{"every": "5m"}, {"cron": "*/5 * * * *"}])
def test_a_clock_that_is_wrong_for_one_round_stops_no_schedule(world, sqlite_database, jump, schedule):
    server = make_server(
        world, sqlite_database, configured({"a": {"schedule": schedule}, "b": {"schedule": {"at": "12:20"}}})
    )
    serve(server, world, 6)
    jump_for_a_round(server, world, jump)
    before = set(due_times_of(sqlite_database, "a"))
    serve(server, world, 20)
    since = {due for due in due_times_of(sqlite_database, "a") if due not in before}
    assert sorted(since) == [NOON + minutes * MINUTE for minutes in (10, 15, 20, 25)]
    assert NOON + 20 * MINUTE in due_times_of(sqlite_database, "b")


def test_a_clock_that_was_wrong_when_herald_began_stops_no_schedule(world, sqlite_database):
    config = configured({"a": {"schedule": {"every": "5m"}}, "b": {"schedule": {"after": "a"}}})
    world.advance(FAR)
    serve(make_server(world, sqlite_database, config), world, 12)
    world.advance(-FAR)
    serve(make_server(world, sqlite_database, config), world, 12)
    for name in ("a", "b"):
        assert [due for due in due_times_of(sqlite_database, name) if due < NOON + DAY], name


def test_each_due_time_comes_once_where_the_clock_goes_back_a_little(world, sqlite_database):
    config = configured({"a": {"schedule": {"every": "5m"}, "job": {"command": ["train"]}}})
    server = make_server(world, sqlite_database, config)
    for turn in range(30):
        server.round()
        world.advance(2 * MINUTE if turn % 3 else -3 * MINUTE)
    assert set(world.starts.values()) == {1}
    due = due_times_of(sqlite_database, "a")
    assert len(due) == len(set(due)) > 2


def test_runs_that_end_after_a_round_of_a_wrong_clock_are_judged(world, sqlite_database):
    server = make_server(world, sqlite_database, configured({"a": {"schedule": {"every": "1m"}}}))
    serve(server, world, 3)
    jump_for_a_round(server, world)
    serve(server, world, 3)
    ended = world.now
    world.logged.append(Run("new", "new", RunStatus.FINISHED, ended - MINUTE, ended, {"ndcg": 0.8}))
    world.advance(3 * DAY)
    serve(server, world, 3)
    with sqlite_database.begin() as tx:
        assert runs.is_seen(tx, "a", "new")


def test_a_digest_that_was_owed_by_a_wrong_clock_keeps_none_away(world, sqlite_database):
    digest = {"schedule": {"every": "1d"}, "chat": "hook", "channel": "C1"}
    hook = {"hook": {"kind": "webhook", "webhook_url": "https://chat.example/hook"}}
    server = make_server(world, sqlite_database, configured({"a": {}}, digest=digest, chat=hook))
    serve(server, world, 2)
    jump_for_a_round(server, world)
    world.advance(DAY)
    serve(server, world, 2)
    with sqlite_database.begin() as tx:
        owed = list(tx.scalars(select(rows.c.lane).where(rows.c.kind == "post_digest")))
    assert any("20261103" in lane for lane in owed), owed


def test_the_dead_mans_switch_hears_again_after_a_round_of_a_wrong_clock(world, sqlite_database):
    heard: list[datetime] = []

    class Listener:
        def signal(self) -> None:
            heard.append(world.now)

    section = {"url": "https://hc.example/4711", "every": "5m"}
    server = make_server(world, sqlite_database, configured({"a": {}}, dead_man=section))
    server.dead_man = Listener()
    serve(server, world, 2)
    jump_for_a_round(server, world)
    serve(server, world, 20)
    assert len([moment for moment in heard if moment < NOON + DAY]) >= 4


@pytest.fixture
def bench(sqlite_database) -> Bench:
    return Bench(sqlite_database)


def bring_back(bench) -> int:
    with bench.database.begin() as tx:
        return future_effects.bring_back(tx, bench.clock.now)


@pytest.mark.parametrize("far", [FAR, HOUR])
def test_what_was_owed_and_put_back_by_a_wrong_clock_is_delivered(bench, far):
    drainer = bench.dispatcher()
    bench.clock.now += far
    bench.tracker.faults.fail_next("create", RetryableError("503", doubtful=True))
    bench.owe(open_ticket(), comment("run6"), tell("opened"))
    drainer.drain()
    bench.clock.now -= far
    assert bring_back(bench)
    drainer.drain(timedelta(minutes=5))
    assert bench.owed == []
    assert len(bench.tracker.tickets) == 1
    assert bring_back(bench) == 0


def test_what_waits_for_its_time_by_right_is_left_waiting(bench):
    bench.tracker.faults.fail_next("create", RetryableError("429", doubtful=False, retry_after=600))
    bench.owe(open_ticket())
    bench.drain()
    assert bring_back(bench) == 0
    with bench.database.begin() as tx:
        assert tx.scalar(select(rows.c.not_before)) > bench.clock.now + 9 * MINUTE


def test_how_far_an_experiment_was_read_is_found_out_anew(sqlite_database):
    contact = contacts.Contact("a", "1", NOON - DAY, NOON + FAR, watermark=NOON + FAR, past_read=True)
    late = replace(contact, experiment_id="2", since=NOON + FAR)
    with sqlite_database.begin() as tx:
        contacts.save(tx, contact)
        contacts.save(tx, late)
        future_effects.bring_back(tx, NOON)
        found = contacts.of_pipeline(tx, "a")
    assert [(each.since, each.looked_at, each.watermark) for each in found] == [
        (NOON - DAY, NOON, None),
        (NOON, NOON, None),
    ]


def test_moments_a_little_ahead_are_another_machines_clock(sqlite_database):
    with sqlite_database.begin() as tx:
        pipelines.know(tx, "a", NOON + MINUTE)
        assert future_effects.bring_back(tx, NOON) == 0
