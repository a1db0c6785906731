"""The dead man's switch hears of Herald while all is well, and of nothing else."""

from datetime import UTC, datetime, timedelta

import pytest

from bot.delivery.services import Services
from bot.errors import AccountError, PermanentError, RetryableError
from bot.services.healthchecks.config import DeadManSection
from bot.services.healthchecks.dead_man import HttpDeadMan
from bot.services.memory.tracker import MemoryTracker
from tests.unit.simulation import World, configured, make_server
from tests.unit.state_samples import open_ticket, owe

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
URL = "https://hc.example/4711"


class Listener:
    def __init__(self, error=None) -> None:
        self.heard = 0
        self.error = error

    def signal(self) -> None:
        self.heard += 1
        if self.error:
            raise self.error


@pytest.fixture
def world(tmp_path):
    return World(NOON, tmp_path)


def serving(world, database, listener, services=None):
    config = configured({"looks": {"schedule": {"every": "1m"}}}, dead_man={"url": URL, "every": "5m"})
    server = make_server(world, database, config, services=services)
    server.dead_man = listener
    return server


def test_it_is_signalled_at_most_as_often_as_config_says(world, sqlite_database):
    listener = Listener()
    server = serving(world, sqlite_database, listener)
    for _ in range(60):
        server.round()
        world.advance(timedelta(seconds=10))
    assert listener.heard == 2


def test_it_is_not_signalled_while_mlflow_cannot_be_read(world, sqlite_database):
    listener = Listener()
    server = serving(world, sqlite_database, listener)
    server.round()
    world.mlflow_is_away = True
    for _ in range(30):
        world.advance(timedelta(minutes=1))
        server.round()
    assert listener.heard == 1
    world.mlflow_is_away = False
    for _ in range(3):
        world.advance(timedelta(minutes=1))
        server.round()
    assert listener.heard == 2


def test_it_is_not_signalled_while_a_service_refuses_our_account(world, sqlite_database):
    listener, tracker = Listener(), MemoryTracker()
    server = serving(world, sqlite_database, listener, Services({"jira": tracker}, {}, {}))
    tracker.faults.fail_next("create", AccountError("who are you?"))
    owe(sqlite_database, open_ticket(), now=world.now)
    server.round()
    assert listener.heard == 0
    for _ in range(10):
        world.advance(timedelta(seconds=10))
        server.round()
    assert len(tracker.tickets) == 1
    assert listener.heard == 1


def test_one_that_cannot_be_reached_is_no_trouble_of_heralds_own(world, sqlite_database):
    server = serving(world, sqlite_database, Listener(RetryableError("away", doubtful=False)))
    server.round()
    assert server.is_healthy


def section(httpserver, path):
    return DeadManSection.model_validate({"url": httpserver.url_for(path), "timeout": "20s"})


def test_a_signal_is_a_request_of_its_address(httpserver):
    httpserver.expect_oneshot_request("/ping/secret", method="GET").respond_with_data("OK")
    HttpDeadMan(section(httpserver, "/ping/secret")).signal()
    httpserver.check_assertions()


@pytest.mark.parametrize(("status", "error"), [(404, PermanentError), (503, RetryableError)])
def test_a_refusal_does_not_name_the_address(httpserver, status, error):
    httpserver.expect_request("/ping/secret").respond_with_data("no", status=status)
    with pytest.raises(error, match=rf"^dead_man.url: answered {status}$"):
        HttpDeadMan(section(httpserver, "/ping/secret")).signal()


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/secret", "nonsense", "ftp://x/secret"])
def test_what_cannot_be_reached_is_said_without_the_address(address):
    with pytest.raises((PermanentError, RetryableError)) as caught:
        HttpDeadMan(DeadManSection.model_validate({"url": address})).signal()
    assert str(caught.value).startswith("dead_man.url: ")
    assert "secret" not in str(caught.value)
