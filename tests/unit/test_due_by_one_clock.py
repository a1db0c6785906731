"""What is due is decided by one clock; what a wrong one has recorded ahead is due in its time, and hides nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import update

from bot.domain.fires import FireState
from bot.reports.own_health import waiting_since
from bot.serve.loop import Server
from bot.store import Database, fires, pipelines, tables
from tests.unit.simulation import World, configured, due_times_of, make_server
from tests.unit.state_samples import MINUTE, NOON

HOUR = timedelta(hours=1)
HOURLY = {"often": {"schedule": {"every": "1h"}, "job": {"command": ["train"]}}}


@pytest.fixture
def world(tmp_path):
    return World(NOON, tmp_path)


def record_ahead(database: Database, due: datetime) -> None:
    """Leave what a Herald leaves whose clock is hours ahead: the latest due time that it takes to have passed."""
    with database.begin() as tx:
        fires.record(tx, "often", due)
        known = pipelines.find(tx, "often")
        assert known is not None
        pipelines.plan(tx, known, due + HOUR)


def run_until(server: Server, world: World, moment: datetime) -> None:
    while world.now < moment:
        server.round()
        world.advance(10 * MINUTE)


def test_a_fire_recorded_ahead_waits_for_its_time_and_what_is_overdue_starts(world, sqlite_database):
    server = make_server(world, sqlite_database, configured(HOURLY))
    server.round()
    world.advance(HOUR + 6 * MINUTE)  # one is due
    record_ahead(sqlite_database, NOON + 5 * HOUR)
    run_until(server, world, NOON + 3 * HOUR)
    due = due_times_of(sqlite_database, "often")
    assert due[:2] == [NOON + HOUR, NOON + 2 * HOUR]
    with sqlite_database.begin() as tx:
        (ahead,) = fires.unfinished(tx, "often")
    assert (ahead.due_at, ahead.started_at) == (NOON + 5 * HOUR, None)
    run_until(server, world, NOON + 8 * HOUR)
    assert due_times_of(sqlite_database, "often")[:7] == [NOON + number * HOUR for number in range(1, 8)]
    assert set(world.starts.values()) == {1}


def test_a_pipeline_that_only_looks_ends_no_fire_before_its_time(world, sqlite_database):
    looks = configured({"often": {"schedule": {"every": "1h"}}})
    server = make_server(world, sqlite_database, looks)
    server.round()
    world.advance(HOUR + 6 * MINUTE)
    record_ahead(sqlite_database, NOON + 5 * HOUR)
    run_until(server, world, NOON + 2 * HOUR)
    with sqlite_database.begin() as tx:
        found = {fire.due_at: fire.state for fire in fires.of_pipeline(tx, "often")}
    assert found == {NOON + HOUR: FireState.ENDED, NOON + 5 * HOUR: FireState.DUE}


def test_a_fire_recorded_ahead_hides_no_lag(world, sqlite_database):
    config = configured(HOURLY)
    make_server(world, sqlite_database, config).round()
    with sqlite_database.begin() as tx:
        fires.record(tx, "often", NOON + 5 * HOUR)
        assert waiting_since(tx, config, NOON + 3 * HOUR) == {"often": NOON + HOUR}
        tx.execute(update(tables.fires).values(started_at=NOON))
        assert waiting_since(tx, config, NOON + 3 * HOUR) == {}


@pytest.mark.external_service
def test_of_heralds_that_share_a_server_none_is_led_astray_by_its_own_clock(world, postgres_url):
    """The process is five hours ahead of the database, and then as much behind."""
    database = Database(postgres_url)
    server = make_server(world, database, configured(HOURLY))
    own = server.herald.around

    def be_off(by: timedelta) -> None:
        server.herald = replace(server.herald, around=replace(own, clock=lambda: world.now + by))

    be_off(5 * HOUR)
    run_until(server, world, NOON + 2 * HOUR + 10 * MINUTE)
    assert due_times_of(database, "often") == [NOON + HOUR, NOON + 2 * HOUR]
    be_off(-5 * HOUR)
    run_until(server, world, NOON + 4 * HOUR + 10 * MINUTE)
    assert due_times_of(database, "often") == [NOON + number * HOUR for number in range(1, 5)]
    assert set(world.starts.values()) == {1}
    database.close()
