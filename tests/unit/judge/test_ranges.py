"""How large an effect must be to matter, near the ends of what a metric can be and between them."""

from __future__ import annotations

import numpy as np
import pytest

from bot.domain.judge import Outcome
from bot.domain.judge.ranges import effect_at
from bot.domain.policy import Direction, MetricPolicy, MinEffect, Preset
from tests.unit.judge.judged_runs import judge_series


@pytest.mark.parametrize(
    ("name", "level", "effect"),
    [
        ("hr_at_10", 0.2, 0.004),  # of the hits
        ("HR@10", 0.5, 0.01),
        ("auc", 0.998, 0.00004),  # of the misses
        ("val/nDCG@10", 0.9, 0.002),
        ("accuracy", 98.0, 0.04),  # in percent
        ("error_rate", 0.002, 0.00004),
        ("error_rate", 0.998, 0.00004),
        ("mcc", 0.2, 0.004),
        ("mcc", -0.99, 0.0002),
        ("r2", 0.99, 0.0002),
        ("r2", -3.0, 0.06),
        ("auc", 1.0, 0.0),
        ("auc", 250.0, 5.0),  # whatever that is, it is no share
        ("recall_loss", 0.9, 0.018),
        ("latency", 0.9, 0.018),
        ("learning_rate", 0.9, 0.018),
    ],
)
def test_a_share_is_of_the_level_or_of_what_is_missing_whichever_is_less(name, level, effect):
    assert effect_at(MetricPolicy(name), level) == pytest.approx(effect)


def test_bounds_in_config_are_the_range_of_a_metric_whose_name_says_nothing():
    rating = MetricPolicy("stars", lower=1.0, upper=5.0)
    assert [effect_at(rating, level) for level in (1.1, 3.0, 4.9)] == pytest.approx([0.002, 0.04, 0.002])


def test_a_bound_that_only_says_what_is_too_good_to_be_true_is_no_end_of_a_known_range():
    assert effect_at(MetricPolicy("ndcg", lower=0.0, upper=0.5), 0.48) == pytest.approx(0.0096)


def test_an_upper_bound_of_a_hundred_says_that_a_share_is_in_percent():
    assert effect_at(MetricPolicy("error_rate", upper=100.0), 0.9) == pytest.approx(0.018)


def test_an_effect_in_the_metrics_own_unit_is_that_at_every_level():
    policy = MetricPolicy("auc", min_effect=MinEffect(0.005, relative=False))
    assert [effect_at(policy, level) for level in (0.2, 0.999)] == [0.005, 0.005]


def test_a_metric_and_its_complement_are_judged_alike():
    random = np.random.default_rng(3)
    values = [*(0.998 + 0.0004 * random.standard_normal(20)), *(0.990 + 0.0004 * random.standard_normal(6))]
    accuracy = judge_series(values, MetricPolicy("accuracy"), Preset.QUIET)
    errors = judge_series([1 - v for v in values], MetricPolicy("error_rate", Direction.DOWN), Preset.QUIET)
    assert [finding.outcome for finding in accuracy] == [finding.outcome for finding in errors]
    assert accuracy[-1].outcome is Outcome.REGRESSED
