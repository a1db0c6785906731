"""Curves by step come from MLflow while it answers, and a page waits little for them."""

from __future__ import annotations

import time

import httpx

from bot.errors import RunStoreError
from bot.web.app import make_app
from bot.web.curves import StepCurves
from bot.web.server import serving

PATH = f"/runs/search-relevance/sear{7:028d}"


class Steps:
    """What an MLflow has of every run."""

    def __init__(self, answer) -> None:
        self.asked = 0
        self.answer = answer

    def by_step(self, _run_id, metrics):
        self.asked += 1
        return {name: self.answer() for name in metrics}


def away():
    raise RunStoreError("MLflow is away")


def hangs():
    time.sleep(30)
    return []


def pages_of(house, steps: Steps) -> list[str]:
    reader = house.reader()
    with serving(make_app(reader, curves=StepCurves(steps)), "127.0.0.1:0") as at:
        found = [httpx.get(at + PATH, timeout=20).text for _ in range(2)]
    reader.database.close()
    return found


def test_a_run_shows_what_it_logged_step_by_step_and_asks_once(house):
    steps = Steps(lambda: [(number, 1 / (number + 1)) for number in range(1000)])
    first, again = pages_of(house, steps)
    assert "Step by step" in first
    assert first.count('class="curve"') == again.count('class="curve"') == 3
    assert steps.asked == 1
    assert len(first) < 150_000


def test_a_page_is_whole_while_mlflow_is_away_and_does_not_ask_again_at_once(house):
    steps = Steps(away)
    for page in pages_of(house, steps):
        assert "Ranking quality" in page
        assert "Step by step" not in page
    assert steps.asked == 1


def test_a_page_waits_two_seconds_at_most_and_the_next_not_at_all(house):
    began = time.monotonic()
    first, _ = pages_of(house, Steps(hangs))
    assert "Ranking quality" in first
    assert time.monotonic() - began < 10
