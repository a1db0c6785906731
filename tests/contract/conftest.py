from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.sandbox import RunningSandbox, serve
from tests.contract import benches
from tests.contract.benches import ChatBench, TrackerBench, WikiBench


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with serve(None) as running:
        yield running


@pytest.fixture(params=["memory", "cloud", "datacenter", "trello"])
def tracker_bench(request: pytest.FixtureRequest) -> TrackerBench:
    if request.param == "memory":
        return benches.memory_tracker()
    if request.param == "trello":
        return benches.trello_tracker(request.getfixturevalue("sandbox"))
    return benches.jira_tracker(request.getfixturevalue("sandbox"), request.param)


@pytest.fixture(params=["memory", "cloud", "datacenter"])
def wiki_bench(request: pytest.FixtureRequest) -> WikiBench:
    if request.param == "memory":
        return benches.memory_wiki()
    return benches.confluence_wiki(request.getfixturevalue("sandbox"), request.param)


@pytest.fixture(params=["memory", "slack"])
def chat_bench(request: pytest.FixtureRequest) -> ChatBench:
    if request.param == "memory":
        return benches.memory_chat()
    return benches.slack_chat(request.getfixturevalue("sandbox"))
