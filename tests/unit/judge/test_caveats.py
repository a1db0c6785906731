"""An alarm in a metric of a kind in which many are false says so; others do not."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.cli.judge_answers import judge_lines
from bot.domain.judge import Caveat
from bot.domain.judge.caveats import caveat_of
from bot.domain.policy import Preset
from bot.text.locales import read_locale


def wandering(n: int) -> np.ndarray:
    random, values = np.random.default_rng(3), np.zeros(n)
    for i in range(1, n):
        values[i] = 0.9 * values[i - 1] + random.standard_normal()
    return values


def two_levels(n: int) -> np.ndarray:
    return (np.arange(n) // 4 % 2) + 0.15 * np.random.default_rng(4).standard_normal(n)


def copies(n: int) -> np.ndarray:
    random = np.random.default_rng(5)
    return np.repeat(random.standard_normal(n // 2), 2) + 0.01 * random.standard_normal(n // 2 * 2)


KINDS = [(wandering, Caveat.WANDERS), (two_levels, Caveat.TWO_LEVELS), (copies, Caveat.COPIES)]


@pytest.mark.parametrize(("noise", "caveat"), KINDS)
def test_kinds_of_noise_are_told_from_their_numbers(noise, caveat):
    assert caveat_of((0.8 + 0.01 * noise(30)).tolist()) is caveat


def test_independent_runs_seldom_give_reason_for_doubt():
    random = np.random.default_rng(6)
    found = [caveat_of(random.standard_normal(int(n)).tolist()) for n in random.integers(8, 60, 300)]
    assert sum(caveat is not None for caveat in found) < 0.1 * len(found)


def test_few_runs_or_runs_that_are_all_the_same_tell_nothing():
    assert caveat_of([0.8, 0.81, 0.82]) is None
    assert caveat_of([0.8] * 20) is None


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1, 1), max_size=30), st.sampled_from([0.001, 1000.0]), st.sampled_from([-1.0, 1.0]))
def test_neither_unit_nor_direction_changes_a_doubt(values, factor, sign):
    values = [round(value, 3) for value in values]
    assert caveat_of([sign * factor * value for value in values]) == caveat_of(values)


def say(values, locale: str = "en") -> dict:
    line = json.dumps({"id": 1, "metric": "ndcg", "values": [round(float(value), 6) for value in values]})
    (answer,) = judge_lines([line], preset=Preset.QUIET, locale=read_locale(locale))
    return json.loads(answer)


@pytest.mark.parametrize(("locale", "words"), [("en", "keep to one of two levels"), ("zh", "两种水平")])
def test_an_alarm_says_where_it_may_be_false_and_a_healthy_run_does_not(locale, words):
    healthy = 0.8 + 0.01 * two_levels(30)
    alarm = say([*healthy, *[healthy.min() - 0.002 + 0.0001 * i for i in range(8)]], locale)
    assert alarm["finding"]["outcome"] == "regressed"
    assert alarm["finding"]["caveat"] == "two_levels"
    assert words in alarm["sentence"]
    quiet = say(healthy, locale)
    assert quiet["finding"]["caveat"] is None
    assert words not in quiet["sentence"]


def test_a_collapse_is_beyond_doubt():
    assert say([*(0.8 + 0.01 * two_levels(30)), *[0.4] * 4])["finding"]["caveat"] is None


def test_an_alarm_in_independent_noise_says_nothing_of_the_kind():
    values = 0.8 + 0.01 * np.random.default_rng(8).standard_normal(30)
    assert say([*values, *[0.7] * 4])["finding"]["caveat"] is None
