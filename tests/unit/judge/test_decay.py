"""Decay in steps too small to be seen from run to run, told against the best level that was held within memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from bot.domain.judge import Against, Outcome, Reason, SeriesState, assess
from bot.domain.judge.best_level import Levels, add, from_numbers, hold_best, to_numbers
from bot.domain.policy import Direction, MetricPolicy, Policies, Preset
from bot.domain.runs import Baseline
from tests.unit.judge.judged_runs import judge_all, make_run

HR = Policies((MetricPolicy("hr"),))
QUICK = 0.0003  # what is asked by the quiet preset


def decaying(seed: int, loss: float, spread: float, healthy: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    path = np.concatenate([np.zeros(healthy), loss * np.arange(1, 61) / 60])
    return 0.2 * (1 - path + spread * random.standard_normal(len(path)))


def runs_of(values):
    return [make_run(i, {"hr": float(v)}) for i, v in enumerate(values)]


def watch(values, memory: float = 90.0) -> int | None:
    """Return the run at which the second in a row lies surely below the best level."""
    levels, before = Levels(), False
    for i, value in enumerate(values):
        decay = hold_best(levels, values[max(0, i - 59) : i + 1])
        if decay is not None and decay.p < QUICK:
            if before:
                return i
            before = True
        else:
            levels, before = add(levels, value, float(i), memory), False
    return None


@pytest.mark.parametrize("healthy", [0, 20])
@pytest.mark.parametrize(("loss", "spread"), [(0.06, 0.002), (0.036, 0.01)])
def test_a_slow_decay_is_told_with_and_without_a_healthy_start(loss, spread, healthy):
    told = [watch(decaying(seed, loss, spread, healthy).tolist()) for seed in range(20)]
    assert sum(run is not None for run in told) >= 17


@pytest.mark.parametrize("healthy", [0, 20])
def test_the_whole_judge_tells_it_as_decay_and_of_whatever_direction(healthy):
    values = decaying(1, 0.06, 0.002, healthy)
    said = judge_all(runs_of(values), HR)
    mirrored = judge_all(runs_of(-values), Policies((MetricPolicy("hr", Direction.DOWN),)))
    assert [one.outcome for one in said] == [one.outcome for one in mirrored]
    first = next(one for one in said if one.outcome is Outcome.REGRESSED).findings[0]
    assert first.change < 0


def test_what_is_told_of_a_decay_names_the_level_that_was_held():
    values = decaying(3, 0.036, 0.004, 20)
    said = judge_all(runs_of(values), HR)
    told = [one.findings[0] for one in said if one.findings[0].against is Against.BEST]
    assert told[1].outcome is Outcome.REGRESSED
    assert told[1].reason is Reason.DECAYED
    assert told[1].baseline == pytest.approx(0.2, rel=0.01)
    assert told[1].change_low < told[1].change < told[1].change_high < -0.004 * 0.2


def test_a_series_that_stays_where_it_is_hardly_ever_decays():
    random = np.random.default_rng(0)
    kinds = (
        random.standard_normal,
        lambda n: random.standard_t(3, n),
        lambda n: np.convolve(random.standard_normal(n + 2), [1, 0.6, 0.3], "valid"),
        lambda n: np.exp(random.standard_normal(n)),
    )
    assert sum(watch(kind(60).tolist()) is not None for kind in kinds for _ in range(25)) == 0


def test_one_lucky_run_is_no_level():
    values = (0.2 + 0.001 * np.random.default_rng(0).standard_normal(50)).tolist()
    values[5] = 0.25
    assert watch(values) is None


def test_a_level_of_long_ago_is_forgotten():
    steps = [*[0.30] * 10, *np.linspace(0.29, 0.2, 40), *[0.2] * 40]
    noise = 0.001 * np.random.default_rng(0).standard_normal(len(steps))
    levels = Levels()
    for day, value in enumerate(np.array(steps) + noise):
        levels = add(levels, float(value), float(day), memory=30.0)
    assert max(each.mean for each in levels.held) < 0.21


def test_memory_is_bounded_however_many_runs_there_are():
    levels = Levels()
    for i in range(20_000):
        levels = add(levels, 0.2 + 0.001 * (i % 7), i / 1000, memory=90.0)
    assert len(levels.held) <= 16
    assert sum(each.runs for each in levels.held) > 15_000
    assert len(to_numbers(levels)) < 60
    assert from_numbers(to_numbers(levels)) == levels
    assert from_numbers(()) == Levels()


def test_levels_that_are_not_remembered_are_made_of_accepted_runs():
    values = decaying(2, 0.036, 0.002, 20)
    said = judge_all(runs_of(values[:40]), HR)
    forgetful = replace(said[-1].state, levels={})
    accepted = tuple(run for run, one in zip(runs_of(values[:40]), said, strict=True) if one.accepted)
    after = assess(forgetful, runs_of(values)[40], Baseline(accepted), HR).state
    assert from_numbers(after.levels["hr"]).held == from_numbers(said[-1].state.levels["hr"]).held


def test_a_decay_that_somebody_accepted_is_the_new_normal():
    values = decaying(4, 0.06, 0.002)
    runs = runs_of(values)
    state, accepted = SeriesState(), []
    for run in runs:
        said = assess(state, run, Baseline(tuple(accepted)), HR)
        state = said.state
        if said.accepted:
            accepted.append(run)
        if said.outcome is Outcome.REGRESSED:
            break
    low = float(run.run.metrics["hr"])
    accepted.append(next(each for each in runs if each.run_id == state.streaks["hr"].onset))
    accepted.append(run)
    random = np.random.default_rng(0)
    for i in range(100, 130):
        calm = make_run(i, {"hr": low * (1 + 0.002 * float(random.standard_normal()))})
        said = assess(state, calm, Baseline(tuple(accepted)), HR)
        assert said.outcome is not Outcome.REGRESSED
        state = said.state
        accepted.append(calm)


def test_how_long_a_level_counts_is_the_teams_to_say():
    values = decaying(1, 0.036, 0.002, 20)
    short = replace(HR, memory=timedelta(days=20))
    told = [sum(one.findings[0].against is Against.BEST for one in judge_all(runs_of(values), p)) for p in (HR, short)]
    assert told[0] > 0
    assert told[1] == 0


def test_a_sensitive_preset_tells_of_decay_sooner():
    values = decaying(5, 0.036, 0.008)
    told = []
    for preset in Preset:
        said = judge_all(runs_of(values), replace(HR, preset=preset))
        told.append(next((i for i, one in enumerate(said) if one.outcome is Outcome.REGRESSED), 99))
    assert told[1] <= told[0]
