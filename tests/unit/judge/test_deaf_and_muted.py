"""What once made the judge deaf or mute: a ramp at the start, a fall that stands, one odd run, a collapse too large."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bot.domain.judge import Outcome, Reason
from bot.domain.judge.track import Signal, Track, accept_fall, watch
from bot.domain.judge.track_numbers import from_numbers, to_numbers
from bot.domain.policy import MetricPolicy, MinEffect, Preset
from tests.unit.judge.judged_runs import judge_series

SEEDS = range(12)
TOLD = {Signal.FELL, Signal.FELL_FURTHER}


def noise(seed: int, n: int, level: float, sd: float = 0.004) -> list[float]:
    return (level + sd * np.random.default_rng(seed).standard_normal(n)).tolist()


def told(values: list[float], preset: Preset = Preset.QUIET) -> list[int]:
    track, found = Track(), []
    for number, value in enumerate(values):
        track, view = watch(track, value, preset)
        found += [number] if view.sight in TOLD else []
    return found


def ramp(seed: int) -> list[float]:
    return [0.8 - 0.2 * math.exp(-t / 3) + e for t, e in enumerate(noise(seed, 30, 0.0))]


def test_an_improving_start_is_no_fall():
    assert sum(bool(told(ramp(seed))) for seed in SEEDS) <= 1


@pytest.mark.parametrize("spreads", [5, 10, 20])
def test_a_fall_after_an_improving_start_is_told(spreads):
    falls = [[*ramp(seed), *noise(seed + 99, 15, 0.8 - spreads * 0.004)] for seed in SEEDS]
    assert sum(any(at >= 30 for at in told(values)) for values in falls) >= len(SEEDS) - 1


def test_a_further_fall_within_a_fall_is_told_where_it_began_and_from_which_level():
    for seed in SEEDS:
        values = [*noise(seed, 20, 0.8, 0.003), *noise(seed + 50, 10, 0.785, 0.003), *noise(seed + 99, 10, 0.6, 0.003)]
        said = judge_series(values, MetricPolicy("m", min_effect=MinEffect(0.0)), Preset.QUIET)
        second = [finding for finding in said[30:] if finding.reason is Reason.FELL_FURTHER]
        assert len(second) == 1
        assert second[0].onset == "30"
        assert second[0].baseline == pytest.approx(0.785, abs=0.005)
        assert second[0].change == pytest.approx(-0.185, abs=0.01)
        assert said[-1].outcome is Outcome.REGRESSED


def test_falls_within_falls_are_remembered_in_bounds_and_end_together():
    track = Track()
    for step in range(8):
        for value in noise(step, 12, 0.8 - 0.05 * step):
            track, _ = watch(track, value, Preset.QUIET)
            assert from_numbers(to_numbers(track)) == track
            assert 8 * len(to_numbers(track)) < 8_000, "bytes"
    assert track.fall is not None
    assert track.fall.depth <= 3
    assert track.fall.bottom == pytest.approx(0.45, abs=0.02)
    for value in noise(50, 12, 0.8):
        track, view = watch(track, value, Preset.QUIET)
    assert (track.fall, view.sight) == (None, Signal.STEADY)


def test_part_of_the_way_back_is_no_recovery_and_what_a_person_accepts_is_the_newest_level():
    track = Track()
    for value in [*noise(1, 20, 0.8), *noise(2, 12, 0.7), *noise(3, 12, 0.6)]:
        track, view = watch(track, value, Preset.QUIET)
    assert view.sight is Signal.FALLEN
    back = track
    for value in noise(4, 12, 0.69):
        back, view = watch(back, value, Preset.QUIET)
        assert view.sight is Signal.FALLEN
    accepted = accept_fall(track)
    assert np.median(accepted.values) == pytest.approx(0.6, abs=0.01)
    for value in noise(5, 12, 0.6):
        accepted, view = watch(accepted, value, Preset.QUIET)
        assert view.sight is Signal.STEADY


@pytest.mark.parametrize("spreads", [4, 5, 7, 10])
def test_one_low_run_alone_is_hardly_told_more_often_than_none(spreads):
    healthy = [noise(seed, 41, 0.8) for seed in range(30)]
    odd = [[*values[:20], 0.8 - spreads * 0.004, *values[21:]] for values in healthy]
    assert sum(map(bool, map(told, odd))) <= sum(map(bool, map(told, healthy))) + 2


def test_one_low_run_logged_twice_is_hardly_told_more_often_than_none():
    healthy = [noise(seed, 42, 0.8) for seed in range(30)]
    twice = [[*values[:20], 0.78, 0.78, *values[22:]] for values in healthy]
    assert sum(map(bool, map(told, twice))) <= sum(map(bool, map(told, healthy))) + 3


def first_after(values: list[float], start: int) -> int:
    return next((at - start + 1 for at in told(values) if at >= start), 99)


def test_a_collapse_is_told_no_later_than_a_dip():
    for seed in SEEDS:
        good = noise(seed, 5, 0.9)
        bad = noise(seed + 50, 12, 0.0)
        delays = [first_after([*good, *(level + e for e in bad)], 5) for level in (0.87, 0.8, 0.5, 0.1)]
        assert delays == sorted(delays, reverse=True)
        assert delays[-1] == 3


def test_a_fall_to_a_level_that_stands_still_is_told_like_one_to_a_noisy_level():
    still = [[*noise(seed, 20, 0.8), *[0.788] * 12] for seed in SEEDS]
    assert sum(map(bool, map(told, still))) >= len(SEEDS) - 1


def test_a_small_lasting_fall_is_told_once_there_are_many_runs_of_it():
    small = [[*noise(seed, 30, 0.8), *noise(seed + 50, 30, 0.794)] for seed in SEEDS]
    assert sum(map(bool, map(told, small))) >= len(SEEDS) - 1


@pytest.mark.parametrize("level", [0.9, 1e9, -3.0])
def test_the_last_digit_of_a_constant_metric_is_no_fall(level):
    hair = abs(math.nextafter(level, math.inf) - level)
    assert told([*[level] * 12, *[level - 8 * hair] * 6], Preset.SENSITIVE) == []


def test_a_track_of_the_first_form_is_read_with_its_fall():
    values = (0.8, 0.79, 0.81)
    head = (33.0, 0.0, 0.0, 1.0, 3.0, *values, *[1.0] * 6)
    track = from_numbers(head)
    assert (track.seen, track.values, track.returns, track.fall) == (33, values, 1, None)
    fallen = from_numbers((*head, 0.8, 0.7, 0.01, 30.0, 2.0, 1.0, 0.7, 0.71))
    assert fallen.fall is not None
    assert (fallen.fall.level, fallen.fall.bottom, fallen.fall.onset) == (0.8, 0.7, 30)
    assert fallen.fall.below.values == (0.7, 0.71)
    after, view = watch(fallen, 0.7, Preset.QUIET)
    assert view.sight is Signal.FALLEN
    assert from_numbers(to_numbers(after)) == after
