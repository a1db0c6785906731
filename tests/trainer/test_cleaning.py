import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.trainer.logs import EVENTS, events_job, write_table
from trainer.data import cleaning_rules, event_cleaning
from trainer.data.interactions import read_interactions, write_interactions
from trainer.data.outliers import LogHistogram
from trainer.data.text_normalisation import normalise, normalise_all
from trainer.errors import DataError

ROW = ("who", "what", "when", "many", "name", "price", "order")


def table(*rows):
    return {name: list(values) for name, values in zip(ROW, zip(*rows, strict=True), strict=True)}


def row(who="ann", what="tea", day=1, many=1.0, name="green tea", price=2.0, order="1"):
    return who, what, f"2024-01-{day:02d}", many, name, price, order


def clean(path, *rows, **rules):
    columns = {"price": "price", "event": "order"}
    job = events_job(write_table(path / "log.parquet", table(*rows)), columns=columns, cleaning=rules)
    return read_interactions(job)


def dropped(found):
    return {reason: count for reason, count in found.card.dropped.items() if count}


def test_every_rule_counts_the_rows_it_took(tmp_path):
    found = clean(
        tmp_path,
        row(order="1"),
        row(order="1"),
        row(who=None),
        row(what=None),
        row(what="POST", name="postage"),
        row(many=0.0),
        row(price=0.0),
        row(what="cup", name=None),
        row(day=2, many=7.0, order="2"),
        row(day=3, many=-7.0, order="C3"),
        cancelled="^C",
        not_items=["POST"],
    )
    assert dropped(found) == {
        cleaning_rules.NO_USER: 1,
        cleaning_rules.NO_ITEM: 1,
        cleaning_rules.NOT_AN_ITEM: 1,
        cleaning_rules.BAD_VALUE: 1,
        cleaning_rules.BAD_PRICE: 1,
        cleaning_rules.NO_TEXT: 1,
        cleaning_rules.DUPLICATE: 1,
        cleaning_rules.CANCELLATION: 1,
        cleaning_rules.REVERSED: 1,
    }
    assert (found.card.rows_in, found.card.rows_kept, len(found)) == (10, 1, 1)
    assert set(found.card.explained or {}) == set(found.card.dropped)


def test_a_cancellation_takes_back_the_latest_event_of_its_amount_before_it(tmp_path):
    found = clean(
        tmp_path,
        row(day=1, many=5.0),
        row(day=2, many=5.0),
        row(day=3, many=-5.0),
        row(day=4, many=5.0),
        row(who="bob", day=3, many=-5.0),
    )
    assert dropped(found) == {cleaning_rules.CANCELLATION: 2, cleaning_rules.REVERSED: 1}
    assert [int(day) for day in found.time // 86_400_000_000 - 19722] == [1, 4]


def test_an_outlier_is_far_from_the_median_of_the_logarithms(tmp_path):
    rows = [row(day=1 + n % 28, many=1.0 + n % 7, order=str(n)) for n in range(100)]
    found = clean(tmp_path, *rows, row(day=30, many=80_995.0), outliers=6.0)
    assert dropped(found) == {cleaning_rules.OUTLIER: 1}


def test_a_robot_does_in_a_day_what_nobody_does(tmp_path):
    people = [row(who=f"u{n}", day=1 + m, what=f"i{n}", order=str(m)) for n in range(20) for m in range(3)]
    robot = [row(who="bot", what=f"i{n}", order=str(n)) for n in range(200)]
    found = clean(tmp_path, *people, *robot, robots=5.0)
    assert dropped(found) == {cleaning_rules.ROBOT: 200}
    assert "bot" not in found.user_ids


def test_an_item_with_several_texts_takes_the_most_frequent(tmp_path):
    names = ["green tea", "GREEN TEA!", "green tea"]
    found = clean(tmp_path, *(row(day=1 + n, name=name) for n, name in enumerate(names)))
    assert found.catalogue.texts == ("green tea",)
    assert found.card.mended == {"items with several texts": 1}


def test_items_may_come_from_a_table_of_their_own(tmp_path):
    log = write_table(tmp_path / "log.csv", EVENTS)
    items = {"id": ["tea", "cup"], "a": ["tea", "<b>cup</b>"], "b": ["green", None], "kind": ["drink", "ware"]}
    file = {"path": write_table(tmp_path / "items.jsonl", items), "id": "id", "text": ["a", "b"], "group": "kind"}
    found = read_interactions(events_job(log, columns={"text": []}, items=file))
    assert found.catalogue.texts == ("cup", "tea green")
    assert found.catalogue.groups == ("ware", "drink")
    assert dropped(found) == {cleaning_rules.NO_TEXT: 1}


def test_users_not_listed_are_left_out(tmp_path):
    log = write_table(tmp_path / "log.csv", EVENTS)
    users = write_table(tmp_path / "users.csv", {"id": ["ann", "cy"]})
    found = read_interactions(events_job(log, users={"path": users, "id": "id"}))
    assert (found.user_ids, dropped(found)) == (("ann", "cy"), {cleaning_rules.UNKNOWN_USER: 2})


def test_events_are_sorted_by_user_then_time(tmp_path):
    found = read_interactions(events_job(write_table(tmp_path / "log.csv", EVENTS)))
    keys = list(zip(found.user.tolist(), found.time.tolist(), found.item.tolist(), strict=True))
    assert all(before <= after for before, after in pairwise(keys))


def test_a_clean_log_is_written_with_its_card_or_not_at_all(tmp_path):
    log = write_table(tmp_path / "log.csv", EVENTS)
    card = write_interactions(events_job(log), tmp_path / "clean")
    assert json.loads((tmp_path / "clean/data_card.json").read_text()) == card.facts()
    with pytest.raises(DataError, match="cleaning leaves none of 6 rows"):
        write_interactions(events_job(log, cleaning={"not_items": [".*"]}), tmp_path / "none")
    with pytest.raises(DataError, match="exists already"):
        write_interactions(events_job(log), tmp_path / "clean")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clean", "log.csv"]


def test_a_text_that_is_a_number_is_refused(tmp_path):
    log = write_table(tmp_path / "log.csv", EVENTS)
    with pytest.raises(DataError, match="the text of items is not text: no value has a letter"):
        read_interactions(events_job(log, columns={"text": ["many"]}))


RULES = {"cancelled": "^C", "outliers": 4.0, "robots": 4.0}
SOME_ROWS = st.lists(
    st.builds(
        row,
        who=st.sampled_from(["ann", "bob", "cy", "dee", None]),
        what=st.sampled_from(["tea", "cup"]),
        day=st.integers(1, 4),
        many=st.sampled_from([1.0, 2.0, -1.0, 500.0, None]),
        order=st.sampled_from(["1", "C1", None]),
    ),
    min_size=1,
    max_size=40,
)


@given(rows=SOME_ROWS, seed=st.integers(0, 99))
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_cleaning_does_not_depend_on_how_the_log_is_cut_up(tmp_path, monkeypatch, rows, seed):
    rows = [*rows, row(who="eve", what="pot", name="pot")]  # one that no rule takes
    with monkeypatch.context() as patch:
        whole = clean(tmp_path, *rows, **RULES)
        patch.setattr(event_cleaning, "ROWS_A_PART", 3)
        shuffled = [rows[place] for place in np.random.default_rng(seed).permutation(len(rows))]
        parts = clean(tmp_path, *shuffled, **RULES)
    assert parts.card.facts() == whole.card.facts()


@given(values=st.lists(st.floats(1e-3, 1e6), min_size=5, max_size=60))
@settings(deadline=None, max_examples=30)
def test_a_fence_follows_the_scale_of_the_values(values):
    plain, scaled = LogHistogram(), LogHistogram()
    plain.add(np.array(values))
    scaled.add(np.array(values) * 10)
    assert scaled.fence(3.0) == pytest.approx(10 * plain.fence(3.0), rel=0.1)
    assert plain.fence(3.0) >= sorted(values)[(len(values) - 1) // 2] * 0.9  # the lower median


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Tom &amp;amp; Co <b>bold</b><br/>end", "Tom & Co bold end"),
        ("ＩＰｈｏｎｅ　１４（黑色），手机壳", "IPhone 14(黑色),手机壳"),
        ("5 < 6 and 7 > 2, <3", "5 < 6 and 7 > 2, <3"),
        ("½ cup™ x²", "½ cup™ x²"),
        ("zero\u200bwidth\x07 bell\tand\nlines", "zerowidth bell and lines"),
        ("R&D and AT&T", "R&D and AT&T"),
    ],
)
def test_a_text_takes_one_form_in_chinese_and_in_english(text, clean):
    assert normalise(text) == clean


@given(st.text(max_size=60))
@settings(deadline=None)
def test_a_normal_text_has_no_blank_to_cut(text):
    clean = normalise(text)
    assert clean == clean.strip()
    assert "  " not in clean
    assert "\u3000" not in clean


def test_what_was_wrong_with_texts_is_counted():
    assert normalise_all(["a&amp;b", "Ａ", "plain", "x  y"]).changed == {"HTML": 1, "full-width forms": 1, "spaces": 1}
