"""The search for what made a fall: it names causes with few reruns, says luck and outside, and accuses nobody without evidence."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.diagnose import BUDGET, SimulatedJob, herald, plant
from bot.domain.diagnosis.answer import Diagnosis, answer
from bot.domain.diagnosis.choice import ALL_SETTINGS, choose
from bot.domain.diagnosis.hypotheses import (
    Alone,
    Hypotheses,
    Hypothesis,
    InPart,
    Luck,
    Outside,
    Together,
    suppose,
    suppose_step,
)
from bot.domain.diagnosis.posterior import RerunResult, TwoLevels, believe, levels_of

ACCEPTED = tuple(0.8 + 0.004 * float(one) for one in np.random.default_rng(7).normal(size=20))
SPREAD = float(np.std(ACCEPTED, ddof=1))


def search(
    hypotheses: Hypotheses, cause: Hypothesis, drop: float, budget: int = BUDGET, smallest: float = 0.0
) -> tuple[Diagnosis, list[RerunResult]]:
    """Let a cause bring a fall of so many spreads, with noise in the reruns, until it is named."""
    random = np.random.default_rng(11)
    truth = Hypotheses(hypotheses.components, (cause,), np.ones(1))
    levels = levels_of(ACCEPTED, [0.8 - drop * SPREAD] * 2)
    reruns: list[RerunResult] = []
    while True:
        posterior = believe(hypotheses, levels, reruns)
        found = answer(hypotheses, posterior, levels, smallest)
        settings = choose(hypotheses, posterior, levels, {one.setting for one in reruns})
        if found.is_sure or not settings or len(reruns) == budget:
            return found, reruns
        (setting,) = settings
        share = truth.shares_of_fall(np.array([setting]))[0, 0]
        reruns.append(RerunResult(setting, 0.8 - SPREAD * (drop * share + float(random.normal()))))


CAUSES = [Alone(0), Alone(3), Together(1, 4), Luck(), Outside()]


@pytest.mark.parametrize("cause", CAUSES, ids=str)
def test_a_clear_cause_among_five_is_named_within_eight_reruns(cause: Hypothesis):
    found, reruns = search(suppose([1.0] * 5), cause, drop=6)
    assert found.cause == cause
    assert found.likeliest.probability >= 0.95
    assert len(reruns) <= 8


def test_two_that_bring_a_part_each_are_told_with_their_shares():
    found, _ = search(suppose([1.0] * 3), InPart(0, 2, 0.7), drop=16, budget=8)
    assert isinstance(found.cause, InPart)
    assert (found.cause.first, found.cause.second) == (0, 2)
    assert found.cause.share == pytest.approx(0.7, abs=0.1)


def test_the_only_thing_that_changed_is_proven_by_setting_it_back():
    found, reruns = search(suppose([1.0]), Alone(0), drop=6)
    assert found.cause == Alone(0)
    assert {one.setting for one in reruns} == {(True,), (False,)}


def test_the_first_bad_one_of_thirty_commits_is_found_by_its_neighbours():
    found, reruns = search(suppose_step([1.0] * 30), Alone(21), drop=8)
    assert found.cause == Alone(21)
    assert len(reruns) <= 8
    assert all(one.setting == tuple(sorted(one.setting, reverse=True)) for one in reruns)  # each with all before it


def test_one_guilty_parameter_of_thirty_is_found_without_looking_at_a_billion_settings():
    found, reruns = search(suppose([1.0] * 30), Alone(17), drop=8, budget=16)
    assert found.cause == Alone(17)
    assert len(reruns) <= 12


def test_a_fall_smaller_than_what_matters_is_luck_whatever_brought_it():
    found, _ = search(suppose([1.0] * 4), Alone(2), drop=6, smallest=20 * SPREAD)
    assert found.cause == Luck()


def test_a_budget_too_small_leaves_it_undecided_and_says_what_is_likeliest():
    found, reruns = search(suppose([3.0, 1.0, 1.0, 1.0]), Alone(0), drop=3, budget=1)
    assert found.cause is None
    assert len(reruns) == 1
    assert found.not_excluded


def test_suspicion_from_before_is_what_is_believed_without_reruns():
    hypotheses = suppose([8.0, 1.0, 1.0])
    found = answer(hypotheses, believe(hypotheses, levels_of(ACCEPTED, [0.7]), ()), levels_of(ACCEPTED, [0.7]))
    assert found.likeliest.cause == Alone(0)
    assert not found.is_sure


@pytest.mark.parametrize(
    ("accepted", "bad", "said"),
    [
        ((0.8, 0.81), (0.7,), "needs 3 accepted runs and a bad one, not 2 and 1"),
        ((0.8, 0.81, 0.79), (), "not 3 and 0"),
        ((0.8, 0.8, 0.8), (0.8,), "nothing to diagnose: the bad runs lie at 0.8"),
    ],
)
def test_without_runs_that_show_the_noise_there_is_no_diagnosis(accepted, bad, said):
    with pytest.raises(ValueError, match=said):
        levels_of(accepted, bad)


def test_of_a_program_without_chance_one_rerun_tells_much():
    levels = levels_of((0.8, 0.8, 0.8), (0.7,))
    hypotheses = suppose([1.0, 1.0])
    found = answer(
        hypotheses,
        believe(hypotheses, levels, [RerunResult((True, False), 0.7), RerunResult((False, False), 0.8)]),
        levels,
    )
    assert found.cause == Alone(0)


def test_at_four_spreads_the_guilty_are_named_and_the_innocent_are_not():
    jobs: list[SimulatedJob] = [*plant(range(42), 4, 4.0, 3, 1.0), *plant(range(33), 8, 4.0, 3, 1.0)]
    said = [(job.cause, herald(job)) for job in jobs]
    assert sum(one.cause == cause for cause, one in said) >= 0.85 * len(jobs)
    assert sum(one.cause not in {cause, None} for cause, one in said) <= 1
    assert np.mean([one.reruns for _, one in said]) <= 7


VALUES = st.floats(0.7, 0.9).map(lambda value: round(value, 4))


@st.composite
def searches(draw: st.DrawFn) -> tuple[int, list[RerunResult]]:
    components = draw(st.integers(1, 5))
    settings = draw(st.lists(st.tuples(*[st.booleans()] * components), unique=True, max_size=6))
    return components, [RerunResult(setting, draw(VALUES)) for setting in settings]


LEVELS = levels_of(ACCEPTED, (0.78, 0.775))


@given(searches(), st.integers(1, 3))
def test_chances_add_up_to_one_and_no_setting_is_run_twice(drawn: tuple[int, list[RerunResult]], at_once: int):
    components, reruns = drawn
    hypotheses = suppose([1.0] * components)
    posterior = believe(hypotheses, LEVELS, reruns)
    assert posterior.probability.sum() == pytest.approx(1)
    assert (posterior.probability >= 0).all()
    done = {one.setting for one in reruns}
    settings = choose(hypotheses, posterior, LEVELS, done, at_once)
    assert done.isdisjoint(settings)
    assert len(set(settings)) == len(settings) == min(at_once, 2**components - len(done))


@given(searches(), st.sampled_from([-250.0, -1.0, 0.01, 100.0]), st.sampled_from([0.0, -3.0, 40.0]))
def test_units_and_direction_of_the_metric_change_nothing(
    drawn: tuple[int, list[RerunResult]], unit: float, offset: float
):
    components, reruns = drawn
    hypotheses = suppose([1.0 + place for place in range(components)])
    others = levels_of([unit * one + offset for one in ACCEPTED], [unit * one + offset for one in (0.78, 0.775)])
    posterior = believe(hypotheses, LEVELS, reruns)
    in_other_units = [RerunResult(one.setting, unit * one.value + offset) for one in reruns]
    assert believe(hypotheses, others, in_other_units).probability == pytest.approx(posterior.probability, abs=1e-6)


@given(searches(), st.randoms(use_true_random=False))
def test_the_order_of_components_changes_nothing(drawn: tuple[int, list[RerunResult]], random):
    components, reruns = drawn
    order = list(range(components))
    random.shuffle(order)
    renamed = [RerunResult(tuple(one.setting[place] for place in order), one.value) for one in reruns]
    hypotheses = suppose([1.0] * components)
    here, there = (believe(hypotheses, LEVELS, each).probability[:components] for each in (reruns, renamed))
    assert there == pytest.approx([here[place] for place in order])


@pytest.mark.parametrize("components", [1, 2, 5, 8])
def test_a_good_run_with_everything_as_it_is_speaks_for_luck_and_a_bad_one_with_nothing_for_outside(components: int):
    hypotheses = suppose([1.0] * components)
    good = RerunResult((True,) * components, LEVELS.before)
    bad = RerunResult((False,) * components, LEVELS.since)
    before, after_good, after_bad = (believe(hypotheses, LEVELS, each).probability for each in ([], [good], [bad]))
    luck, outside = hypotheses.all.index(Luck()), hypotheses.all.index(Outside())
    assert after_good[luck] > 2 * before[luck]
    assert after_bad[outside] > 2 * before[outside]


def test_many_components_are_not_enumerated():
    hypotheses = suppose([1.0] * (ALL_SETTINGS + 5))
    levels: TwoLevels = LEVELS
    assert choose(hypotheses, believe(hypotheses, levels, ()), levels, set())


@pytest.mark.parametrize("elsewhere", [-9.0, 9.0])
@pytest.mark.parametrize(
    ("cause", "said"),
    [(Alone(1), Alone(1)), (Together(0, 2), Together(0, 2)), (Luck(), None), (Outside(), None)],
    ids=str,
)
def test_on_a_cut_of_the_data_levels_are_learnt_anew_and_what_shows_no_difference_stays_open(cause, said, elsewhere):
    random = np.random.default_rng(3)
    hypotheses, truth = suppose([1.0] * 3), Hypotheses(3, (cause,), np.ones(1))
    levels = levels_of(ACCEPTED, [0.8 - 24 * SPREAD] * 2, share=0.25)
    reruns: list[RerunResult] = []
    for _ in range(BUDGET):
        posterior = believe(hypotheses, levels, reruns)
        if answer(hypotheses, posterior, levels).is_sure:
            break
        settings = choose(hypotheses, posterior, levels, {one.setting for one in reruns})
        if not settings:
            break
        (setting,) = settings
        fell = 22 * truth.shares_of_fall(np.array([setting]))[0, 0]
        reruns.append(RerunResult(setting, 0.8 - SPREAD * (fell + elsewhere + 2 * float(random.normal()))))
    assert answer(hypotheses, believe(hypotheses, levels, reruns), levels).cause == said


def test_the_second_of_two_at_once_tells_what_the_first_does_not():
    hypotheses = suppose([1.0] * 4)
    posterior = believe(hypotheses, LEVELS, ())
    (first,) = choose(hypotheses, posterior, LEVELS, set())
    opposite = tuple(not is_bad for is_bad in first)
    again, second = choose(hypotheses, posterior, LEVELS, set(), 2)
    assert again == first
    assert second not in (first, opposite), "what the opposite tells of one component, the first has told"
