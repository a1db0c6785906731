"""A webhook answers nothing but a message: the doctor looks at whether anything listens, and says what it did not try."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import timedelta

import pytest

from bot.domain.checks import Check
from bot.services.reachability import look_for_webhook

SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def bound() -> Iterator[socket.socket]:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        yield place


def look(place: socket.socket) -> Check:
    return look_for_webhook(f"https://127.0.0.1:{place.getsockname()[1]}/hook/s3cret", "#search", SECOND)


def test_a_webhook_whose_host_listens_is_well_and_posting_is_said_to_be_untried(bound):
    bound.listen()
    found = look(bound)
    assert found.ok
    assert "posting was not tried: herald chat test" in found.said


def test_a_webhook_whose_host_refuses_is_not_well(bound):
    found = look(bound)
    assert not found.ok
    assert "cannot be reached: Connection refused" in found.said
    assert "HTTPS_PROXY" in found.remedy
    assert "s3cret" not in found.said


def test_a_webhook_behind_a_proxy_is_not_looked_for_on_a_way_that_is_not_taken(bound, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "")
    found = look(bound)
    assert (found.ok, "by way of a proxy" in found.said) == (True, True)
