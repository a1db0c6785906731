"""What is owed to a channel is delivered once, or waits, or is parked in the service's words: nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import requests

from bot.domain.effects import TellChannel
from bot.domain.objects import ObjectKey, ObjectKind
from bot.sandbox import Fault, FaultKind, RunningSandbox, Service, serve
from tests.contract.robot_benches import mail_chat, robot_bench
from tests.unit.delivery_bench import CHART, Bench
from tests.unit.state_samples import INCIDENT, message_view

TO = "ranking@example.com"


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSandbox]:
    with serve(None) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: RunningSandbox) -> RunningSandbox:
    running.calm()
    return running


@pytest.fixture
def bench_of(sqlite_database: Any) -> Callable[[Any], Bench]:
    return lambda chat: Bench(sqlite_database, chat=chat)


def tell(bench: Bench, channel: str, cause: str, mark: str, **more: Any) -> None:
    message = ObjectKey("slack", ObjectKind.MESSAGE, f"{channel} {mark}")
    bench.owe((TellChannel(message, cause, INCIDENT), replace(message_view(), mark=mark, **more)))


def test_a_letter_to_a_refused_address_is_parked_in_the_servers_words_and_sent_once_it_is_taken(sandbox, bench_of):
    sandbox.change(Service.MAIL, unknown=[TO])
    bench = bench_of(mail_chat(sandbox))
    tell(bench, TO, "a", "house-1", chart=CHART)
    bench.drain()
    ((kind, words),) = bench.parked
    assert kind == "tell_channel"
    assert "(550): 5.1.1 <ranking@example.com>: Recipient address rejected: User unknown" in words
    sandbox.change(Service.MAIL, unknown=[])
    bench.retry(1)
    assert bench.drain().delivered == 1
    assert CHART.filename in requests.get(f"{sandbox.url}/mail/", timeout=5).text


@pytest.mark.parametrize("name", ["teams", "feishu_webhook", "dingtalk_webhook", "wecom"])
def test_what_is_owed_to_a_dead_webhook_waits_until_it_lives(sandbox, bench_of, name):
    robot = robot_bench(sandbox, name)
    before = robot.count
    sandbox.change(robot.service, revoked=True)
    bench = bench_of(robot.make())
    tell(bench, "any", "a", f"house-{name}")
    bench.drain()
    assert (bench.parked, len(bench.owed), robot.count) == ([], 1, before)
    sandbox.change(robot.service, revoked=False)
    bench.clock.now += timedelta(minutes=20)
    bench.drain()
    assert (bench.owed, robot.count) == ([], before + 1)


@pytest.mark.parametrize("name", ["feishu", "dingtalk"])
def test_a_card_whose_answer_is_lost_stands_once_and_is_edited_by_the_next_turn(sandbox, bench_of, name):
    robot = robot_bench(sandbox, name)
    before = robot.count
    sandbox.strike(Fault(FaultKind.DROP_AFTER, service=robot.service, path=robot.posting))
    bench = bench_of(robot.make())
    tell(bench, robot.channel, f"lost {name}", f"house-{name}")
    bench.drain()
    bench.clock.now += timedelta(minutes=1)
    bench.drain()
    assert (bench.owed, robot.count) == ([], before + 1)
    assert "(edited)" in robot.page.split("<article")[-1], "the first may have had the words of before"
    tell(bench, robot.channel, f"next {name}", f"house-{name}", duration="2 d")
    bench.drain()
    assert (bench.owed, robot.count) == ([], before + 1)


def test_a_card_of_feishu_is_left_to_a_person_once_its_key_is_forgotten(sandbox, bench_of):
    robot = robot_bench(sandbox, "feishu")
    sandbox.strike(Fault(FaultKind.DROP_BEFORE, service=robot.service, path=robot.posting))
    bench = bench_of(robot.make())
    tell(bench, robot.channel, "forgotten", "house-forgotten")
    bench.drain()
    bench.clock.now += timedelta(minutes=56)
    bench.drain()
    ((_, words),) = bench.parked
    assert "may or may not have been posted, and it cannot be asked" in words


def test_a_robot_that_is_told_to_wait_gets_all_of_it_in_the_end(sandbox, bench_of):
    robot = robot_bench(sandbox, "wecom")
    before = robot.count
    sandbox.change(Service.WECOM, per_minute=robot.count + 1)
    bench = bench_of(robot.make())
    tell(bench, "any", "a", "house-one")
    tell(bench, "any", "b", "house-two")
    bench.drain()
    assert (bench.parked, len(bench.owed), robot.count) == ([], 1, before + 1)
    sandbox.change(Service.WECOM, per_minute=0)
    bench.clock.now += timedelta(minutes=2)
    bench.drain()
    assert (bench.owed, robot.count) == ([], before + 2)
