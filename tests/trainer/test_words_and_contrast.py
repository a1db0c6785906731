"""BM25's words, the fusion of two lists, the mining of negatives, the batch they are learnt in."""

import numpy as np
import pytest
import torch

from trainer.data.words import split_words, word_overlap
from trainer.learning.contrastive_loss import contrast_loss, make_contrast
from trainer.learning.hard_negatives import NOTHING, Known, mine_negatives
from trainer.models.bm25 import index_words
from trainer.models.hybrid_search import Found, best_places, fuse, make_engine


def test_words_meet_in_their_stems():
    assert split_words("Boards, boarding; 3/4-in. HOSES") == ["board", "board", "3", "4", "in", "hos"]
    assert word_overlap("garden hoses", "Hose for a garden") == 1.0


def test_chinese_is_split_into_pairs_of_characters():
    assert split_words("iPhone手机充电器 red") == ["iphon", "手机", "机充", "充电", "电器", "red"]
    assert split_words("灯") == ["灯"]


def test_a_query_without_a_known_word_finds_nothing_by_words():
    lexicon = index_words(["red lamp", "blue chair"])
    assert lexicon.score("zebra").tolist() == [0.0, 0.0]
    assert lexicon.score("lamps")[0] > 0


def test_a_catalogue_without_words_can_still_be_indexed():
    assert index_words(["...", "!"]).score("lamp").tolist() == [0.0, 0.0]


def test_the_best_come_first_and_whoever_ties_with_the_last_comes_too():
    assert best_places(np.array([1.0, 3.0, 2.0, 3.0, 2.0]), 3).tolist() == [1, 3, 2, 4]
    assert best_places(np.array([1.0, 3.0, 2.0, 3.0, 2.0]), 2).tolist() == [1, 3]


def test_products_that_are_as_near_as_the_last_are_found_with_it():
    engine = make_engine(unit([[1, 0], [0, 1], [1, 0.1], [1, 0.1], [0.5, 1], [1, 0.1]]), ["lamp"] * 6)
    asked = unit([[1, 0]])[0]
    assert engine.by_vector(asked, 2).items_L.tolist() == [0, 2, 3, 5]
    assert engine.by_vector(asked, 4).items_L.tolist() == [0, 2, 3, 5]
    assert engine.by_vector(asked, 5).items_L.tolist() == [0, 2, 3, 5, 4]
    assert engine.by_words("lamp", 1).items_L.tolist() == list(range(6))


def test_a_fusion_keeps_what_either_list_is_sure_of():
    near = Found(np.array([7, 3, 5]), np.array([0.9, 0.5, 0.4]))
    worded = Found(np.array([3, 9]), np.array([12.0, 2.0]))
    assert fuse(near, worded, 1.0, 3).items_L[0] == 7
    assert fuse(near, worded, 0.0, 3).items_L[0] == 3
    assert set(fuse(near, worded, 0.5, 3).items_L) == {3, 5, 7, 9}
    nothing = Found(np.array([], dtype=np.int64), np.array([]))
    assert fuse(near, nothing, 0.5, 3) is near


@pytest.mark.parametrize("alike", [1, 2])
def test_products_that_alone_have_a_querys_word_are_put_before_those_that_have_none(alike):
    near = Found(np.arange(4), np.array([0.52, 0.51, 0.5, 0.49]))
    worded = Found(np.arange(3, 3 + alike), np.full(alike, 7.5))
    assert 3 in fuse(near, worded, 0.2, 4).items_L[:alike]
    assert fuse(near, worded, 0.0, 4).items_L[0] == 3


def test_how_many_tie_with_the_last_of_a_list_changes_no_score():
    near = Found(np.array([0, 1, 2]), np.array([0.9, 0.5, 0.4]))
    few, many = (Found(np.arange(3, 3 + count), np.array([5.0, 4.0, *[1.0] * (count - 2)])) for count in (3, 30))
    one, other = fuse(near, few, 0.5, 3), fuse(near, many, 0.5, 3)
    shared = np.isin(other.items_L, one.items_L)
    np.testing.assert_array_equal(other.scores_L[shared], one.scores_L)


def unit(rows):
    vectors = np.asarray(rows, dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_what_may_be_relevant_is_not_mined():
    """Text 0 is the relevant one, 1 judged relevant too, 2 nearly as near and unjudged, 3 far, 4 judged irrelevant."""
    engine = make_engine(unit([[1, 0.2], [1, 0.1], [1, 0.25], [0.3, 1], [1, 0.0]]), ["lamp"] * 5)
    known = Known(np.array([0, 1]), 5, {0: [4]})
    asked = {0: unit([[1, 0.2]])[0]}
    mined = mine_negatives(
        np.array([0]), np.array([0]), engine, ["lamp"], asked, known, each=3, margin=0.95, rng=np.random.default_rng(0)
    )
    assert mined.tolist() == [[4, 3, NOTHING]]


def test_false_negatives_of_a_batch_are_masked():
    known = Known(np.array([0 * 10 + 1, 0 * 10 + 2, 1 * 10 + 2, 1 * 10 + 3]), 10, {})
    batch = make_contrast(np.array([0, 1]), np.array([1, 3]), np.array([[2], [NOTHING]]), known)
    assert batch.texts_C.tolist() == [1, 2, 3]
    assert batch.blocked_BC.tolist() == [[False, True, False], [False, True, False]]
    vectors = torch.eye(3)
    loss = contrast_loss(vectors[[0, 2]], vectors, batch, 0.1)
    assert float(loss) == pytest.approx(float(np.log1p(np.exp(-10.0))), abs=1e-5)
