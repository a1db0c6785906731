"""What reruns show of a run that looked bad: the same, not so, or not yet; and of the baseline's recipe too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.config.diagnose import DataSection, ParamsSection
from bot.domain.confirmation import Measured, confirm, next_recipe, settle_by
from bot.domain.judge import Assessment, Finding, Outcome, Reason, SeriesState
from bot.domain.judge.findings import Streak
from bot.domain.policy import MetricLimit, MetricPolicy, Policies
from bot.domain.recipes import BASELINE, OWN, Plan, Recipe
from bot.domain.rerun_answers import Cause
from tests.unit.judge.judged_runs import make_run

NDCG = MetricPolicy("ndcg")
LIMITED = Policies((NDCG,), limits=(MetricLimit(MetricPolicy("latency"), high=120.0),))
FELL = Finding("ndcg", Outcome.SUSPICIOUS, Reason.BEYOND_SPREAD, value=0.76, baseline=0.80, change=-0.04, spread=0.01, n_baseline=10)  # fmt: skip
SLOW = Finding("latency", Outcome.OUTSIDE, Reason.ABOVE_LIMIT, value=143.0, limit=120.0)  # fmt: skip
VALUES = st.floats(0.70, 0.90)


def done(own=(), baseline=(), metric="ndcg"):
    made = [Measured(OWN, {metric: value}) for value in own]
    return made + [Measured(BASELINE, {metric: value}) for value in baseline]


def cause(own=(), baseline=(), finding=FELL, policies=LIMITED):
    (answer,) = confirm("run1", (finding,), done(own, baseline, finding.metric), policies).answers
    return answer.cause


@pytest.mark.parametrize(
    ("own", "baseline", "said"),
    [
        ((), (), Cause.NOT_YET),
        ((0.76, 0.757), (), Cause.SHOWN),
        ((0.80, 0.81), (), Cause.LUCK),
        ((0.785,), (), Cause.NOT_YET),
        ((0.76, 0.757), (0.80, 0.805), Cause.CHANGE),
        ((0.76, 0.757), (0.761, 0.755), Cause.OUTSIDE),
        ((0.76, 0.757), (0.785,), Cause.SHOWN),
    ],
)
def test_reruns_say_the_same_or_not_or_not_yet_and_those_of_before_whose_fault_it_is(own, baseline, said):
    assert cause(own, baseline) is said


def test_of_few_runs_more_is_asked():
    few = replace(FELL, n_baseline=3)
    assert cause((0.76,), finding=FELL) is cause((0.76, 0.76), finding=few)


def test_a_limit_is_confirmed_by_a_rerun_that_breaks_it_and_ended_by_one_that_keeps_to_it():
    assert cause((141.0,), finding=SLOW) is Cause.SHOWN
    assert cause((112.0,), finding=SLOW) is Cause.LUCK
    slower = replace(LIMITED, limits=(replace(LIMITED.limits[0], breaches=3),))
    assert cause((141.0, 112.0), finding=SLOW, policies=slower) is Cause.NOT_YET


@settings(deadline=None)
@given(own=st.lists(VALUES, min_size=1, max_size=5), lower=st.floats(0.0, 0.05))
def test_lower_reruns_never_make_a_fall_less_certain(own, lower):
    order = [Cause.LUCK, Cause.NOT_YET, Cause.SHOWN]
    assert order.index(cause([value - lower for value in own])) >= order.index(cause(own))


@settings(deadline=None)
@given(own=st.lists(VALUES, min_size=1, max_size=4), factor=st.sampled_from([0.001, 4096.0]), flipped=st.booleans())
def test_another_unit_or_direction_changes_nothing(own, factor, flipped):
    scale = -factor if flipped else factor
    scaled = replace(FELL, value=scale * 0.76, baseline=scale * 0.80, change=scale * -0.04, spread=factor * 0.01)
    assert cause([scale * value for value in own], finding=scaled) is cause(own)


def test_a_rerun_that_failed_or_has_no_usable_value_says_nothing_and_is_counted():
    made = [Measured(OWN, {}), Measured(OWN, {"ndcg": float("nan")})]
    confirmation = confirm("run1", (FELL,), made, LIMITED)
    assert (confirmation.answers[0].cause, confirmation.failed) == (Cause.NOT_YET, 1)


def next_of(own=(), baseline=(), plan=Plan(2, 3)):
    made = done(own, baseline)
    return next_recipe(confirm("run1", (FELL,), made, LIMITED), len(made), plan)


def test_one_more_is_asked_for_until_it_is_settled_or_the_budget_is_spent():
    assert next_of() == OWN
    assert next_of((0.785,)) == OWN
    assert next_of((0.785, 0.785, 0.785)) is None
    assert next_of((0.76, 0.757)) is None
    assert next_of((0.80, 0.81)) is None
    assert next_of(plan=Plan()) is None


def test_the_recipe_of_before_is_made_again_once_a_fall_is_sure_and_where_it_can_be_set():
    both = Plan(2, 6, has_baseline=True)
    assert next_of((0.76, 0.757), plan=both) == BASELINE
    assert next_of((0.76, 0.757), (0.785,), plan=both) == BASELINE
    assert next_of((0.76, 0.757), (0.80, 0.81), plan=both) is None
    assert next_of((0.80, 0.81), plan=both) is None


def settled(own):
    state = SeriesState(streaks={"ndcg": Streak("run1", 1, confirmed=False)})
    said = Assessment("run1", (FELL,), state, wants_confirmation=True)
    return settle_by(confirm("run1", said.findings, done(own), LIMITED), said)


def test_what_reruns_show_is_certain_and_so_is_the_next_bad_run():
    said = settled((0.76, 0.757))
    assert (said.outcome, said.findings[0].reason) == (Outcome.REGRESSED, Reason.CONFIRMED)
    assert said.state.streaks["ndcg"].confirmed
    assert not said.wants_confirmation


def test_what_reruns_do_not_show_was_luck_and_the_run_is_baseline_like_any_other():
    said = settled((0.80, 0.81))
    assert (said.outcome, said.findings[0].reason) == (Outcome.OK, Reason.NOT_REPRODUCED)
    assert said.accepted
    assert said.state.streaks == {}


def test_what_reruns_cannot_tell_stays_a_suspicion():
    said = settled((0.785,))
    assert said.findings == (FELL,)
    assert said.state.streaks["ndcg"] == Streak("run1", 1, confirmed=False)


@pytest.mark.parametrize(
    ("fall", "right", "wrong", "at_least"),
    [(0.0, Cause.LUCK, Cause.SHOWN, 0.85), (4.0, Cause.SHOWN, Cause.LUCK, 0.95)],
)
def test_healthy_recipes_are_seldom_called_fallen_nor_fallen_ones_healthy(fall, right, wrong, at_least):
    """Two reruns, or up to four, of a run that was noticed for being four spreads low, by ten runs before."""
    random = np.random.default_rng(4)
    said: list[Cause] = []
    for _ in range(200):
        before = random.normal(0.80, 0.01, 10)
        seen = replace(FELL, baseline=before.mean(), change=-0.04, spread=before.std(ddof=1))
        made: list[Measured] = []
        while next_recipe(confirm("run1", (seen,), made, LIMITED), len(made), Plan(2, 4)) is not None:
            made += done([random.normal(0.80 - fall * 0.01, 0.01)])
        said.append(confirm("run1", (seen,), made, LIMITED).answers[0].cause)
    assert said.count(wrong) <= 0.01 * len(said)
    assert said.count(right) >= at_least * len(said)


def test_a_recipe_takes_what_a_run_was_made_with():
    run = replace(make_run(1, {}).run, params={"data": "2026-03-01"}, tags={"mlflow.source.git.commit": "4f2a"})
    recipe = Recipe(BASELINE, ("--data={params.data}", "{seed}"), {"COMMIT": "{commit}"}, "/srv/{run_id}")
    filled = Recipe(BASELINE, ("--data=2026-03-01", "{seed}"), {"COMMIT": "4f2a"}, "/srv/run1")
    assert recipe.of(run) == filled
    assert Recipe(BASELINE, ("{params.lr}",)).of(run) == "params.lr"


@pytest.mark.parametrize("value", ["{seed}", "{fire_id}-{{}", "{parts}", '{"a": {"b": 1}}', "{params.x}"])
def test_a_value_of_a_run_is_set_as_it_is_whatever_looks_like_a_place_in_it(value):
    run = replace(make_run(1, {}).run, params={"x": value})
    recipe = Recipe(BASELINE, ("--x={params.x}", "--seed={seed}"), {"X": "{params.x}/{fire_id}"}).of(run)
    assert isinstance(recipe, Recipe)
    job = recipe.for_job("7", "f1")
    assert (job.arguments, job.environment) == ((f"--x={value}", "--seed=7"), {"X": f"{value}/f1"})
    params = ParamsSection(arguments=("--set={name}={value}", "{seed}"))
    assert params.set_to("x", value).for_job("7", "f1").arguments == (f"--set=x={value}", "7")
    data = DataSection(arguments=("--x={params.x}", "{parts}"), parts="tags.days")
    chosen = data.set_to(run, (value,))
    assert chosen is not None
    assert chosen.for_job("7", "f1").arguments == (f"--x={value}", value)
