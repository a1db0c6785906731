"""What few runs tell: a spread that is known by no share of the level, a second run that must stand on its own."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from bot.domain.judge import Outcome, SeriesState, assess
from bot.domain.judge.kin import Kin, expect, gather, pool
from bot.domain.policy import Direction, MetricPolicy, Policies
from bot.domain.runs import Baseline
from tests.unit.judge.judged_runs import judge_all, make_run, make_runs

PROJECTS = 150
NOISE = {
    "a tenth of the level": lambda random, n: 0.2 * (1 + 0.1 * random.standard_normal(n)),
    "around nothing": lambda random, n: random.standard_normal(n),
    "log-normal": lambda random, n: np.exp(0.5 * random.standard_normal(n)),
    "binomial": lambda random, n: random.binomial(100, 0.995, n) / 100,
}


def first_ticket(values, policy: MetricPolicy) -> bool:
    said = judge_all([make_run(i, {policy.name: float(v)}) for i, v in enumerate(values)], Policies((policy,)))
    return any(one.outcome is Outcome.REGRESSED for one in said)


@pytest.mark.parametrize("noise", NOISE)
def test_hardly_a_project_has_a_false_ticket_in_its_first_runs(noise):
    random = np.random.default_rng(5)
    told = sum(first_ticket(NOISE[noise](random, 12), MetricPolicy("score")) for _ in range(PROJECTS))
    assert told <= 0.03 * PROJECTS


@pytest.mark.parametrize("seed", range(5))
def test_ten_times_the_errors_are_told_at_the_second_run(seed):
    random = np.random.default_rng(seed)
    values = [*(0.998 + 0.0003 * random.standard_normal(15)), *(0.980 + 0.0003 * random.standard_normal(2))]
    said = judge_all([make_run(i, {"auc": v}) for i, v in enumerate(values)], Policies((MetricPolicy("auc"),)))
    assert [one.outcome for one in said[-2:]] == [Outcome.SUSPICIOUS, Outcome.REGRESSED]


def outcomes(*values: float, more=()) -> list[Outcome]:
    runs = [make_run(i, {"score": v, **dict.fromkeys(more, v + i / 1000)}) for i, v in enumerate(values)]
    policies = Policies(tuple(MetricPolicy(name) for name in ("score", *more)))
    return [one.outcome for one in judge_all(runs, policies)]


HEALTHY = (0.800, 0.803, 0.798, 0.801, 0.796, 0.802, 0.799, 0.804)


@pytest.mark.parametrize(
    "healthy", [HEALTHY[:4], HEALTHY, (*HEALTHY, 0.797), (*HEALTHY, *(v + 0.0003 for v in HEALTHY))]
)
def test_a_bad_result_that_was_logged_twice_is_one_bad_run(healthy):
    said = outcomes(*healthy, 0.77, 0.77, 0.801)
    assert said[-3:] == [Outcome.SUSPICIOUS, Outcome.SUSPICIOUS, Outcome.OK]


def test_a_third_run_like_the_two_before_is_news_and_so_is_one_that_shares_but_one_value():
    assert outcomes(*HEALTHY, 0.75, 0.75, 0.75)[-1] is Outcome.REGRESSED
    assert outcomes(*HEALTHY, 0.75, 0.75, more=("mrr",))[-1] is Outcome.REGRESSED


def test_another_seed_that_comes_to_the_very_same_value_is_no_copy():
    runs = make_runs(*HEALTHY, 0.5, 0.5)
    seeded = [replace(each, run=replace(each.run, params={"seed": str(seed)})) for seed, each in enumerate(runs)]
    assert judge_all(seeded)[-1].outcome is Outcome.REGRESSED
    again = replace(seeded[-1], run=replace(seeded[-1].run, params=seeded[-2].run.params))
    assert judge_all([*seeded[:-1], again])[-1].outcome is Outcome.SUSPICIOUS


def test_a_metric_that_repeats_itself_anyway_is_told_at_the_second_run():
    assert outcomes(*[0.9] * 8, 0.1, 0.1)[-1] is Outcome.REGRESSED


@pytest.mark.parametrize("good", [4, 5, 8, 15])
def test_a_collapse_is_told_no_later_than_a_dip(good):
    random = np.random.default_rng(good)
    healthy = [*(0.9 + 0.003 * random.standard_normal(good))]
    noise = 0.003 * random.standard_normal(10)
    told = []
    for low in (0.87, 0.8, 0.5, 0.1, 0.0):
        said = outcomes(*healthy, *(low + noise))
        told.append(said.index(Outcome.REGRESSED))
    assert told == sorted(told, reverse=True)
    assert told[-1] == good + 1


def test_a_metric_is_expected_to_move_as_its_kin_do():
    policies = [MetricPolicy("hr"), MetricPolicy("ndcg"), MetricPolicy("mrr")]
    random = np.random.default_rng(0)
    elsewhere = {policy.name: 0.3 + 0.003 * random.standard_normal(30) for policy in policies}
    kin = gather(policies, {}, [elsewhere])
    prior = expect(policies[0], [0.2, 0.201, 0.199], kin)
    assert math.exp(prior.log_sd) == pytest.approx(0.002, rel=0.5)
    assert expect(policies[0], [0.2, 0.201, 0.199], ()) is None


def test_a_metric_around_nothing_neither_teaches_nor_learns():
    around = MetricPolicy("bias")
    values = np.random.default_rng(0).standard_normal(20).tolist()
    kin = gather([MetricPolicy("hr")], {"hr": [0.2, 0.201, 0.199, 0.202]}, ())
    assert kin
    assert gather([around], {"bias": values}, ()) == ()
    assert expect(around, values, kin) is None


def test_what_kin_teach_is_the_vaguer_the_less_they_agree():
    alike = pool([Kin("a", -4.0, 19.0, is_own=False), Kin("b", -4.1, 19.0, is_own=False)], 1.0)
    apart = pool([Kin("a", -1.0, 19.0, is_own=False), Kin("b", -7.0, 19.0, is_own=False)], 1.0)
    assert alike.log_sd == pytest.approx(-4.05)
    assert apart.doubt > 2 * alike.doubt
    assert pool([], 1.0) is None


def test_other_series_of_a_pipeline_let_a_new_one_judge_its_first_runs():
    policies = Policies((MetricPolicy("hr"),))
    runs = [make_run(i, {"hr": v}) for i, v in enumerate((0.2, 0.2013, 0.199, 0.188))]
    random = np.random.default_rng(0)
    others = []
    for _ in range(3):
        history = [make_run(i, {"hr": v}) for i, v in enumerate(0.25 + 0.0015 * random.standard_normal(20))]
        others.append(judge_all(history, policies)[-1].state)
    baseline = Baseline(tuple(runs[:3]))
    assert assess(SeriesState(), runs[3], baseline, policies).outcome is Outcome.OK
    assert assess(SeriesState(), runs[3], baseline, policies, others).outcome is Outcome.SUSPICIOUS


def test_a_spread_that_config_names_is_taken_and_fades():
    named = MetricPolicy("hr", prior_spread=0.05)
    prior = expect(named, [0.2, 0.2, 0.2], ())
    assert math.exp(prior.log_sd) == pytest.approx(0.01)
    assert expect(MetricPolicy("hr", Direction.UP, prior_spread=0.05), [0.0, 0.0], ()) is None
