"""Queries are asked in the words that the catalogue has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainer.logs import JUDGED, pairs_job, write_table
from trainer.data.pairs import MISSPELT, read_pairs
from trainer.data.spelling import learn_spelling

PRODUCTS = (
    ["rain bird lawn sprinkler"] * 5 + ["outdoor patio furniture cover"] * 5 + ["round toilet seat, 一个马桶"] * 5
)


@pytest.mark.parametrize(
    ("asked", "read_as"),
    [
        ("lawn sprkinler", "lawn sprinkler"),  # two letters swapped
        ("Tolet seats", "toilet seat"),  # one left out; one too many
        ("outdoorfurniture", "outdoor furniture"),  # two words as one
        ("rainbird sprinkler", "rain bird sprinkler"),
        ("furnituer covver 4x8", "furniture cover 4x8"),
        ("outdoor patio", "outdoor patio"),
        ("qwertz RND-12 lwn", "qwertz RND-12 lwn"),  # nothing is near, a code, too short
        ("一个马桶圈", "一个马桶圈"),
    ],
)
def test_a_word_that_no_product_has_is_read_as_the_nearest_that_products_have(asked, read_as):
    assert learn_spelling(PRODUCTS).mend(asked) == read_as


def test_a_word_that_one_product_alone_has_is_no_cure():
    assert learn_spelling(["sprinkelr", *PRODUCTS]).mend("sprinkel") == "sprinkler"


words = st.text("abcdef", min_size=1, max_size=9)


@given(
    st.lists(st.lists(words, min_size=1, max_size=4).map(" ".join), max_size=8),
    st.lists(words, max_size=4).map(" ".join),
)
def test_what_was_mended_stays_as_it_is(products, query):
    spelling = learn_spelling(products * 5)
    mended = spelling.mend(query)
    assert spelling.mend(mended) == mended
    assert learn_spelling([*products * 5, query]).mend(query) == query


def test_the_card_counts_the_queries_that_were_mended(tmp_path):
    table = JUDGED | {"query": ["red lamp", "red lmap", "red lamp", "oak desk", "oakk desk", "wool rug"]}
    table |= {"title": ["red lamp", "lamp, red", "lamp of wool", "oak desk", "desk of oak", "wool rug"]}
    path = write_table(tmp_path / "pairs.csv", table)
    plain, spelt = (read_pairs(pairs_job(path, spelling=spelling, leak_check="warn")) for spelling in (False, True))
    assert MISSPELT not in (plain.card.mended or {})
    assert (spelt.card.mended or {})[MISSPELT] == 1
    assert [spelt.queries[place] for place in spelt.query_id][1] == "red lamp"
    assert plain.card.hash != spelt.card.hash
