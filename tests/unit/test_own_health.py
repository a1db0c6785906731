"""Herald's own health is told like anything else: a sentence each in the digest and from the doctor, else silence."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from bot.delivery.services import Services
from bot.errors import RetryableError
from bot.reports.digest import compose_digest, preview
from bot.reports.own_health import check_own_health, own_health
from bot.services.memory.tracker import MemoryTracker
from bot.store import leadership, outages, tables
from bot.store.owners import Owner
from tests.unit.simulation import World, configured, make_server
from tests.unit.state_samples import NOON, comment, open_ticket, owe

HOUR = timedelta(hours=1)
JIRA = {"jira": {"url": "https://jira.example", "token": "t", "project": "P"}}
DAILY = {"schedule": {"every": "1d"}, "job": {"command": ["true"]}}


class Refusing(MemoryTracker):
    """A tracker that breaks until it is mended."""

    is_broken = True

    def create(self, *args, **named):
        if self.is_broken:
            raise RetryableError("jira answers 503: Service Unavailable", doubtful=False, status=503)
        return super().create(*args, **named)


def told(herald, locale: str = "en") -> str:
    return preview(herald, compose_digest(herald, locale=locale))


def said_by_doctor(database, config, now) -> list[tuple[str, str]]:
    with database.begin() as tx:
        return [(each.name, each.said) for each in check_own_health(tx, config, now)]


@pytest.fixture
def world(tmp_path):
    return World(NOON, tmp_path)


def test_all_is_quiet_where_all_is_well(world, sqlite_database):
    config = configured({"search": DAILY})
    server = make_server(world, sqlite_database, config)
    for _ in range(5):
        server.round()
        world.advance(3 * HOUR)
    assert said_by_doctor(sqlite_database, config, world.now) == []
    assert "runs Herald" not in told(server.herald)


def test_pipelines_that_are_due_and_do_not_start_are_told_in_one_line(world, sqlite_database):
    config = configured({name: DAILY | {"title": name.title()} for name in ("first", "second")})
    server = make_server(world, sqlite_database, config)
    server.round()
    world.advance(timedelta(days=2))  # and nobody goes round
    health = said_by_doctor(sqlite_database, config, world.now)
    assert [name for name, _ in health] == ["schedule", "schedule"]
    assert "has been due since" in health[0][1]
    assert "First has been due since" in told(server.herald)
    assert "1 other waits too" in told(server.herald)
    assert "另有 1 条流水线也在等待" in told(server.herald, "zh")


def test_a_job_that_takes_long_is_no_lag(world, sqlite_database):
    world.job_takes = timedelta(days=3)
    config = configured({"search": DAILY})
    server = make_server(world, sqlite_database, config, pause=lambda _: server.orders.ask_to_stop())
    server.round()
    world.advance(timedelta(days=1))
    server.round()
    assert world.starts
    world.advance(timedelta(days=1, hours=2))
    assert said_by_doctor(sqlite_database, config, world.now) == []


def test_a_service_that_fails_for_an_hour_is_told_with_its_words_until_it_takes_something(world, sqlite_database):
    tracker = Refusing()
    config = configured({"search": {"tracker": "jira"}}, tracker=JIRA)
    server = make_server(world, sqlite_database, config, services=Services({"jira": tracker}, {}, {}))
    owe(sqlite_database, open_ticket(), comment("run6"), now=world.now)
    server.round()
    assert said_by_doctor(sqlite_database, config, world.now) == []
    for _ in range(5):
        world.advance(HOUR / 2)
        server.round()
    ((name, said),) = said_by_doctor(sqlite_database, config, world.now)
    assert name == "service"
    assert "jira has taken nothing since" in said
    assert "503: Service Unavailable" in said
    assert "2 updates wait for it" in told(server.herald)
    assert "没有接收 Herald 的任何更新" in told(server.herald, "zh")
    tracker.is_broken = False
    for _ in range(5):
        world.advance(HOUR / 2)
        server.round()
    assert len(tracker.tickets) == 1
    assert said_by_doctor(sqlite_database, config, world.now) == []


def test_what_is_parked_is_told_by_the_doctor_too(world, sqlite_database):
    config = configured({"search": {"tracker": "jira"}}, tracker=JIRA)
    owe(sqlite_database, open_ticket(), now=world.now)
    with sqlite_database.begin() as tx:
        tx.execute(update(tables.outbox).values(state="parked", parked_for="refused", parked_at=world.now))
        assert not outages.failing_services(tx)
    assert said_by_doctor(sqlite_database, config, world.now) == [("parked effects", "1 wait for a person")]


@pytest.mark.parametrize(("ahead", "is_told"), [(20, False), (40, True), (-3600, True)])
def test_a_clock_that_is_off_by_more_than_a_lease_is_told(world, sqlite_database, tmp_path, ahead, is_told):
    owner = Owner.begin(tmp_path / "heralds")
    with sqlite_database.begin() as tx:
        now = owner.clock(tx)
        leadership.take(tx, owner, now + timedelta(seconds=ahead))
        health = own_health(tx, configured({"search": {}}), now)
    assert (health.clock_off is not None) is is_told
    server = make_server(world, sqlite_database, configured({"search": {}}))
    assert ("The clock of the machine" in told(server.herald)) is is_told
    owner.resign()
