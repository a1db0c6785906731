import numpy as np
import pyarrow as pa
import pytest

from tests.trainer.logs import JUDGED, pairs_job, write_table
from trainer.data.pairs import read_pairs
from trainer.data.splits import Part
from trainer.errors import DataError


def pairs(path, table=JUDGED, **changes):
    return read_pairs(pairs_job(write_table(path / "pairs.csv", table), **changes))


def test_rows_keep_their_order_and_point_to_their_texts(tmp_path):
    found = pairs(tmp_path)
    assert [found.queries[place] for place in found.query_id] == JUDGED["query"]
    assert [found.products[place] for place in found.product_id] == JUDGED["title"]
    assert found.label.tolist() == JUDGED["grade"]
    assert [list(Part)[number].value for number in found.part] == JUDGED["split"]
    assert found.rows(Part.TEST).tolist() == [4, 5]


def test_numbers_are_dense_and_every_text_is_used(tmp_path):
    found = pairs(tmp_path)
    assert set(found.query_id.tolist()) == set(range(len(found.queries)))
    assert set(found.product_id.tolist()) == set(range(len(found.products)))


def test_the_card_counts_what_was_left_out_and_why(tmp_path):
    table = {
        "query": ["red lamp", None, "oak desk", "oak desk", "wool rug", "red lamp", "red lamp"],
        "title": ["a lamp", "b", None, "c desk", "d rug", "a lamp", "a lamp"],
        "grade": [3.0, 1.0, 1.0, None, 2.5, 3.0, 9.0],
        "split": ["train", "train", "train", "train", "test", "train", "train"],
    }
    card = pairs(tmp_path, table, cleaning={"lowest": 1.0, "highest": 3.0}).card
    assert {reason: count for reason, count in card.dropped.items() if count} == {
        "no query": 1,
        "no product": 1,
        "no label": 1,
        "impossible label": 1,
        "the same row again": 1,
    }
    assert (card.rows_in, card.rows_kept, card.parts) == (7, 2, {"train": 1, "valid": 0, "test": 1})
    assert set(card.dropped) == set(card.explained or {})


def test_a_row_of_another_slice_is_another_row(tmp_path):
    table = {name: values * 2 for name, values in JUDGED.items()} | {"market": ["fr"] * 6 + ["de"] * 6}
    found = pairs(tmp_path, table, columns={"slices": ["market"]})
    assert found.card.rows_kept == 12
    assert sorted(set(found.slices["market"])) == ["de", "fr"]
    assert pairs(tmp_path, table).card.dropped["the same row again"] == 6


def test_a_text_may_be_made_of_several_columns(tmp_path):
    found = pairs(tmp_path, columns={"product": ["title", "query"], "query_id": "query", "product_id": "title"})
    assert found.products[found.product_id[0]] == "lamp, red red lamp"
    assert found.product_keys[found.product_id[0]] == "lamp, red"


def test_labels_that_are_words_are_classes(tmp_path):
    table = JUDGED | {"grade": ["good", "bad", "good", "bad", "fair", "bad"]}
    found = pairs(tmp_path, table)
    assert found.classes == ("bad", "fair", "good")
    assert found.label.tolist() == [2, 0, 2, 0, 1, 0]


def test_true_and_false_are_one_and_zero(tmp_path):
    found = pairs(tmp_path, JUDGED | {"grade": [True, False] * 3})
    assert (found.classes, found.label.tolist()) == ((), [1, 0] * 3)


def test_without_labels_every_pair_counts(tmp_path):
    assert pairs(tmp_path, columns={"label": None}).label.tolist() == [1.0] * 6


def test_the_catalogue_is_what_the_test_asks_for_then_goes_on_by_number_and_shows_no_difference(tmp_path):
    more = write_table(tmp_path / "more.csv", {"id": [30, 4, 200], "text": ["sofa", "chair", "bench"]})
    table = JUDGED | {"id": [9, 10, 11, 12, 500, 10]}
    products = {"path": more, "id": "id", "text": "text"}
    found = pairs(tmp_path, table, columns={"product_id": "id"}, products=products, catalogue=5)
    assert found.product_keys[: found.card.catalogue_size] == ("4", "9", "10", "11", "500")
    assert set(found.product_keys[5:]) == {"12"}
    assert found.products[0] == "chair"


def test_an_empty_part_is_named(tmp_path):
    with pytest.raises(DataError, match=r"pairs\.csv: the test split is empty: of 6 rows there are 6 train, 0 valid"):
        pairs(tmp_path, JUDGED | {"split": ["train"] * 6})


def test_a_part_of_another_name_is_told_with_its_row(tmp_path):
    with pytest.raises(DataError, match=r"column 'split': row 2 has 'hold-out'; train, valid or test is right"):
        pairs(tmp_path, JUDGED | {"split": ["train", "hold-out", *["test"] * 4]})


def test_numbers_where_text_should_be_are_refused(tmp_path):
    with pytest.raises(DataError, match="column 'grade' is not text: no value has a letter"):
        pairs(tmp_path, columns={"query": "grade"})


@pytest.mark.parametrize("word", ["inf", "-Infinity"])
def test_an_endless_grade_is_no_class(tmp_path, word):
    with pytest.raises(DataError, match=f"column 'grade': row 2 has '{word}', not a number"):
        pairs(tmp_path, JUDGED | {"grade": ["1", word, "1", word, "1", word]})


def test_a_stray_word_among_grades_is_refused(tmp_path):
    with pytest.raises(DataError, match="column 'grade': row 2 has 'n/a' among numbers"):
        pairs(tmp_path, JUDGED | {"grade": ["3", "n/a", "1", "2", "1", "3"]})


def test_a_split_names_the_column_it_needs():
    with pytest.raises(ValueError, match=r'split.by = "time" needs columns.time'):
        pairs_job("pairs.csv", split={"by": "time"})


def test_pairs_have_one_hash_whatever_their_format(tmp_path):
    hashes = {
        read_pairs(pairs_job(write_table(tmp_path / f"pairs{ending}", JUDGED))).card.hash
        for ending in (".csv", ".parquet", ".jsonl.gz")
    }
    assert len(hashes) == 1


@pytest.mark.parametrize("more", [{}, {"grades": {"good": float("inf"), "bad": 0.0}}])
def test_a_grade_that_cannot_be_squared_is_refused_by_its_row(tmp_path, more):
    labels = ["bad", "bad", "good", "bad", "bad", "bad"] if more else ["1", "2", "1e200", "1", "2", "1"]
    with pytest.raises(DataError, match=rf"row 3 has '{labels[2]}': a grade between -1e\+15 and 1e\+15 is right"):
        pairs(tmp_path, JUDGED | {"grade": labels}, **more)


def test_slices_go_with_their_rows(tmp_path):
    found = pairs(tmp_path, JUDGED | {"room": ["a", "b", "c", None, "e", "f"]}, columns={"slices": ["room"]})
    assert found.slices == {"room": ("a", "b", "c", "", "e", "f")}


def test_html_is_the_same_text_as_its_plain_form(tmp_path):
    found = pairs(tmp_path, JUDGED | {"title": ["a &amp; b", "c", "d", "e", "f", "g"]})
    assert "a & b" in found.products
    assert (found.card.mended or {})["products with HTML"] == 1
    assert np.all(found.part >= 0)


def test_a_text_of_several_columns_skips_the_empty_ones_and_keeps_every_row():
    from trainer.data.item_texts import join_columns

    columns = [pa.array(["x", None, "y", None]), pa.array(["p", None, None, "q"]), pa.array([None, None, "z", None])]
    assert join_columns(columns).to_pylist() == ["x p", None, "y z", "q"]


CALLED_OTHERWISE = {
    "q": ["1", "1", "2", "1", "1", "2", "3"],
    "query": ["lamp", "lamp", "desk", "light", "light", "table", "rug"],
    "sku": ["7", "8", "8", "7", "7", "9", "9"],
    "title": ["old lamp", "desk", "desk", "new lamp", "new lamp", "rug", "rug"],
    "grade": [3.0, 1.0, 3.0, 3.0, 1.0, 2.0, 3.0],
    "split": ["train", "train", "train", "valid", "test", "test", "test"],
}


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_what_an_id_is_called_is_told_by_the_rows_that_are_learned_from(tmp_path, form):
    path = write_table(tmp_path / f"pairs.{form}", CALLED_OTHERWISE)
    found = read_pairs(pairs_job(path, columns={"query_id": "q", "product_id": "sku"}, leak_check="warn"))
    named = dict(zip(found.product_keys, found.products, strict=True))
    asked = dict(zip(found.query_keys, found.queries, strict=True))
    assert named == {"7": "old lamp", "8": "desk", "9": "rug"}  # new lamp stands in more rows
    assert asked == {"1": "lamp", "2": "desk", "3": "rug"}
    assert found.card.mended["products with several texts"] == 1
    assert found.card.mended["queries with several texts"] == 2


def test_later_names_change_neither_what_is_learned_nor_what_is_searched(tmp_path):
    later = {**CALLED_OTHERWISE, "title": ["old lamp", "desk", "desk", "a", "b", "rug", "rug"]}
    ids = {"query_id": "q", "product_id": "sku"}
    one, other = (
        read_pairs(pairs_job(write_table(tmp_path / f"{n}.csv", table), columns=ids, leak_check="warn"))
        for n, table in enumerate((CALLED_OTHERWISE, later))
    )
    assert one.products == other.products


def test_a_table_of_products_is_no_row_of_the_test(tmp_path):
    products = write_table(tmp_path / "products.csv", {"sku": ["9", "10"], "title": ["woollen rug", "shelf"]})
    data = write_table(tmp_path / "pairs.csv", CALLED_OTHERWISE)
    more = {"path": products, "id": "sku", "text": "title"}
    columns = {"query_id": "q", "product_id": "sku"}
    found = read_pairs(pairs_job(data, columns=columns, products=more, leak_check="warn"))
    named = dict(zip(found.product_keys, found.products, strict=True))
    assert named == {"7": "old lamp", "8": "desk", "9": "woollen rug", "10": "shelf"}


def test_rows_that_cleaning_takes_out_call_nothing(tmp_path):
    table = {**CALLED_OTHERWISE, "grade": [3.0, 1.0, 3.0, 3.0, 1.0, 2.0, 3.0]}
    table = {name: [*values, *values[:1] * 3] for name, values in table.items()}
    table["title"][-3:] = ["wrong"] * 3
    table["grade"][-3:] = [99.0] * 3
    job = pairs_job(
        write_table(tmp_path / "pairs.csv", table),
        columns={"query_id": "q", "product_id": "sku"},
        cleaning={"highest": 3.0},
        leak_check="warn",
    )
    assert "old lamp" in read_pairs(job).products
