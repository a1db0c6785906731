"""Who asks while Herald is starting has an answer at once; who wants a page waits for it."""

from __future__ import annotations

import threading
from time import monotonic

import httpx
import pytest

from bot.config.web import WebSection
from bot.errors import ConfigError
from bot.web import doorway as doorways
from bot.web.app import make_app
from bot.web.doorway import Doorway
from bot.web.own_pages import OwnPages
from bot.web.server import serving


@pytest.fixture
def doorway():
    return Doorway()


@pytest.fixture
def client(doorway):
    with serving(doorway, "127.0.0.1:0") as at, httpx.Client(base_url=at, timeout=5) as asking:
        yield asking


def test_a_herald_that_starts_is_well_and_not_ready(client):
    assert (client.get("/healthz").status_code, client.get("/herald/healthz").text) == (200, "ok")
    for path in ("/readyz", "/metrics"):
        answer = client.get(path)
        assert (answer.status_code, answer.text) == (503, "Herald is starting")
        assert answer.headers["retry-after"] == "2"


def test_a_reader_has_the_page_as_soon_as_there_is_one(client, doorway, house):
    reader = house.reader()

    def come() -> None:
        doorway.app = make_app(reader)

    threading.Timer(0.3, come).start()
    assert "Search relevance" in client.get("/").text
    assert client.get("/readyz").text == "ok"
    reader.database.close()


def test_a_reader_does_not_wait_for_ever(client, monkeypatch):
    monkeypatch.setattr(doorways, "_LONGEST_WAIT", 0.2)
    began = monotonic()
    assert (client.get("/").status_code, monotonic() - began < 2) == (503, True)


def test_pages_are_those_of_the_configuration_that_was_read_last(client, doorway, house):
    reader = house.reader()
    pages = OwnPages(doorway, tuple, tuple, lambda: True, lambda: False, reader)
    pages.show(reader.config, house.file.parent)
    pages.prepare()
    assert client.get("/").status_code == 200
    assert "herald_leader 1.0" in client.get("/metrics").text
    section = reader.config.pipeline["search-relevance"].model_copy(update={"title": "Search as it is now"})
    closed = WebSection(access="token", token="let me in")
    config = reader.config.model_copy(update={"web": closed, "pipeline": {"search-relevance": section}})
    pages.show(config, house.file.parent)
    assert client.get("/").status_code == 401
    assert "Search as it is now" in client.get("/", headers={"Authorization": "Bearer let me in"}).text
    with pytest.raises(ConfigError, match="HERALD_WEB__TOKEN"):
        pages.show(config.model_copy(update={"web": WebSection(access="token")}), house.file.parent)
    assert client.get("/").status_code == 401
    pages.close()
