"""What people deleted, archived or made anew under our hands: it is replaced once, and the effect goes on."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
import requests
from state_samples import INCIDENT, comment_view, message_view, owe
from test_refused_account import Office, box, outstanding, shared_sandbox  # noqa: F401  fixtures

from bot.deliver import Services
from bot.domain.effects import Effect, EffectKind, ObjectKey, ObjectKind
from bot.sandbox import Fault, FaultKind, RunningSandbox, Service
from tests.contract.benches import ChatBench, slack_chat

MINUTE = timedelta(minutes=1)
_counter = iter(range(1_000_000))


class Channel:
    """A message of an incident in the sandbox's channel, which people may delete."""

    def __init__(self, database: object, sandbox: RunningSandbox) -> None:
        self.bench: ChatBench = slack_chat(sandbox)
        self.office = Office(database, sandbox, Services({}, {}, {"slack": self.bench.chat}))
        self.mark = f"test-gone{next(_counter):04}"
        self.key = ObjectKey("slack", ObjectKind.MESSAGE, f"{self.bench.channel} {self.mark}")
        self._before = {each.message_id for each in self.bench.see()}

    def tell(self, cause: str) -> None:
        view = replace(message_view(), mark=self.mark)
        owe(
            self.office.database,
            (Effect(EffectKind.TELL_CHANNEL, self.key, cause, INCIDENT), view),
            now=self.office.clock(),
        )

    def answer(self, cause: str) -> None:
        effect = Effect(EffectKind.REPLY_IN_THREAD, self.key, cause, INCIDENT, needs=(self.key,))
        owe(self.office.database, (effect, comment_view(f"{self.mark}-{cause}")), now=self.office.clock())

    def drain(self) -> list[str]:
        self.office.clock.now += MINUTE
        return self.office.drain()

    @property
    def shown(self) -> list[str]:
        return [each.message_id for each in self.bench.see() if each.message_id not in self._before]

    def delete(self, ts: str) -> None:
        sandbox = self.office.sandbox
        answer = requests.post(
            f"{sandbox.slack_url.rstrip('/')}/chat.delete",
            headers={"Authorization": f"Bearer {sandbox.slack_token}"},
            data={"channel": sandbox.channel_id, "ts": ts},
            timeout=5,
        )
        assert answer.json()["ok"], answer.text


@pytest.fixture
def channel(sqlite_database, box: RunningSandbox) -> Iterator[Channel]:  # noqa: F811
    return Channel(sqlite_database, box)


def test_news_of_a_message_that_was_deleted_is_posted_afresh_and_edited_from_then_on(channel: Channel):
    channel.tell("opened")
    assert channel.drain() == []
    [first] = channel.shown
    channel.delete(first)
    channel.tell("recovered")
    assert channel.drain() == []
    [second] = channel.shown
    assert second != first
    channel.tell("again")
    assert channel.drain() == []
    assert channel.shown == [second]
    assert outstanding(channel.office.database) == []


@pytest.mark.parametrize("fault", [FaultKind.DROP_AFTER, FaultKind.DROP_BEFORE])
def test_a_message_posted_afresh_stands_once_though_its_end_was_in_doubt(channel: Channel, fault: FaultKind):
    channel.tell("opened")
    channel.drain()
    channel.delete(channel.shown[0])
    channel.tell("recovered")
    channel.office.sandbox.strike(Fault(fault, Service.SLACK, path="chat.postMessage"))
    assert channel.drain() != []
    channel.office.clock.now += 15 * MINUTE
    assert channel.drain() == []
    assert len(channel.shown) == 1
    channel.tell("again")
    assert channel.drain() == []
    assert len(channel.shown) == 1


@pytest.mark.parametrize("fault", [None, FaultKind.DROP_AFTER, FaultKind.DROP_BEFORE])
def test_what_would_be_said_below_a_deleted_message_is_said_in_the_channel_once(channel: Channel, fault):
    channel.tell("opened")
    channel.drain()
    channel.delete(channel.shown[0])
    channel.answer("worse")
    if fault is not None:  # the reply itself is refused by Slack, and what is posted instead ends in doubt
        channel.office.sandbox.strike(Fault(fault, Service.SLACK, path="chat.postMessage", skip=1))
        channel.drain()
        channel.office.clock.now += 15 * MINUTE
    assert channel.drain() == []
    assert len(channel.shown) == 1
    assert outstanding(channel.office.database) == []
