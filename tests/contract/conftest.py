from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.sandbox import RunningSandbox, serve
from tests.contract import answer_benches, benches
from tests.contract.answer_benches import AnswersBench, ThreadBench
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


@pytest.fixture(params=["memory", "cloud", "datacenter", "trello"])
def answers_bench(request: pytest.FixtureRequest) -> AnswersBench:
    if request.param == "memory":
        return answer_benches.memory_answers()
    if request.param == "trello":
        return answer_benches.trello_answers(request.getfixturevalue("sandbox"))
    return answer_benches.jira_answers(request.getfixturevalue("sandbox"), request.param)


@pytest.fixture(params=["memory", "slack"])
def thread_bench(request: pytest.FixtureRequest) -> ThreadBench:
    if request.param == "memory":
        return answer_benches.memory_thread()
    return answer_benches.slack_thread(request.getfixturevalue("sandbox"))
