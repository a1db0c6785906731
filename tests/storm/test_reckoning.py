"""The count at the end of a storm: whatever stands twice, is missing, or was owed by nobody, is found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.world import AGAIN, ONCE, Score, Seen, SeenTicket
from tests.storm.reckoning import reckon
from tests.storm.tracking import Says, plan_runs

MARKER = "herald-chaos-0123456789ab-0-1"
RUN = "0123456789abcdef0123456789abcdef"
OTHER = "f" * 32
WIKI = "confluence-cloud"


def what_stands() -> Seen:
    seen: Any = object.__new__(Seen)
    seen.tickets = {MARKER: [SeenTicket("SR-1", ("a", "b"), 1, Counter(["chart.png"]), is_done=True)]}
    seen.pages = {(WIKI, "Run 1"): {"id": 1, "body": f"runs/{RUN}"}}
    seen.page_counts = Counter({(WIKI, "Run 1"): 1})
    seen.page_files = Counter({(WIKI, "chart.png"): 1})
    seen.labels = Counter({1: 2})
    message = {"ts": "1.0", "text": "It fell: SR-1. It lasted 3 s.", "blocks": [], "attachments": []}
    seen.by_mark = {"mark": [message]}
    seen.replies = Counter({("1.0", "b"): 1})
    seen.shown = Counter({("1.0", "chart.png"): 1})
    seen.hooked = {ONCE: [f"fell {RUN}"], AGAIN: [f"fell {RUN}"]}
    return seen


def reckoned(change: Callable[[Any], object]) -> Score:
    found, score = what_stands(), Score()
    change(found)
    reckon(what_stands(), found, score)
    return score


def ticket_with(**changes: Any) -> Callable[[Any], None]:
    def change(seen: Any) -> None:
        seen.tickets[MARKER] = [replace(seen.tickets[MARKER][0], **changes)]

    return change


def once_more(things: str, key: Any) -> Callable[[Any], None]:
    return lambda seen: getattr(seen, things).update([key])


def none_of(things: str, key: Any) -> Callable[[Any], object]:
    return lambda seen: getattr(seen, things).pop(key)


def test_what_stands_as_it_should_is_neither_twice_nor_lost():
    def say_otherwise(seen: Any) -> None:
        seen.by_mark["mark"][0] |= {"text": "It fell: SR-77. It lasted 2 min 3 s.", "ts": "1.0"}

    score = reckoned(say_otherwise)
    assert (score.duplicates, score.losses, score.unheard, score.repeated) == ([], [], 0, 0)


@pytest.mark.parametrize(
    "change",
    [
        lambda seen: seen.tickets[MARKER].append(deepcopy(seen.tickets[MARKER][0])),
        lambda seen: seen.tickets.update({"herald-chaos-another-0-1": seen.tickets[MARKER]}),
        ticket_with(marks=("a", "b", "b")),
        ticket_with(marks=("a", "b", "c")),
        ticket_with(links=2),
        ticket_with(files=Counter(["chart.png", "chart.png"])),
        once_more("page_counts", (WIKI, "Run 1")),
        once_more("page_counts", (WIKI, "Run 2")),
        once_more("page_files", (WIKI, "chart.png")),
        lambda seen: seen.by_mark["mark"].append(seen.by_mark["mark"][0]),
        lambda seen: seen.by_mark.update({"another": seen.by_mark["mark"]}),
        once_more("replies", ("1.0", "b")),
        once_more("shown", ("1.0", "chart.png")),
        lambda seen: seen.hooked[ONCE].append(f"fell {RUN}"),
        lambda seen: seen.hooked[AGAIN].append(f"fell {OTHER}"),
    ],
)
def test_whatever_stands_twice_or_was_owed_by_nobody_is_a_duplicate(change):
    score = reckoned(change)
    assert len(score.duplicates) == 1
    assert score.losses == []


@pytest.mark.parametrize(
    "change",
    [
        none_of("tickets", MARKER),
        ticket_with(marks=("a",)),
        ticket_with(marks=("b", "a")),
        ticket_with(links=0),
        ticket_with(files=Counter()),
        ticket_with(is_done=False),
        none_of("page_counts", (WIKI, "Run 1")),
        none_of("page_files", (WIKI, "chart.png")),
        none_of("labels", 1),
        lambda seen: seen.pages[WIKI, "Run 1"].update(body=f"runs/{OTHER}"),
        none_of("by_mark", "mark"),
        lambda seen: seen.by_mark["mark"][0].update(text="It has recovered: SR-1."),
        lambda seen: seen.by_mark["mark"][0].update(text="It fell: ticket pending."),
        none_of("replies", ("1.0", "b")),
        none_of("shown", ("1.0", "chart.png")),
        none_of("hooked", AGAIN),
    ],
)
def test_whatever_is_missing_or_out_of_order_is_a_loss(change):
    score = reckoned(change)
    assert len(score.losses) == 1
    assert score.duplicates == []


def test_a_webhook_may_miss_a_message_or_hear_it_again_as_it_is_set():
    assert reckoned(none_of("hooked", ONCE)).unheard == 1
    assert reckoned(lambda seen: seen.hooked[AGAIN].append(f"fell {RUN}")).repeated == 1


def test_the_plan_of_runs_is_drawn_anew_for_each_seed_and_pipeline_and_is_the_same_each_time():
    planned = plan_runs(1, "watch0", 40)
    assert planned == plan_runs(1, "watch0", 40)
    assert planned.runs != plan_runs(2, "watch0", 40).runs
    assert planned.runs != plan_runs(1, "watch1", 40).runs
    assert planned.filed > 2
    assert {Says.FALLEN, Says.GOOD} < set(planned.runs)
