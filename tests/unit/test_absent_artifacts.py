"""A run is said to lack what most of the runs before it brought, and only that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.domain.absent_artifacts import with_absent
from bot.domain.job_protocol import CARD_FILE, TABLE_FILE
from bot.domain.judge import Finding, Outcome, Reason
from bot.domain.judged_run import JudgedRun
from bot.domain.runs import DataCard, RunResult, Trouble, Unread
from tests.unit.state_samples import NOON, judged, run_at

WHOLE = DataCard({"rows_in": 9.0})
COMPARED = Finding("ndcg", Outcome.OK, Reason.WITHIN_SPREAD, n_examples=200)


def earlier(count: int, *, brought: int) -> list[JudgedRun]:
    runs = [judged(run_at(f"run{number}", NOON), findings=(COMPARED,)) for number in range(count)]
    return [
        replace(run, card=WHOLE) if number < brought else replace(run, findings=()) for number, run in enumerate(runs)
    ]


@pytest.mark.parametrize(("count", "brought", "lacks"), [(2, 2, False), (3, 3, True), (20, 10, False), (20, 11, True)])
def test_what_most_of_at_least_three_runs_brought_is_missed(count, brought, lacks):
    bare = RunResult(run_at("bare", NOON))
    absent = (Unread(CARD_FILE, Trouble.ABSENT, ""), Unread(TABLE_FILE, Trouble.ABSENT, ""))
    assert with_absent(bare, earlier(count, brought=brought)).unread == (absent if lacks else ())


def test_what_is_there_or_could_not_be_read_is_not_said_to_be_absent():
    there = RunResult(run_at("there", NOON), WHOLE, unread=(Unread(TABLE_FILE, Trouble.BROKEN, "cut off"),))
    assert with_absent(there, earlier(5, brought=5)) == there
    away = RunResult(run_at("away", NOON), unread=(Unread("artifacts", Trouble.NOT_HAD, "the server answers 404"),))
    assert with_absent(away, earlier(5, brought=5)) == away
