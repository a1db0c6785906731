from datetime import date
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainer.logs import JUDGED, pairs_job, write_table
from trainer.data.leaks import NEAR, USER, judge_leaks
from trainer.data.near_duplicates import group_near, signature
from trainer.data.pair_leaks import PAIR, QUERY, find_pair_leaks
from trainer.data.pairs import read_pairs
from trainer.data.splits import PART_NUMBER, Part, split_by_name, split_by_time
from trainer.errors import DataError
from trainer.jobs.data import SplitJob

TRAIN, VALID, TEST = (PART_NUMBER[part] for part in Part)
DAY = 86_400_000_000  # microseconds

names = st.lists(st.text("abcdef", min_size=1, max_size=3), min_size=1, max_size=60)
times = st.lists(st.integers(0, 12), min_size=1, max_size=60).map(lambda values: np.array(values, dtype=np.int64))
shares = st.tuples(st.floats(0, 0.6), st.floats(0, 0.3))


def by(kind, test=0.3, valid=0.2, **more):
    return SplitJob(by=kind, test=test, valid=valid, **more)


@given(names, shares, st.integers(0, 9))
@settings(deadline=None)
def test_no_name_is_on_two_sides(names, share, seed):
    parts = split_by_name(names, by("query", *share, seed=seed))
    sides = {name: {part for other, part in zip(names, parts, strict=True) if other == name} for name in names}
    assert all(len(side) == 1 for side in sides.values())


@given(names, names)
@settings(deadline=None)
def test_a_name_stays_where_it_was_when_others_come(names, more):
    before, after = split_by_name(names, by("user")), split_by_name([*more, *names], by("user"))
    assert before.tolist() == after.tolist()[len(more) :]


@given(times, shares)
@settings(deadline=None)
def test_rows_of_one_time_stay_together_and_parts_follow_one_another(times, share):
    parts = split_by_time(times, by("time", *share))
    for part, later in ((TRAIN, VALID), (TRAIN, TEST), (VALID, TEST)):
        if (parts == part).any() and (parts == later).any():
            assert times[parts == part].max() < times[parts == later].min()


@given(times, st.integers(0, 12))
@settings(deadline=None)
def test_a_given_day_is_the_first_of_the_test(times, day):
    parts = split_by_time(times * DAY, by("time", valid=0.0, test_from=date(1970, 1, 1 + day)))
    assert np.array_equal(parts == TEST, times >= day)


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("xyz")), min_size=1, max_size=40), st.integers(0, 9))
@settings(deadline=None)
def test_a_split_by_query_has_no_leak_by_query(rows, seed):
    queries, products = [query for query, _ in rows], [product for _, product in rows]
    job = by("query", seed=seed)
    found = find_pair_leaks(queries, products, None, split_by_name(queries, job), job).found
    assert set(found.values()) == {0}


@given(st.lists(st.sampled_from("abcd"), min_size=2, max_size=40), st.data())
@settings(deadline=None)
def test_a_query_moved_to_the_other_side_is_found(queries, data):
    parts = np.array([TRAIN] * len(queries), dtype=np.int8)
    moved = data.draw(st.sampled_from(range(len(queries))))
    parts[moved] = TEST
    found = find_pair_leaks(queries, ["p"] * len(queries), None, parts, by("column")).found
    assert found[QUERY] == int(queries.count(queries[moved]) > 1)


def test_near_duplicates_differ_in_case_order_marks_and_plural():
    assert signature("Angle Brackets, 12-Gauge") == signature("12 gauge angle bracket")
    assert signature("angle bracket") != signature("angled bracket")
    assert signature("gas") == signature("gas ")


LONG = "simpson strong tie zmax galvanized angle bracket for decks and fences"


@pytest.mark.parametrize(
    "other",
    [
        "Simpson Strong-Tie ZMAX galvanized ANGLE BRACKETS for decks and fences",
        "angle bracket for fences and decks, simpson strong tie zmax galvanized",
        "simpson strong tie zmax galvanised angle bracket for decks and fences",
        "simpson strong tie zmax galvanized angle bracket for decks and fences 2024",
    ],
)
def test_a_test_pair_with_other_marks_spelling_or_a_word_more_is_a_near_duplicate(other):
    queries, products = ["galvanized angle bracket", "lamp", "Galvanized angle brackets"], [LONG, "red lamp", other]
    parts = np.array([TRAIN, TRAIN, TEST], dtype=np.int8)
    assert find_pair_leaks(queries, products, None, parts, by("column")).found[NEAR] == 1
    products[2] = "garden hose of rubber, fifty feet"
    assert find_pair_leaks(queries, products, None, parts, by("column")).found[NEAR] == 0


@given(st.lists(st.text("ab c", max_size=12), max_size=30))
@settings(deadline=None)
def test_a_group_of_near_texts_is_named_after_its_first(texts):
    groups = group_near(texts).groups
    signed = [signature(text) for text in texts]
    for number, group in enumerate(groups):
        assert group <= number
        assert groups[group] == group
        assert group <= signed.index(signed[number])


def test_chinese_texts_that_differ_by_a_character_are_near():
    texts = [
        "夏季新款连衣裙女士修身显瘦长裙碎花雪纺裙子",
        "夏季新款连衣裙女士修身显瘦长裙碎花雪纺裙子红",
        "电动牙刷成人充电式",
    ]
    assert group_near(texts).groups == [0, 0, 2]


def test_a_leak_is_refused_or_told_as_configured(tmp_path, capsys):
    path = write_table(tmp_path / "pairs.csv", JUDGED | {"query": ["red lamp"] * 6})
    with pytest.raises(DataError, match=r"the split leaks: of 2 test rows 2 same query on the other side; split"):
        read_pairs(pairs_job(path))
    found = read_pairs(pairs_job(path, leak_check="warn"))
    assert "the split leaks" in capsys.readouterr().err
    assert (found.card.leaks or {})["same query"] == 2


def test_a_table_is_split_by_time_user_and_query(tmp_path):
    rows = {"query": [f"q{n}" for n in range(60)], "title": [f"title {n}" for n in range(60)], "grade": [1.0] * 60}
    rows |= {"who": [f"u{n % 20}" for n in range(60)], "when": [f"2024-01-{1 + n // 3:02d}" for n in range(60)]}
    path = write_table(tmp_path / "pairs.csv", rows)
    columns = {"part": None, "user": "who", "time": "when"}
    for kind in ("time", "user", "query"):
        found = read_pairs(pairs_job(path, columns=columns, split={"by": kind, "test": 0.3, "valid": 0.2}))
        assert found.card.split is not None
        assert kind in found.card.split
        assert min((found.card.parts or {}).values()) > 0


@pytest.mark.parametrize("other", ["Red Lamp", "RED LAMP", "red  lamp", "ｒｅｄ lamp", "réd lamp"])
def test_a_query_in_another_case_or_form_is_the_same_query_on_both_sides(other):
    parts = np.array([TRAIN, TEST], dtype=np.int8)
    found = find_pair_leaks(["red lamp", other], ["oak lamp", "OAK lamp"], None, parts, by("column")).found
    assert (found[QUERY], found[PAIR], found[NEAR]) == (1, 1, 0)


def test_users_on_both_sides_are_counted_and_refuse_nothing_that_was_not_promised(capsys):
    parts = np.array([TRAIN, TEST, TEST, TEST], dtype=np.int8)
    for how, promised in (("query", False), ("column", False), ("user", True)):
        leaks = find_pair_leaks(list("abcd"), list("wxyz"), ["u", "u", "v", ""], parts, by(how))
        assert leaks.found[USER] == 1
        assert (USER in leaks.not_promised) is not promised
    judge_leaks("table", {USER: 1}, 3, "refuse", not_promised={USER})
    assert "1 same user on the other side, which this split allows" in capsys.readouterr().err
    with pytest.raises(DataError, match="1 same user on the other side"):
        judge_leaks("table", {USER: 1}, 3, "refuse")


def test_titles_from_one_mould_are_compared_in_bounded_time_and_what_was_not_is_counted():
    drawn = np.random.default_rng(0).integers(10, 99, (700, 3)).tolist()
    titles = [f"interior door hinge {a} in. x {b} in. brass finish model {c}{n}" for n, (a, b, c) in enumerate(drawn)]
    began = perf_counter()
    found = group_near(titles)
    assert perf_counter() - began < 5
    assert found.not_compared > 0
    assert group_near(["garden hose", "oak table", "steel shelf"]).not_compared == 0
