"""A slice that falls while its metric stands: told of its newest runs together, and kept out of its own baseline."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bot.domain.incidents import IncidentState, SeriesKey, Turn, advance
from bot.domain.judge import Outcome, Reason
from bot.domain.judge.slice_levels import SliceRuns, find_fall, study
from bot.domain.policy import IncidentPolicy, MinEffect
from tests.unit.judge.judged_runs import POLICIES, START, judge_all, make_run, make_table, with_metric

SLICED = with_metric(replace(POLICIES, slice_by=("department",)), min_effect=MinEffect(0.05))
DEPARTMENTS = np.repeat([f"d{number:02d}" for number in range(20)], 40)
FIRST = "hr [department=d00]"


def make_history(*shares: float, seed: int = 1):
    """Return runs in which the first of twenty departments keeps these shares of its results."""
    random = np.random.default_rng(seed)
    level = random.beta(4, 8, len(DEPARTMENTS))
    runs = []
    for number, share in enumerate(shares):
        usual = level * np.where(DEPARTMENTS == "d00", share, 1.0) * (1 + random.normal(0, 0.01))
        values = np.clip(usual + random.normal(0, 0.05, len(level)), 0, 1)
        runs.append(make_run(number, {"hr": float(values.mean())}, examples=make_table(values, DEPARTMENTS)))
    return runs


def turns_of(said, policy=IncidentPolicy(recovery_runs=2)):
    known, turns = {}, []
    ends = {f"run{number}": START for number in range(len(said))}
    for each in said:
        standing = [incident for incident in known.values() if not incident.state.is_over]
        steps = advance(standing, each, SeriesKey("shop"), policy, START, ends)
        known |= {step.incident.incident_id: step.incident for step in steps}
        turns.append([step.turn for step in steps])
    return list(known.values()), turns


def test_a_slice_that_loses_half_is_told_while_its_run_stays_baseline_for_all_else():
    said = judge_all(make_history(*[1.0] * 8, *[0.5] * 12, 1.0, 1.0, 1.0), SLICED)
    incidents, turns = turns_of(said)
    assert [turn for run in turns[:9] for turn in run] == [], "one bad run proves nothing"
    assert turns[9] == [Turn.FILED]
    assert all(one.accepted for one in said)
    assert turns[21] == [Turn.RESOLVED]
    assert [incident.state for incident in incidents] == [IncidentState.RESOLVED]
    assert incidents[0].metrics == (FIRST,)
    assert incidents[0].onset == "run8"


def test_the_fallen_runs_never_become_the_baseline_of_their_slice():
    said = judge_all(make_history(*[1.0] * 6, *[0.5] * 30), SLICED)
    last = next(finding for finding in said[-1].findings if finding.key == FIRST)
    assert last.outcome is Outcome.REGRESSED
    assert last.relative == pytest.approx(-0.5, abs=0.1)
    other = next(finding for finding in said[-1].findings if finding.key == "hr [department=d01]")
    assert other.n_baseline == 35


def test_one_bad_run_of_a_slice_is_named_and_not_told():
    said = judge_all(make_history(*[1.0] * 8, 0.3, *[1.0] * 4), SLICED)
    named = next(finding for finding in said[8].findings if finding.key == FIRST)
    assert named.outcome is Outcome.SUSPICIOUS
    assert turns_of(said)[0] == []


def test_a_slice_is_told_of_falls_larger_than_its_own_smallest_effect_alone():
    runs = make_history(*[1.0] * 8, *[0.7] * 4)
    assert turns_of(judge_all(runs, SLICED))[0] != []
    patient = replace(SLICED, slice_min_effect=MinEffect(0.4))
    assert turns_of(judge_all(runs, patient))[0] == []


def test_what_fell_is_the_mean_of_the_newest_runs():
    said = judge_all(make_history(*[1.0] * 8, 0.5, 0.5), SLICED)
    told = next(finding for finding in said[9].findings if finding.key == FIRST)
    assert (told.reason, told.n_since, told.onset) == (Reason.LEVEL_FELL, 2, "run8")
    assert told.change_low < told.change < told.change_high < 0


@pytest.mark.parametrize("noise", ["normal", "wandering"])
def test_healthy_slices_are_hardly_ever_said_to_have_fallen(noise):
    random = np.random.default_rng(7)
    told = histories = 0
    for _ in range(12):
        drift, values = np.zeros(20), []
        for _ in range(25):
            drift = 0.6 * drift + random.normal(0, 0.02, 20)
            values.append(0.3 + random.normal(0, 0.02, 20) + (drift if noise == "wandering" else 0.0))
        table = np.array(values)
        smallest = 1.0
        for last in range(4, 25):
            fit = np.ones(last, dtype=bool)
            slices = [SliceRuns(table[: last + 1, each], fit, 100, 0.04) for each in range(20)]
            studied = study(slices)
            found = [find_fall(one, studied, 3) for one in slices]
            smallest = min(smallest, *(20 * fall.p for fall in found if fall is not None), 1.0)
        told += smallest < 0.001
        histories += 1
    assert told <= histories // 10
