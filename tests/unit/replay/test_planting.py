"""Drops of known size in a history of known noise: what is said of them is true."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.backtest.drops import Drop, DropShape, Heard, Planted
from bot.domain.backtest.figures import Rate, Share, catches, caught, false_tickets, filings
from bot.domain.backtest.healthy_histories import SHORTEST, healthy, study_history
from bot.domain.backtest.levels import study_course
from bot.domain.backtest.planting import Place, hears, places, plant, plant_all, smallest_told
from bot.domain.backtest.walk import after, take, walk
from tests.unit.replay.histories import EVERY, SERIES, START, history, run_at, settings


@pytest.fixture(scope="module")
def planted():
    passed = walk(history(120), settings(), START)
    return list(plant_all(passed, settings(), START, np.random.default_rng(1), work=1500))


def test_larger_drops_are_caught_more_often_and_sooner(planted):
    found = [each for each in catches(planted) if not each.metric and each.shape is DropShape.STEP]
    shares = [each.ticket.value for each in found]
    assert shares == sorted(shares)
    assert shares[0] < 0.4
    assert shares[-1] == 1.0
    late = [each.after for each in found if each.ticket.value == 1]
    assert late == sorted(late, reverse=True)
    assert 2 <= late[-1] <= 3


def test_a_single_bad_run_is_at_most_suspected(planted):
    single = [each for each in planted if each.drop.shape is DropShape.SINGLE and each.drop.size >= 5]
    assert {each.heard for each in single} >= {Heard.DIGEST}
    assert sum(each.heard is Heard.TICKET for each in single) <= 1


def test_the_same_seed_plants_the_same(planted):
    passed = walk(history(120), settings(), START)
    assert list(plant_all(passed, settings(), START, np.random.default_rng(1), work=1500)) == planted


def test_what_is_heard_of_one_metric_is_heard_as_well_where_all_are_judged():
    names = ("ndcg", "recall", "mrr")
    every = settings(names)
    passed = walk(history(90, names, seed=4), every, START)
    for policy in every.policies.metrics:
        (place,) = places(passed, policy, every, 1, np.random.default_rng(0))
        for size in (1.0, 3.0):
            planted = plant(place, Drop(policy.name, DropShape.STEP, size), policy, every, START)
            assert (planted.heard, planted.after) == judge_all(place, policy, size, every)


def judge_all(place, policy, size, every):
    point, heard, when = place.passed[0].before, Heard.NOTHING, None
    for number, each in enumerate(place.passed[:30], 1):
        metrics = {**each.run.metrics, policy.name: each.run.metrics[policy.name] - size * place.spread}
        again = take(point, replace(each.run, metrics=metrics), every, each.others, START)
        point, now = after(again), hears(again, {policy.name})
        if now is Heard.TICKET:
            return now, number
        if now is Heard.DIGEST and when is None:
            heard, when = now, number
    return heard, when


def test_nothing_is_planted_where_something_was_wrong():
    passed = walk(history(120, level=lambda i: 0.4 - 0.05 * (50 <= i < 80)), settings(), START)
    found = places(passed, settings().policies.metrics[0], settings(), 1000, np.random.default_rng(0))
    at = {int(place.passed[0].run.run_id[1:]) for place in found}
    assert at == set(range(82, 91))
    assert not at & set(range(12, 82))  # what is filed at run 51 would be taken for a drop of up to 40 runs before


@pytest.mark.parametrize("count", [3, 14, 20])
def test_a_history_that_is_too_short_has_no_places(count):
    passed = walk(history(count), settings(), START)
    assert not places(passed, settings().policies.metrics[0], settings(), 9, np.random.default_rng(0))


def test_a_metric_that_never_differs_has_no_places():
    runs = [(SERIES, run_at(i, ndcg=0.5)) for i in range(80)]
    assert not list(plant_all(walk(runs, settings(), START), settings(), START, np.random.default_rng(0)))


def test_the_spread_is_that_of_the_noise_whatever_the_level_does():
    random = np.random.default_rng(4)
    noise = random.normal(0, 0.01, 4000)
    stepping = np.where(np.arange(4000) % 800 < 400, 0.5, 0.3)
    for values in (noise + 0.5, noise + stepping, noise + np.linspace(0, 1, 4000)):
        assert study_course(values.tolist()).spread == pytest.approx(0.01, rel=0.08)


@given(st.lists(st.floats(-1e6, 1e6).map(lambda value: round(value, 3)), max_size=60))
def test_a_level_and_the_noise_around_it_are_the_value_or_wider_than_it(values):
    course = study_course(values)
    assert len(course.levels) == len(course.noise) == len(values)
    for value, level, noise in zip(values, course.levels.tolist(), course.noise.tolist(), strict=True):
        assert abs(noise) >= abs(value - level) * (1 - 1e-9)
        assert noise * (value - level) >= 0


def test_a_healthy_history_has_the_noise_and_no_fall():
    policies = settings().policies.metrics
    own = history(300, level=lambda i: 0.4 - 0.1 * (i >= 150))
    made = healthy(study_history(own, policies), np.random.default_rng(2))
    assert [run.place for _, run in made] == [run.place for _, run in own]
    values = [run.metrics["ndcg"] for _, run in made]
    assert np.std(values) == pytest.approx(0.004, rel=0.2)
    assert abs(np.mean(values[:150]) - np.mean(values[150:])) < 0.002
    assert filings(walk(own, settings(), START))
    assert len(filings(walk(made, settings(), START))) <= 1  # by its noise, if any


def test_in_a_healthy_history_no_metric_is_missing_but_those_that_only_some_runs_have():
    always, *_ = settings().policies.metrics
    sometimes = replace(always, name="recall", optional=True)
    runs = [
        (SERIES, run_at(i, **({} if i % 7 == 3 else {"ndcg": 0.4 + i % 5 / 100}), **({"recall": 0.6} if i % 2 else {})))
        for i in range(60)
    ]
    made = [run.metrics for _, run in healthy(study_history(runs, (always, sometimes)), np.random.default_rng(0))]
    assert all("ndcg" in metrics for metrics in made)
    assert [i for i, metrics in enumerate(made) if "recall" in metrics] == [*range(1, 60, 2)]


def test_the_smallest_fall_that_counts_is_told_in_spreads():
    policy, *_ = settings().policies.metrics  # 1 % of .4, where runs differ by .004
    assert smallest_told(walk(history(80), settings(), START), policy) == pytest.approx(1, rel=0.3)
    assert smallest_told(walk(history(3, level=lambda _: 0.4)[:1], settings(), START), policy) is None


def test_metrics_of_one_run_stay_together_in_a_healthy_history():
    random = np.random.default_rng(1)
    shared = random.normal(0, 0.01, 200)
    runs = [(SERIES, run_at(i, ndcg=0.5 + shared[i], recall=0.7 + shared[i])) for i in range(200)]
    made = healthy(study_history(runs, settings(("ndcg", "recall")).policies.metrics), np.random.default_rng(0))
    pairs = np.array([[run.metrics["ndcg"], run.metrics["recall"]] for _, run in made])
    assert np.corrcoef(pairs.T)[0, 1] > 0.95


def test_a_series_too_short_for_its_noise_to_be_told_gives_no_healthy_history():
    assert study_history(history(SHORTEST - 1), settings().policies.metrics) == []


def test_false_tickets_are_as_many_as_there_are_in_new_histories_of_the_same_kind():
    """Resampled noise of one history against fresh ones of the truth that made it."""
    eager = settings(preset="sensitive")
    own = history(400, seed=9)
    studied = study_history(own, eager.policies.metrics)
    drawn = [walk(healthy(studied, np.random.default_rng(i)), eager, START) for i in range(3)]
    fresh = [walk(history(400, seed=100 + i), eager, START) for i in range(3)]
    told = false_tickets(drawn, ["ndcg"], 400 * EVERY)[""]
    true = false_tickets(fresh, ["ndcg"], 400 * EVERY)[""]
    assert told.interval[0] <= true.interval[1]
    assert true.interval[0] <= told.interval[1]


@given(st.integers(0, 60), st.integers(1, 60))
def test_the_interval_of_a_share_holds_it(count, more):
    share = Share(count, count + more - 1 or 1)
    low, high = share.interval
    assert 0 <= low <= share.value + 1e-12
    assert share.value <= high + 1e-12 <= 1 + 1e-9


@given(st.integers(0, 60), st.integers(1, 60), st.floats(0.01, 1))
def test_drops_that_share_runs_tell_less(count, more, part):
    of = count + more
    low, high = Share(count, of).interval
    lower, higher = Share(count, of, telling=part * of).interval
    assert lower <= low + 1e-12
    assert higher >= high - 1e-12


@given(st.integers(0, 100), st.integers(1, 4000), st.floats(0, 2))
def test_a_rate_in_doubt_has_a_wider_interval_that_holds_it(count, days, doubt):
    low, high = Rate(count, days * 4 * EVERY).interval
    rate = Rate(count, days * 4 * EVERY, doubt)
    lower, higher = rate.interval
    assert lower <= low * (1 + 1e-9)
    assert lower <= rate.a_month <= higher
    assert higher >= high * (1 - 1e-9)


def heard_at(stretches, doubt=0.0):
    """Drops at ten places each of some stretches of runs; of a stretch all get a ticket, or none."""
    return [
        Planted(Drop("ndcg", DropShape.STEP, size), "", "r", heard, None, stretch, doubt)
        for size, caught_in in ((1.0, stretches[0]), (2.0, stretches[1]))
        for stretch, is_caught in enumerate(caught_in)
        for heard in 10 * [Heard.TICKET if is_caught else Heard.NOTHING]
    ]


def test_what_is_heard_at_places_that_share_runs_counts_as_heard_once():
    small, large = [each for each in catches(heard_at([12 * [False, True], 24 * [True]])) if not each.metric]
    assert small.ticket.of == 240
    assert small.ticket.telling == pytest.approx(24, rel=0.25)
    assert large.ticket.value == 1
    assert large.ticket.interval[0] < 0.93  # of 240 places by themselves it were .98


def test_a_spread_in_doubt_is_a_share_in_doubt_where_size_matters():
    halves = [4 * [False, False, False, True], 4 * [True, True, True, False]]
    (sure, *_), (unsure, *_) = catches(heard_at(halves)), catches(heard_at(halves, doubt=0.5))
    assert unsure.ticket.interval[1] - unsure.ticket.interval[0] > 1.2 * (
        sure.ticket.interval[1] - sure.ticket.interval[0]
    )


@given(st.integers(0, 100), st.integers(1, 4000))
def test_the_interval_of_a_rate_holds_it_and_more_time_makes_it_narrower(count, days):
    once, twice = Rate(count, days * 4 * EVERY), Rate(2 * count, 2 * days * 4 * EVERY)
    low, high = once.interval
    assert low <= once.a_month <= high
    assert twice.interval[1] - twice.interval[0] <= high - low


def test_of_no_drops_nothing_was_caught():
    assert catches([]) == []
    assert caught([]) == 0.0
    assert Place((), 1.0).passed == ()
