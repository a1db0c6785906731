"""A run of many metrics is wrong by chance no more often than one of one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from bot.cli.judge_answers import judge_csv
from bot.domain.judge import Outcome, Reason
from bot.domain.judge.compare import LEVELS
from bot.domain.judge.many_metrics import BOUND, effective_number, extra_evidence
from bot.domain.policy import MetricPolicy, MinEffect, Policies, Preset
from tests.unit.judge.judged_runs import judge_all, make_run


def moving_together(count: int, correlation: float, runs: int = 20, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    shared = np.sqrt(correlation) * random.standard_normal((1, runs))
    return shared + np.sqrt(1 - correlation) * random.standard_normal((count, runs))


def true_number(count: int, correlation: float) -> float:
    """How many times likelier it is that any of so many exceeds the bound than that one does."""

    def none_exceeds(shared: float) -> float:
        place = (BOUND - np.sqrt(correlation) * shared) / np.sqrt(1 - correlation)
        return stats.norm.pdf(shared) * (1 - stats.norm.cdf(place) ** count)

    return integrate.quad(none_exceeds, -8, 12, limit=300)[0] / stats.norm.sf(BOUND)


@pytest.mark.parametrize("count", [2, 5, 20, 50])
@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_metrics_that_move_together_count_as_few(count, correlation):
    seeds = range(4)
    found = [effective_number([dict(enumerate(m)) for m in moving_together(count, correlation, seed=s)]) for s in seeds]
    assert 0.8 < np.mean(found) / true_number(count, correlation) < 1.6  # in doubt, too many


def test_one_metric_is_one_and_few_runs_say_nothing_of_how_metrics_move_together():
    assert effective_number([{"a": 1.0}]) == 1.0
    assert effective_number([]) == 1.0
    assert effective_number([dict(enumerate(m)) for m in moving_together(5, 0.99, runs=4)]) == pytest.approx(
        5, rel=0.03
    )
    assert extra_evidence(1.0) == 0.0
    assert extra_evidence(20.0) > np.log(20.0), "false evidence dies out more slowly than by its nats"


def test_metrics_that_are_one_under_two_names_are_one():
    (values,) = moving_together(1, 0.0)
    assert effective_number([dict(enumerate(values)), dict(enumerate(2 * values + 1))]) == pytest.approx(1.0, abs=0.05)


def test_constant_metrics_and_a_run_that_failed_in_all_do_not_make_metrics_one():
    values = moving_together(2, 0.0)
    assert effective_number([dict(enumerate(values[0])), dict.fromkeys(range(20), 1.0)]) == pytest.approx(2, rel=0.05)
    values[:, 10] = -50.0
    values[:, 14:] += 9.0
    assert effective_number([dict(enumerate(m)) for m in values]) > 1.7


def test_levels_are_shared_out_among_metrics():
    quiet = LEVELS[Preset.QUIET]
    many = quiet.for_many(20.0)
    assert (many.runs, many.again, many.rows) == (quiet.runs / 20, quiet.again / 20, quiet.rows)


def test_one_metric_that_falls_among_twenty_is_told_and_named():
    random = np.random.default_rng(4)
    names = [f"score{i}" for i in range(20)]
    policies = Policies(tuple(MetricPolicy(name) for name in names))
    values = 0.5 + 0.005 * random.standard_normal((18, 20))
    values[15:, 7] -= 0.05
    said = judge_all(
        [make_run(i, dict(zip(names, map(float, row), strict=True))) for i, row in enumerate(values)], policies
    )
    assert not any(one.outcome is Outcome.REGRESSED for one in said[:15])
    assert [f.metric for f in said[-1].with_outcome(Outcome.REGRESSED)] == ["score7"]


def test_columns_of_one_file_are_metrics_of_one_run():
    values = moving_together(5, 0.99)
    lines = [",".join(map(str, range(5))), *(",".join(map(str, row)) for row in values.T)]
    runs = [make_run(i, {str(name): float(v) for name, v in enumerate(row)}) for i, row in enumerate(values.T)]
    metrics = tuple(MetricPolicy(str(name), min_effect=MinEffect(0.0)) for name in range(5))
    said = judge_all(runs, Policies(metrics))
    judged = judge_csv(lines, preset=Preset.QUIET)
    for place, series in enumerate(judged):
        assert [f.outcome for f in series.findings] == [one.findings[place].outcome for one in said]


def test_a_file_with_holes_has_its_columns_judged_too():
    holed = [[0.2, None, 0.3, float("inf")] * 5, [0.1, 0.2, None, 0.4] * 5]
    lines = ["a,b", *(",".join("" if v is None else str(v) for v in row) for row in zip(*holed, strict=True))]
    judged = judge_csv(lines, preset=Preset.QUIET)
    assert [f.reason for f in judged[0].findings[:4]] == [
        Reason.FIRST_RUNS,
        Reason.MISSING,
        Reason.FIRST_RUNS,
        Reason.ABSURD,
    ]
    assert judged[1].findings[-1].outcome is Outcome.OK


def test_a_metric_among_many_must_fall_further_to_be_told_and_says_so():
    values = 0.5 + 0.01 * np.random.default_rng(3).standard_normal((20, 15))
    names = [f"score{i}" for i in range(20)]
    runs = [make_run(i, dict(zip(names, map(float, row), strict=True))) for i, row in enumerate(values.T)]
    said = {
        many: judge_all(runs, Policies(tuple(MetricPolicy(name, min_effect=MinEffect(0.0)) for name in names[:many])))
        for many in (1, 20)
    }
    least = {many: one[-1].findings[0].detectable for many, one in said.items()}
    assert 1.1 < least[20] / least[1] < 2
