"""The judge over time, on single series."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from bot.domain.judge import Method, Outcome, Reason, SeriesState, assess
from bot.domain.judge.track import Signal, Track, accept_fall, watch
from bot.domain.judge.track_numbers import from_numbers, to_numbers
from bot.domain.policy import Direction, MetricPolicy, MinEffect, Preset
from bot.domain.runs import Baseline
from tests.unit.judge.judged_runs import (
    HR,
    POLICIES,
    judge_all,
    judge_series,
    make_run,
    make_runs,
    make_table,
    with_metric,
)

FREE = MetricPolicy("ndcg", min_effect=MinEffect(0.0))


def noise(seed: int, n: int, level: float = 0.5, sd: float = 0.01) -> list[float]:
    return (level + sd * np.random.default_rng(seed).standard_normal(n)).tolist()


def step(seed: int, before: int, after: int, size: float) -> list[float]:
    return [*noise(seed, before), *noise(seed + 1000, after, level=0.5 - size * 0.01)]


def outcomes(values, policy=FREE, preset=Preset.QUIET):
    return [finding.outcome for finding in judge_series(values, policy, preset)]


def sights(values):
    track, seen = Track(), []
    for value in values:
        track, view = watch(track, value, Preset.QUIET)
        seen.append(view.sight)
    return seen, track


def test_a_step_is_told_once_and_lasts():
    said = judge_series(step(1, 20, 20, 4), FREE, Preset.QUIET)
    first = [f.outcome for f in said].index(Outcome.REGRESSED)
    assert 21 <= first <= 25
    assert all(f.outcome is Outcome.REGRESSED for f in said[first:])
    finding = next(f for f in said if f.reason is Reason.LEVEL_FELL)
    assert (finding.method, finding.onset) == (Method.LEVELS, "20")
    assert finding.change_low < -0.04 < finding.change_high
    assert 0 < finding.detectable < 0.05


def test_steps_of_three_spreads_are_found_and_quiet_noise_is_left_alone():
    found = sum(Outcome.REGRESSED in outcomes(step(seed, 20, 10, 3)) for seed in range(25))
    false = sum(Outcome.REGRESSED in outcomes(noise(seed, 40)) for seed in range(25))
    assert found >= 23
    assert false <= 2


def test_the_sensitive_preset_finds_more():
    values = [step(seed, 20, 10, 1.5) for seed in range(25)]
    found = [sum(Outcome.REGRESSED in outcomes(v, preset=preset) for v in values) for preset in Preset]
    assert found[1] > found[0]


def test_slow_drift_is_found():
    drifting = [
        [*noise(seed, 20), *(0.5 - 0.003 * i + e for i, e in enumerate(noise(seed + 500, 16, 0.0)))]
        for seed in range(20)
    ]
    assert sum(Outcome.REGRESSED in outcomes(values) for values in drifting) >= 19


def test_a_single_collapsed_run_is_suspicious_and_nothing_more():
    values = noise(3, 30)
    values[20] = 0.1
    said = outcomes(values)
    assert said[20] is Outcome.SUSPICIOUS
    assert Outcome.REGRESSED not in said


def test_a_single_wild_run_does_not_blind_the_judge():
    values = step(4, 25, 12, 4)
    values[10] = 0.1
    assert Outcome.REGRESSED in outcomes(values)


def test_a_drop_after_an_improvement_is_judged_from_the_new_level():
    values = [*noise(5, 15), *noise(6, 15, level=0.55), *noise(7, 10, level=0.5)]
    said = judge_series(values, FREE, Preset.QUIET)
    assert Outcome.REGRESSED not in [f.outcome for f in said[:30]]
    rise = next(f for f in said if f.reason is Reason.LEVEL_ROSE)
    assert rise.outcome is Outcome.IMPROVED
    assert rise.onset in {"13", "14", "15", "16", "17"}
    fall = next(f for f in said if f.outcome is Outcome.REGRESSED)
    assert fall.baseline == pytest.approx(0.55, abs=0.01)


def test_soon_after_an_improvement_the_spread_of_the_old_level_is_used():
    values = [*noise(5, 15), *noise(6, 7, level=0.6), *noise(7, 10, level=0.5)]
    assert Outcome.REGRESSED in outcomes(values)


def test_a_lasting_fall_never_becomes_the_normal():
    said = outcomes([*noise(8, 20), *noise(9, 150, level=0.4)])
    assert all(one is Outcome.REGRESSED for one in said[30:])


def test_a_fall_that_stands_for_long_is_said_to_have_begun_where_it_did():
    said = judge_series([*noise(8, 20), *noise(9, 150, level=0.4)], FREE, Preset.QUIET)
    assert {f.onset for f in said[25:]} == {"20"}


def test_a_repaired_metric_is_well_again_and_can_fall_again():
    values = [*noise(8, 20), *noise(9, 10, level=0.4), *noise(10, 20), *noise(11, 10, level=0.4)]
    said = outcomes(values)
    assert Outcome.REGRESSED not in said[32:50]
    assert said[-1] is Outcome.REGRESSED


def test_a_fall_below_the_smallest_effect_is_not_told_however_sure():
    policy = replace(FREE, min_effect=MinEffect(0.06, relative=False))
    said = judge_series(step(12, 20, 20, 3), policy, Preset.QUIET)
    assert Outcome.REGRESSED not in [f.outcome for f in said]
    assert Reason.BELOW_MIN_EFFECT in [f.reason for f in said[20:]]


def test_a_lone_low_run_below_the_smallest_effect_is_no_news():
    values = [*noise(12, 20, sd=0.001), 0.49]
    finding = judge_series(values, replace(FREE, min_effect=MinEffect(0.05)), Preset.QUIET)[-1]
    assert (finding.outcome, finding.reason) == (Outcome.OK, Reason.BELOW_MIN_EFFECT)


def test_a_surely_small_fall_with_a_collapsed_newest_run_is_suspicious():
    policy = replace(FREE, min_effect=MinEffect(0.05, relative=False))
    values = [*step(12, 20, 12, 3), 0.1]
    assert judge_series(values, policy, Preset.QUIET)[-1].outcome is Outcome.SUSPICIOUS


def test_constant_series_are_ok_until_they_move_for_two_runs():
    said = outcomes([*[0.7] * 12, 0.3, 0.3, 0.3])
    assert said[1:12] == [Outcome.INSUFFICIENT_DATA] * 2 + [Outcome.OK] * 9
    assert said[12:] == [Outcome.SUSPICIOUS, Outcome.REGRESSED, Outcome.REGRESSED]
    assert set(outcomes([0.0] * 10)[5:]) == {Outcome.OK}


def test_the_first_points_have_defined_findings():
    said = judge_series([0.5, 0.4, 0.6], FREE, Preset.QUIET)
    assert [f.outcome for f in said] == [Outcome.NO_BASELINE, Outcome.INSUFFICIENT_DATA, Outcome.INSUFFICIENT_DATA]
    assert said[1].change == pytest.approx(-0.1)
    assert said[1].spread is None
    assert said[2].spread is not None


def test_missing_and_broken_values_are_invalid_and_change_nothing_else():
    values = step(13, 20, 10, 4)
    holed = [*values[:5], None, math.nan, *values[5:]]
    said = judge_series(holed, FREE, Preset.QUIET)
    assert [f.reason for f in said[5:7]] == [Reason.MISSING, Reason.NOT_A_NUMBER]
    assert [f.outcome for f in said[:5] + said[7:]] == outcomes(values)
    onset = next(f.onset for f in said if f.outcome is Outcome.REGRESSED)
    assert onset == "22"


def test_results_logged_twice_are_one_result():
    values = noise(14, 40)
    values[20] = values[21] = values[22] = 0.478
    assert Outcome.REGRESSED not in outcomes(values)


def test_ties_in_a_coarse_metric_count():
    coarse = [round(value, 2) for value in step(15, 25, 12, 4)]
    assert Outcome.REGRESSED in outcomes(coarse)


def test_memory_is_bounded_and_survives_as_plain_numbers():
    for values in (noise(1, 200), step(1, 20, 60, 5)):
        track = Track()
        for value in values:
            track, _ = watch(track, value, Preset.QUIET)
            assert from_numbers(to_numbers(track)) == track
        assert len(to_numbers(track)) < 220
    assert from_numbers(()) == Track()


def test_accepting_a_fall_makes_its_level_the_normal():
    seen, track = sights(step(16, 20, 15, 5))
    assert seen[-1] is Signal.FALLEN
    accepted = accept_fall(track)
    for value in noise(17, 15, level=0.45):
        accepted, view = watch(accepted, value, Preset.QUIET)
        assert view.sight in {Signal.STEADY, Signal.TOO_FEW}
    assert accept_fall(accepted) is accepted


def test_lower_is_better_is_the_mirror_image():
    values = step(19, 20, 10, 4)
    down = judge_series([-v for v in values], replace(FREE, direction=Direction.DOWN), Preset.QUIET)
    assert [f.outcome for f in down] == outcomes(values)


def test_assess_finds_a_small_lasting_fall_that_no_single_run_shows():
    policies = with_metric(POLICIES, min_effect=MinEffect(0.005))
    runs = make_runs(*step(21, 20, 10, 2))
    said = judge_all(runs, policies)
    told = next(one.findings[0] for one in said if one.outcome is Outcome.REGRESSED)
    assert (told.reason, told.method) == (Reason.LEVEL_FELL, Method.LEVELS)
    assert told.onset in {f"run{i}" for i in range(19, 24)}
    assert said[-1].state.streaks["hr"].confirmed


def test_assess_learns_from_runs_that_were_accepted_before_it_came():
    values = step(22, 20, 8, 5)
    runs = make_runs(*values)
    state, said = SeriesState(), []
    for run in runs[20:]:
        said.append(assess(state, run, Baseline(runs[:20]), POLICIES))
        state = said[-1].state
    assert said[-1].outcome is Outcome.REGRESSED
    assert len(state.watched["hr"]) == 28


def test_assess_takes_an_accepted_fall_for_the_new_level():
    runs = make_runs(*noise(23, 20, level=0.5), *noise(24, 12, level=0.4))
    said = judge_all(runs[:24])
    assert said[-1].outcome is Outcome.REGRESSED
    assert said[-1].state.streaks["hr"].onset == "run21"
    state, accepted = said[-1].state, list(runs[:24])
    for run in runs[24:]:
        one = assess(state, run, Baseline(tuple(accepted)), POLICIES)
        assert one.accepted
        state = one.state
        accepted.append(run)
    assert state.level_from == {"hr": "run21"}
    far = assess(state, make_run(99, {"hr": 0.4}), Baseline(tuple(accepted[-3:])), POLICIES)
    assert far.accepted


def test_assess_calls_a_level_rise_an_improvement():
    policies = with_metric(POLICIES, min_effect=MinEffect(0.001), prior_spread=0.05)
    runs = make_runs(*noise(25, 12), *noise(26, 10, level=0.525))
    assert Reason.LEVEL_ROSE in [one.findings[0].reason for one in judge_all(runs, policies)]


@pytest.mark.parametrize("better_rows", [True, False])
def test_rows_that_show_no_fall_hold_a_level_fall_back(better_rows):
    random = np.random.default_rng(3)
    policies = with_metric(POLICIES, min_effect=MinEffect(0.001))
    users = random.random(200) * 0.2
    runs = []
    for i, value in enumerate(step(27, 20, 10, 2.5)):
        shift = (0.01 if better_rows else -0.02) if i >= 20 else 0.0
        rows = users + random.normal(0, 0.001, 200) + shift
        runs.append(make_run(i, {"hr": value}, examples=make_table(rows, ["a"] * 200)))
    regressed = Outcome.REGRESSED in [one.outcome for one in judge_all(runs, policies)]
    assert regressed is not better_rows


def test_rows_speak_for_the_level_where_the_newest_run_alone_is_better():
    values = [*noise(28, 20), *noise(29, 8, level=0.4), 0.503]
    rows = make_table(np.full(50, 0.5), ["a"] * 50)
    runs = [make_run(i, {"hr": v}, examples=rows) for i, v in enumerate(values)]
    assert judge_all(runs)[-1].outcome in {Outcome.OK, Outcome.REGRESSED}
    assert HR.name == "hr"
