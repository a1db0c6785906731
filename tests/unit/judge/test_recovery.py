"""A fall is over once runs show that it is, and a metric that is still down is not called well because it is noisy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.judge.recovery import LostLevel, count_back
from bot.domain.judge.track import Signal, Track, watch
from bot.domain.judge.track_numbers import from_numbers, to_numbers
from bot.domain.policy import MetricPolicy, MinEffect, Policies, Preset
from bot.domain.whole_series import as_runs, judge_series

SERIES = 40
BEFORE, DOWN = 20, 12
spreads = st.floats(-8, 4).map(lambda value: round(value, 2))


def noise(random: np.random.Generator, kind: str, n: int) -> np.ndarray:
    if kind == "t of 4":
        return random.standard_t(4, n) / 2**0.5
    values = random.standard_normal(n + 10)
    if kind == "AR .5":
        for i in range(1, len(values)):
            values[i] = 0.5 * values[i - 1] + 0.75**0.5 * values[i]
    return values[10:]


def ends_of_falls(values: np.ndarray) -> list[tuple[int, int | None]]:
    """Return the runs at which falls were told, and those at which they were called over."""
    track, found, told = Track(), list[tuple[int, int | None]](), None
    for number, value in enumerate(values.tolist()):
        track, view = watch(track, value, Preset.QUIET)
        if view.sight is Signal.FELL:
            told = number
        elif told is not None and track.fall is None:
            found.append((told, number))
            told = None
    return found if told is None else [*found, (told, None)]


def walked(kind: str, size: float, down: int, back: int = 0) -> list[tuple[int, int | None]]:
    """Return the falls told while a metric was down, over many series."""
    random, found = np.random.default_rng(5), list[tuple[int, int | None]]()
    for _ in range(SERIES):
        values = noise(random, kind, BEFORE + down + back)
        values[BEFORE : BEFORE + down] -= size
        found += [each for each in ends_of_falls(values) if BEFORE <= each[0] < BEFORE + down]
    return found


@pytest.mark.parametrize(("kind", "most"), [("gaussian", 0.1), ("t of 4", 0.25), ("AR .5", 0.5)])
@pytest.mark.parametrize("size", [1.5, 2.0])
def test_a_metric_that_stays_down_is_seldom_called_well_and_hardly_ever_soon(kind, most, size):
    told = walked(kind, size, down=40)
    over = [(at, end) for at, end in told if end is not None]
    assert len(told) >= 0.7 * SERIES
    assert len(over) <= most * len(told)
    assert sum(end - at <= 5 for at, end in over) <= 0.05 * len(told)


@pytest.mark.parametrize("kind", ["gaussian", "t of 4", "AR .5"])
@pytest.mark.parametrize(("size", "within", "most"), [(2.0, 14, 0.7), (3.0, 8, 0.8), (5.0, 4, 0.9)])
def test_a_metric_that_is_back_is_called_well_soon(kind, size, within, most):
    told = walked(kind, size, DOWN, back=24)
    well = [end - BEFORE - DOWN + 1 for _, end in told if end is not None and end >= BEFORE + DOWN]
    assert sum(runs <= within for runs in well) >= most * len(told)


def test_one_good_run_of_a_metric_that_is_down_does_not_end_its_incident():
    policies = Policies((MetricPolicy("score", min_effect=MinEffect(0.0)),))
    random = np.random.default_rng(8)
    for _ in range(12):
        values = 0.5 + 0.01 * random.standard_normal(40)
        values[20:] -= 0.04
        values[32] += 0.04
        said = list(judge_series(as_runs({"score": value} for value in values.tolist()), policies))
        open_since = {incident.opened_by for one in said[26:] for incident in one.standing}
        assert len(open_since) == 1
        assert all(one.standing for one in said[26:])


@given(st.lists(spreads, min_size=3, max_size=20), st.lists(spreads, min_size=2, max_size=30), st.floats(0, 9))
def test_a_better_newest_run_never_makes_a_recovery_less_certain(before, since, better):
    lost = LostLevel(0.0, 1.0, before)
    back = count_back(lost, since)
    assert bool(count_back(lost, [*since[:-1], since[-1] + better])) >= bool(back)


def test_a_track_of_the_second_form_is_read_with_its_fall():
    head = (-2.0, 14.0, 1.0, 3.0, 0.8, 0.79, 0.81, 1.0)
    fall = (0.8, 0.7, 0.01, 10.0, 2.5, 1.0, 3.0, 0.7, 0.71, 0.72)
    below = (14.0, 0.0, 4.0, 0.69, 0.7, 0.71, 0.72, 0.0)
    track = from_numbers((*head, *fall, *below))
    assert track.fall is not None
    assert (track.fall.level, track.fall.low, track.fall.onset) == (0.8, 0.7, 10)
    assert track.fall.below.values == (0.69, 0.7, 0.71, 0.72)
    assert from_numbers(to_numbers(track)) == track
