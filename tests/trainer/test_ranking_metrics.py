from itertools import pairwise, permutations
from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.measures.per_example import PerExample, aggregate, aggregate_slices, gather_examples
from trainer.measures.ranks import (
    Coverage,
    expected_hits,
    expected_ndcg,
    expected_reciprocal_rank,
    rank_targets,
    score_ranks,
)

few_scores = st.lists(st.integers(0, 2), min_size=3, max_size=6)


def orders(scores):
    """Give every order in which the items may stand when ties are broken at random."""
    return [p for p in permutations(range(len(scores))) if all(scores[a] >= scores[b] for a, b in pairwise(p))]


@settings(max_examples=60, deadline=None)
@given(few_scores, st.data())
def test_ties_count_as_the_mean_over_all_ways_to_break_them(scores, data):
    target, k = data.draw(st.integers(0, len(scores) - 1)), data.draw(st.integers(1, 6))
    ranks = rank_targets(np.array([scores], dtype=np.float32), np.array([0]), np.array([target]))
    places = [order.index(target) + 1 for order in orders(scores)]
    assert expected_hits(ranks, k)[0] == pytest.approx(np.mean([place <= k for place in places]))
    gains = [1 / log2(1 + place) if place <= k else 0 for place in places]
    assert expected_ndcg(ranks, k)[0] == pytest.approx(np.mean(gains))
    reciprocal = expected_reciprocal_rank(ranks, len(scores))[0]
    assert reciprocal == pytest.approx(np.mean([1 / place for place in places]))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 2), min_size=4, max_size=4), min_size=1, max_size=2), st.integers(1, 3))
def test_coverage_is_the_mean_share_over_all_ways_to_break_ties(rows, k):
    firsts = [[set(order[:k]) for order in orders(row)] for row in rows]
    shares = [len(first | second) / 4 for first in firsts[0] for second in (firsts[1] if len(rows) > 1 else [set()])]
    coverage = Coverage(4, k)
    for row in rows:
        coverage.add(np.array([row], dtype=np.float32))
    assert coverage.share() == pytest.approx(np.mean(shares))


def test_a_catalogue_where_all_tie_is_ranked_by_chance():
    ranks = rank_targets(np.zeros((1, 100), dtype=np.float32), np.array([0]), np.array([3]))
    values = score_ranks(ranks, 100)
    assert values["hr_at_10"][0] == pytest.approx(0.1)
    assert values["recall_at_50"][0] == pytest.approx(0.5)


def test_a_target_that_scores_highest_alone_gets_everything():
    scores = np.arange(60, dtype=np.float32)[None]
    values = score_ranks(rank_targets(scores, np.array([0]), np.array([59])), 60)
    assert {name: float(value[0]) for name, value in values.items()} == dict.fromkeys(values, 1.0)


tables = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 2), st.floats(0, 1, allow_nan=False)), min_size=1, max_size=40
)


@given(tables)
def test_the_table_gives_the_metric_of_targets_averaged_within_examples(targets):
    example, part, value = (np.array(column) for column in zip(*targets, strict=True))
    table = gather_examples(example, part, {"hr": value}, tuple("abcde"), ("x", "y", "z"), "part")
    direct = np.mean([value[example == one].mean() for one in np.unique(example)])
    assert aggregate(table)["hr"] == pytest.approx(direct)
    assert table.weights.sum() == len(targets)


@given(tables)
def test_a_slice_is_the_metric_of_the_targets_in_it_alone(targets):
    example, part, value = (np.array(column) for column in zip(*targets, strict=True))
    table = gather_examples(example, part, {"hr": value}, tuple("abcde"), ("x", "y", "z"), "part")
    slices = aggregate_slices(table, {"part": sorted(set(table.slices["part"]))})["part"]
    for number in np.unique(part):
        inside = part == number
        examples, values = slices["xyz"[number]]
        direct = [value[inside & (example == one)].mean() for one in np.unique(example[inside])]
        assert (examples, values["hr"]) == (len(direct), pytest.approx(np.mean(direct)))


@given(tables, st.floats(0.5, 8))
def test_scaling_the_weights_of_all_rows_changes_nothing(targets, factor):
    example, part, value = (np.array(column) for column in zip(*targets, strict=True))
    table = gather_examples(example, part, {"hr": value}, tuple("abcde"), ("x", "y", "z"), "part")
    scaled = PerExample(table.example_ids, table.slices, table.weights * factor, table.values)
    assert aggregate(scaled)["hr"] == pytest.approx(aggregate(table)["hr"])
