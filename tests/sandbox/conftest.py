"""A stand-in per test, and callers that speak HTTP to it and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import requests

from bot.sandbox import serve
from tests.sandbox import contracts


@dataclass(slots=True)
class Clock:
    """A time that only a test moves."""

    now: float = 1_795_000_000.25

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


CLIENT = httpx.Client(timeout=10, verify=False)  # one for all: making the TLS context costs more than a request


@dataclass(slots=True)
class Caller:
    """An HTTP client for one service, with its credentials."""

    base: str
    auth: tuple[str, str] | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def __call__(self, method: str, path: str, **given: Any) -> httpx.Response:
        given.setdefault("auth", self.auth)
        headers = {**self.headers, **given.pop("headers", {})}
        return CLIENT.request(method, self.base + path, headers=headers, **given)

    def get(self, path, **given):
        return self("GET", path, **given)

    def post(self, path, json=None, **given):
        return self("POST", path, json=json, **given)

    def put(self, path, json=None, **given):
        return self("PUT", path, json=json, **given)

    def delete(self, path, **given):
        return self("DELETE", path, **given)


EXCHANGES: list[httpx.Response | requests.Response] = []
CLIENT.event_hooks["response"] = [EXCHANGES.append]


@contextmanager
def recorded(session: requests.Session) -> Iterator[requests.Session]:
    """Hold what a client of another make exchanges against the descriptions too."""
    session.hooks["response"].append(lambda response, **_: EXCHANGES.append(response))
    with session:
        yield session


@pytest.fixture(autouse=True)
def answers_as_described(request):
    """Hold every exchange of a test against the services' descriptions, where they are at hand.

    Not those of a test marked ``undescribed``, which asks for answers that no description foresees.
    """
    EXCHANGES.clear()
    yield
    if contracts.folder() is None or request.node.get_closest_marker("undescribed"):
        return
    exchanges = [contracts.exchange_of(one) for one in EXCHANGES if hasattr(one, "_content")]
    complaints = [text for one in exchanges if one and (text := contracts.complaint(one))]
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def sandbox(clock):
    with serve(None, clock=clock) as running:
        yield running


@pytest.fixture
def jira(sandbox):
    return Caller(f"{sandbox.jira_cloud_url}/rest/api/2", (sandbox.email, sandbox.api_token))


@pytest.fixture
def jira_datacenter(sandbox):
    bearer = {"Authorization": f"Bearer {sandbox.bearer_token}"}
    return Caller(f"{sandbox.jira_datacenter_url}/rest/api/2", headers=bearer)


@pytest.fixture(params=["cloud", "datacenter"])
def either_jira(request, jira, jira_datacenter):
    return jira if request.param == "cloud" else jira_datacenter


@pytest.fixture
def wiki(sandbox):
    return Caller(f"{sandbox.confluence_cloud_url}/wiki", (sandbox.email, sandbox.api_token))


@pytest.fixture
def wiki_datacenter(sandbox):
    bearer = {"Authorization": f"Bearer {sandbox.bearer_token}"}
    return Caller(sandbox.confluence_datacenter_url, headers=bearer)


@pytest.fixture
def slack(sandbox):
    return Caller(sandbox.slack_url, headers={"Authorization": f"Bearer {sandbox.slack_token}"})


@pytest.fixture
def trello(sandbox):
    credentials = f'OAuth oauth_consumer_key="{sandbox.trello_key}", oauth_token="{sandbox.trello_token}"'
    return Caller(sandbox.trello_url, headers={"Authorization": credentials})


@pytest.fixture
def ticket():
    """Return what a ticket needs at least, with more on demand."""

    def fields(**more):
        return {"fields": {"project": {"key": "SR"}, "issuetype": {"name": "Bug"}, "summary": "nDCG fell", **more}}

    return fields
