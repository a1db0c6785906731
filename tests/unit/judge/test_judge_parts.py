"""The pieces the judge is made of."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from bot.domain.judge.calibration import THRESHOLDS, Threshold
from bot.domain.judge.cleaning import find_repeats, robust_scale
from bot.domain.judge.evidence import (
    compare_levels,
    excess,
    log_bayes_factors,
    open_window,
    smallest_found,
)
from bot.domain.judge.offline import change_points
from bot.domain.judge.paired import holm, moderated_p, paired_p
from bot.domain.judge.spread import Prior, estimate_spread, p_below
from bot.domain.policy import Preset


def test_the_spread_leans_on_the_prior_while_runs_are_few_and_on_them_later():
    random = np.random.default_rng(0)
    ours = Prior(math.log(0.1), 0.7)
    few = estimate_spread([1.0, 1.01, 0.99], ours)
    many = estimate_spread((1 + 0.01 * random.standard_normal(20)).tolist(), ours)
    assert 0.015 < few.sd < 0.08
    assert many.sd == pytest.approx(0.0105, abs=0.002)
    assert 2 < few.df < 8
    assert 14 < many.df < 24


@pytest.mark.parametrize("truth", [0.0001, 0.001, 0.1])
def test_a_prior_that_runs_contradict_fades_from_either_side(truth):
    random = np.random.default_rng(1)
    found = [
        estimate_spread((0.8 + 0.8 * truth * random.standard_normal(20)).tolist(), Prior(math.log(0.016), 1.0)).sd
        for _ in range(50)
    ]
    assert np.median(found) / (0.8 * truth) == pytest.approx(1, abs=0.3)


def test_without_a_prior_few_runs_tell_as_little_as_a_t_says():
    spread = estimate_spread([1.0, 1.1, 0.9])
    assert (spread.level, spread.sd, spread.df) == pytest.approx((1.0, 0.1, 2.0))


def test_a_result_that_was_logged_twice_is_one_run_and_ties_of_a_coarse_metric_are_many():
    assert estimate_spread([0.81, 0.82, 0.82, 0.80]).n == 3
    assert estimate_spread([0.9, 0.9, 0.8, 0.9, 0.8, 0.8]).n == 6


def test_one_odd_run_hardly_moves_level_or_spread():
    spread = estimate_spread([1.0, 1.01, 0.99, 1.0, 1.005, 0.2])
    assert spread.level == pytest.approx(1.0, abs=0.02)
    assert spread.sd < 0.04


@pytest.mark.parametrize(("change", "p"), [(-1.0, 0.0), (0.0, 0.5), (1.0, 1.0)])
def test_without_any_spread_a_change_is_certain(change, p):
    assert p_below(change, 0.0, 3.0) == p


def test_paired_p_is_the_one_sided_t_test():
    differences = np.random.default_rng(0).normal(-0.1, 1, 50)
    assert paired_p(differences) == pytest.approx(stats.ttest_1samp(differences, 0, alternative="less").pvalue)


def test_holm_corrects_the_smallest_most_and_keeps_the_order():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_a_small_part_without_differences_borrows_the_variance_of_all():
    differences = np.concatenate([np.random.default_rng(0).normal(0, 1, 500), np.full(20, -0.01)])
    assert moderated_p(differences, [differences[500:]])[0] > 0.3


def test_no_run_is_seen_further_than_two_scales_from_where_the_newest_stand():
    window = open_window(np.array([0.2, 0.4, 1.0, 1.1, 0.9, 1.0, -9.0, 1.1, 0.9, 1.0, 1.05, 0.95]))
    assert window.centre == pytest.approx(1.0)
    assert window.seen[[0, 1, 6]].tolist() == [-2.0, -2.0, -2.0], (
        "a ramp long ago and a lone failure: low runs, no more"
    )
    assert np.abs(window.seen).max() == 2.0


def test_repeats_are_found_only_where_ties_are_rare():
    fine = np.array([0.11, 0.12, 0.12, 0.14, 0.15, 0.16])
    coarse = np.array([0.1, 0.2, 0.2, 0.1, 0.2, 0.1, 0.2])
    assert find_repeats(fine).tolist() == [False, True, False, False, False]
    assert find_repeats(coarse) is None
    assert find_repeats(np.full(6, 0.3)) is None
    assert find_repeats(np.array([0.1, 0.2, 0.3])) is None


def test_what_repeats_a_fourth_time_stands_still():
    stopped = np.array([0.11, 0.12, 0.13, 0.14, 0.15, 0.16, 0.17, 0.1, 0.1, 0.1, 0.1, 0.1])
    assert find_repeats(stopped)[-4:].tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    ("runs", "scale"),
    [([1.0, 1.0, 1.0, 1.0], 1e-9), ([0.0, 0.0, 0.0], 1e-9), ([1.0, 1.0, 1.0, 2.0, 1.0, 1.0], 0.354)],
)
def test_runs_that_hardly_differ_still_have_a_scale(runs, scale):
    assert robust_scale(np.array(runs), 1.0 if runs[0] else 0.0) == pytest.approx(scale, rel=0.01)


def test_the_bayes_factor_falls_with_t_and_is_the_marginal_likelihood_ratio():
    t = np.linspace(-8, 8, 200)
    factors = log_bayes_factors(t, np.full(200, 4.0), 20.0)
    assert (np.diff(factors) < 0).all()
    sizes = np.linspace(0, 12, 4001)
    density = 2 * stats.norm.pdf(sizes, scale=1.2)
    likelihood = stats.nct.pdf(-3.0, 20, -sizes * 2.0) / stats.t.pdf(-3.0, 20)
    expected = np.log(np.trapezoid(likelihood * density, sizes))
    assert log_bayes_factors(np.array([-3.0]), np.array([4.0]), 20.0)[0] == pytest.approx(expected, abs=0.02)


def test_levels_need_three_runs_before_and_two_since():
    assert compare_levels(open_window(np.array([1.0, 1.1, 0.9, 1.0]))) is None
    assert compare_levels(open_window(np.array([1.0, 1.1, 0.9, 1.0, 1.1]))).spans.tolist() == [2]
    logged_again = np.array([1.0, 1.1, 0.9, 0.8, 0.8, 0.7])
    assert compare_levels(open_window(logged_again)).spans.tolist() == [3], "of the two before the newest, one is none"


def test_larger_asked_of_a_long_history():
    plain = Threshold(4.0, 0.0, for_memory=0.0, for_tails=0.0, for_repeats=0.0)
    noise = np.tile([0.004, -0.004, 0.002, -0.002], 10)
    more = []
    for n in (6, 36):
        levels = compare_levels(open_window(np.append(0.8 + noise[:n], 0.78 + noise[:4])))
        at = levels.spans.tolist().index(4)
        more.append(float(excess(levels, plain)[at] - excess(levels, replace(plain, for_length=0.5))[at]))
    assert more == pytest.approx([0.0, 1.0]), "by each doubling beyond ten runs"
    less, larger = (smallest_found(0.01, 80, 78.0, each) for each in (plain, replace(plain, for_length=0.5)))
    assert less < larger, "so what it says it would have found is larger too"


def test_what_could_have_been_found_shrinks_with_more_runs():
    found = [smallest_found(0.01, n, n - 2.0, THRESHOLDS[Preset.QUIET]) for n in (5, 10, 40)]
    assert found == sorted(found, reverse=True)
    assert 0.01 < found[-1] < 0.03


def test_change_points_of_steps_are_found_and_trends_are_not_cut():
    random = np.random.default_rng(0)
    steps = np.concatenate([random.normal(0, 1, 60), random.normal(3, 1, 50), random.normal(0, 1, 40)])
    assert [round(c, -1) for c in change_points(steps)] == [60, 110]
    assert change_points(np.linspace(0, 1, 100)) == []
    assert change_points(random.normal(0, 1, 300)) == []


def test_change_points_pass_over_missing_values_lone_extremes_and_short_series():
    random = np.random.default_rng(1)
    steps = np.concatenate([random.normal(0, 1, 50), random.normal(4, 1, 50)])
    steps[10] = 500.0
    holed = np.insert(steps, 5, np.nan)
    assert [round(c, -1) for c in change_points(holed)] == [50]
    assert change_points(np.array([1.0, 2.0, 3.0])) == []
    assert change_points(np.full(40, 2.0)) == []
