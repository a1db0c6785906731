"""Which of some pieces in a row did it: of commits, or of parts of the data."""

from __future__ import annotations

import pytest

from bench.diagnose import COMMITS, among_commits, plant_commits
from bot.domain.diagnosis.narrowing import look_within
from bot.domain.diagnosis.pieces import DonePieces
from bot.domain.diagnosis.posterior import levels_of

LEVELS = levels_of((0.801, 0.797, 0.803, 0.799, 0.802, 0.798, 0.800, 0.801, 0.799, 0.802), (0.752, 0.748))


def test_at_four_spreads_the_guilty_commit_among_eight_is_named_and_no_innocent_one():
    found = [(job.guilty, *among_commits(job)) for job in plant_commits(range(40), 4.0, 3)]
    assert sum(narrowed.is_one and narrowed.first == guilty for guilty, narrowed, _ in found) >= 0.9 * len(found)
    assert all(narrowed.first <= guilty <= narrowed.last for guilty, narrowed, _ in found)
    assert sum(reruns for *_, reruns in found) <= 5 * len(found)


@pytest.mark.parametrize("guilty", range(COMMITS))
def test_without_noise_halving_finds_each_of_eight_in_three_reruns(guilty: int):
    done: list[DonePieces] = []
    while (outlook := look_within(COMMITS, LEVELS, (), done, 8)).wanted:
        (wanted,) = outlook.wanted
        done.append(DonePieces(wanted, 0.75 if wanted > guilty else 0.80))
    assert outlook.narrowed.is_one
    assert outlook.narrowed.first == guilty
    assert len(done) == 3


def test_one_piece_is_known_without_a_rerun():
    outlook = look_within(1, LEVELS, (), (), 8)
    assert outlook.wanted == ()
    assert outlook.narrowed.is_one


def test_what_failed_is_not_run_again_and_says_nothing():
    before, after = (look_within(2, LEVELS, (), done, 8) for done in ((), [DonePieces(1, None)]))
    assert before.wanted == (1,)
    assert after.wanted == ()
    assert after.narrowed == before.narrowed


def test_pieces_that_one_which_does_not_run_keeps_together_end_it_once_those_beside_it_are_clear():
    done: list[DonePieces] = []
    while (outlook := look_within(COMMITS, LEVELS, (), done, 8)).wanted:
        (wanted,) = outlook.wanted
        value = None if wanted == 4 else 0.75 if wanted > 4 else 0.80
        done.append(DonePieces(wanted, value))
    assert (outlook.narrowed.first, outlook.narrowed.last) == (3, 4)
    assert sorted(each.count for each in done) == [3, 4, 5]


def test_a_value_that_came_twice_counts_once_as_another_seed_changes_nothing():
    in_between = 0.777
    once, twice = (look_within(2, LEVELS, (), [DonePieces(1, in_between)] * times, 8) for times in (1, 2))
    assert once.wanted == (1,), "another seed may tell"
    assert twice.wanted == ()
    assert twice.narrowed == once.narrowed


def test_a_budget_that_is_used_up_leaves_a_stretch_that_is_sure_enough():
    outlook = look_within(COMMITS, LEVELS, (), [DonePieces(4, 0.75)], 1)
    assert outlook.wanted == ()
    assert (outlook.narrowed.first, outlook.narrowed.last) == (0, 3)


def test_several_at_once_are_told_apart_by_each_other_within_the_budget():
    outlook = look_within(COMMITS, LEVELS, (), (), 8, at_once=3)
    assert sorted(outlook.wanted) == [2, 4, 6]
    assert len(look_within(COMMITS, LEVELS, (), (), 2, at_once=3).wanted) == 2
