"""The walk over a history says what the bot says that lives through it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from bot.domain.backtest.figures import filings
from bot.domain.backtest.walk import Settings, walk
from bot.domain.incidents import IncidentState, SeriesKey
from bot.domain.runs import Run
from bot.store import runs
from tests.unit.cycle_bench import Bench
from tests.unit.replay.histories import START, history, settings

METRICS = ("ndcg", "recall")
HOUR = timedelta(hours=1)


def two_falls(i: int) -> float:
    return 0.4 - (0.02 if 25 <= i < 32 else 0.0) - (0.06 if i >= 50 else 0.0)


def decay(i: int) -> float:
    return 0.4 - 0.0008 * max(0, i - 15)


def stands_at_first_contact(i: int) -> float:
    return 0.4 - (0.05 if 14 <= i < 24 else 0.0)


def test_a_lasting_fall_is_one_ticket_from_its_second_run_to_its_recovery():
    passed = walk(history(80, level=lambda i: 0.4 - (0.03 if 40 <= i < 55 else 0)), settings(), START)
    (filing,) = filings(passed)
    assert filing.by is not None
    assert filing.by.run.name == "run 41"
    assert filing.closed == passed[56].run.ended
    assert filing.incident.onset == "r0040"
    assert filing.incident.bad_runs[-1] == "r0054"


def test_no_run_is_judged_by_what_came_after_it():
    whole = walk(history(60, METRICS, level=two_falls), settings(METRICS), START)
    for until in (20, 27, 33, 55):
        part = walk(history(60, METRICS, level=two_falls)[:until], settings(METRICS), START)
        assert [each.assessment for each in part] == [each.assessment for each in whole[:until]]


def test_runs_of_before_the_span_are_the_past_and_never_filed():
    begins = START + timedelta(hours=6) * 65
    passed = walk(history(80, level=two_falls), settings(), begins)
    assert [each.is_past for each in passed] == [True] * 65 + [False] * 15
    assert filings(passed) == []  # the fall at 50 has stood for fifteen runs: the level that the team lives with


@pytest.mark.parametrize(("level", "seed"), [(two_falls, 1), (decay, 2), (stands_at_first_contact, 1)])
def test_the_walk_files_what_the_bot_files(tmp_path, sqlite_url, level, seed):
    past, count = 18, 58
    own = history(count, METRICS, seed, level)
    metrics = {name: {"min_effect": "1 %"} for name in METRICS}
    bench = Bench(tmp_path, sqlite_url, {"metrics": metrics})
    began = bench.now
    moved = [(series, _later(run, began)) for series, run in own]
    for _, run in moved[:past]:
        bench.store.add("search", run)
    bench.now = moved[past - 1][1].ended + HOUR
    since = bench.now
    bench.run()
    for _, run in moved[past:]:
        bench.store.add("search", run)
        bench.now = run.ended
        bench.run()
    section = bench.herald.config.pipeline["search"]
    judged_by = Settings(section.policies, section.incident_policy, section.watch.recent)
    passed = walk([(SeriesKey("search"), run) for _, run in moved], judged_by, since)
    with bench.database.begin() as tx:
        lived = runs.recent(tx, SeriesKey("search"), count)
    assert [(e.run.run_id, e.judged.outcome, e.judged.findings) for e in passed] == [
        (judged.run.run_id, judged.outcome, judged.findings) for judged in lived
    ]
    bot = [
        (i.opened_by, i.metrics, i.bad_runs, i.state)
        for i in bench.incidents(IncidentState.OPEN, IncidentState.RESOLVED)
    ]
    assert [
        (f.incident.opened_by, f.incident.metrics, f.incident.bad_runs, f.incident.state) for f in filings(passed)
    ] == bot
    bench.database.close()


def _later(run: Run, began: datetime) -> Run:
    away = began - START
    return replace(run, started=run.started + away, ended=run.ended + away)


def test_several_series_are_judged_each_by_its_own_past_and_learn_from_one_another():
    first = history(40, seed=5)
    falling = history(40, seed=2, level=lambda i: 0.7 - 0.05 * (i >= 30))
    second = [(SeriesKey("p", "b"), replace(run, run_id=f"b{run.run_id}")) for _, run in falling]
    mixed = [(first + second)[i] for i in np.random.default_rng(0).permutation(80)]
    passed = walk(mixed, settings(), START)
    assert [f.incident.series for f in filings(passed)] == [SeriesKey("p", "b")]
    assert passed[-1].others[0].judged in {39, 40}
