"""The noise that healthy histories are made of carries over, scatters and hangs together as a history's own does."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bot.domain.backtest.healthy_histories import healthy, study_history
from bot.domain.backtest.levels import study_course
from bot.domain.backtest.noise import block_length, draw_blocks, study_noise
from bot.domain.policy import MetricPolicy
from tests.unit.replay.histories import SERIES, run_at


def carrying(share: float, runs: int, seed: int = 0) -> np.ndarray:
    shocks = np.random.default_rng(seed).standard_normal(runs + 50) * np.sqrt(1 - share**2)
    for i in range(1, len(shocks)):
        shocks[i] += share * shocks[i - 1]
    return shocks[50:]


def lag_one(values: np.ndarray) -> float:
    return float(np.corrcoef(values[1:], values[:-1])[0, 1])


def test_spread_and_memory_of_slow_noise_are_seen_as_they_are():
    for share in (0.0, 0.5, 0.7):
        courses = [study_course((0.4 + 0.01 * carrying(share, 400, seed)).tolist()) for seed in range(12)]
        assert np.mean([course.spread for course in courses]) == pytest.approx(0.01, rel=0.08)
        carried = [study_noise(course).carried[0] for course in courses]
        assert np.mean(carried) == pytest.approx(share, abs=0.06)


def test_a_step_is_a_level_and_no_memory():
    values = 0.4 + 0.01 * carrying(0.0, 300) - 0.05 * (np.arange(300) >= 150)
    assert abs(study_noise(study_course(values.tolist())).carried[0]) < 0.15


def test_noise_made_anew_carries_over_as_much_and_scatters_as_wide():
    values = 0.4 + 0.01 * carrying(0.6, 600)
    runs = [(SERIES, run_at(i, ndcg=value)) for i, value in enumerate(values.tolist())]
    studied = study_history(runs, [MetricPolicy("ndcg")])
    made = [
        np.array([run.metrics["ndcg"] for _, run in healthy(studied, np.random.default_rng(seed))])
        for seed in range(10)
    ]
    assert np.mean([lag_one(each) for each in made]) == pytest.approx(0.6, abs=0.08)
    assert np.mean([each.std() for each in made]) == pytest.approx(0.01, rel=0.12)


def test_a_metric_of_few_values_keeps_them():
    random = np.random.default_rng(1)
    values = random.binomial(20, 0.9, 200) / 20
    runs = [(SERIES, run_at(i, hits=value)) for i, value in enumerate(values.tolist())]
    made = healthy(study_history(runs, [MetricPolicy("hits", lower=0.0, upper=1.0)]), random)
    steps = {round(run.metrics["hits"] * 20, 6) for _, run in made}
    assert all(step == int(step) for step in steps)


def test_what_comes_in_calm_and_wild_times_is_drawn_in_longer_blocks():
    random = np.random.default_rng(3)
    even = random.standard_normal(600)
    uneven = even * np.repeat(np.where(np.arange(24) % 2, 0.3, 1.5), 25)
    assert block_length([even]) <= 6
    assert block_length([uneven]) >= 12
    assert block_length([even, uneven]) == block_length([uneven])


@given(st.integers(1, 200), st.integers(1, 30), st.integers(0, 9))
def test_blocks_are_of_neighbours_and_as_many_as_runs(count, length, seed):
    rows = draw_blocks(count, length, np.random.default_rng(seed))
    assert len(rows) == count
    assert all(0 <= row < count for row in rows)
    apart = [(after - before) % count for before, after in pairwise(rows)]
    assert sum(step != 1 % count for step in apart) <= -(-count // length) - 1


@settings(deadline=None)
@given(arrays(np.float64, st.integers(1, 80), elements=st.floats(-1e9, 1e9)), st.integers(0, 9))
def test_noise_of_anything_is_finite(values, seed):
    noise = study_noise(study_course(values.tolist()))
    random = np.random.default_rng(seed)
    made = noise.redrawn(random).make(list(range(len(values))), random)
    assert len(made) == len(values)
    assert np.isfinite(made).all()
