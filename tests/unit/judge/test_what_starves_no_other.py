"""A metric that is gone, broken or bad holds the others neither to the baseline of long ago nor from being judged."""

from __future__ import annotations

import pytest

from bot.domain.baselines import BASELINE_RUNS, choose_baseline
from bot.domain.incidents import SeriesKey
from bot.domain.judge import Assessment, Outcome, SeriesState, assess
from bot.domain.judged_run import JudgedRun
from bot.domain.policy import MetricPolicy, Policies
from bot.domain.runs import Baseline, RunResult
from tests.unit.judge.judged_runs import NO_CARD, START, make_run

POLICIES = Policies((MetricPolicy("hr"), MetricPolicy("auc", upper=10.0)))
NAMES = ("hr", "auc")


def judge_as_the_bot_does(runs: list[RunResult]) -> list[Assessment]:
    state, earlier, said = SeriesState(), [], []
    for result in runs:
        chosen = choose_baseline(earlier, NAMES, [streak.onset for streak in state.streaks.values()])
        recent = tuple(RunResult(judged.run) for judged in chosen.runs)
        one = assess(state, result, Baseline(recent, None, chosen.partly, BASELINE_RUNS), POLICIES)
        state = one.state
        said.append(one)
        earlier.append(
            JudgedRun(result.run, SeriesKey("p"), NO_CARD, one.findings, one.outcome, one.accepted, False, START)
        )
    return said


def healthy(number: int) -> float:
    return 0.3 + 0.001 * (number % 3)


@pytest.mark.parametrize("auc", [None, float("nan"), 1e300, float("inf"), 11.0, 0.4])
def test_the_other_metric_is_held_against_its_newest_runs_whatever_became_of_one(auc):
    """As the level of the one that is well moves slowly, its baseline moves with it."""
    runs = []
    for number in range(50):
        metrics = {"hr": healthy(number) + 0.0005 * max(0, number - 12)}
        there = 0.9 + 0.001 * (number % 2) if number < 12 else auc
        runs.append(make_run(number, metrics if there is None else {**metrics, "auc": there}))
    said = judge_as_the_bot_does(runs)
    last = next(finding for finding in said[-1].findings if finding.metric == "hr")
    assert last.n_baseline >= BASELINE_RUNS - 1
    assert last.baseline > healthy(0) + 0.008
    assert {next(f for f in one.findings if f.metric == "hr").outcome for one in said[12:]} <= {
        Outcome.OK,
        Outcome.IMPROVED,
    }


def test_a_metric_that_fell_keeps_the_baseline_it_fell_from():
    runs = [make_run(n, {"hr": healthy(n), "auc": (0.9 if n < 12 else 0.6) + 0.001 * (n % 2)}) for n in range(60)]
    last = next(finding for finding in judge_as_the_bot_does(runs)[-1].findings if finding.metric == "auc")
    assert last.outcome is Outcome.REGRESSED
    assert last.baseline == pytest.approx(0.9, abs=0.01)
