"""What runs are told apart by: what they are scored on, what is installed, where they ran."""

from collections import Counter
from dataclasses import replace
from importlib.metadata import distributions
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer

from tests.trainer.logs import events_job, pairs_job, write_table
from tests.trainer.shop import PRODUCTS, make_rows, products_table, write_raw
from trainer.data.baskets import take_baskets
from trainer.data.card import DataCard
from trainer.data.completejourney import Options, prepare
from trainer.data.histories import read_histories
from trainer.data.interactions import read_interactions
from trainer.data.name_numbers import number_names
from trainer.data.pairs import Pairs, read_pairs
from trainer.data.scored_hash import note_held_out, note_judged
from trainer.data.snapshot import read_snapshot
from trainer.data.splits import PART_NUMBER, Part
from trainer.environment import PACKAGES, hash_installed, tell_machine, tell_versions
from trainer.jobs.data import HistoriesData
from trainer.tracking.mlflow import DataUsed, Recorder

Judged = tuple[str, str, float]  # query, product, grade

names = st.text("a1:;\x1eé", max_size=3)  # letters that would run into one another
judged = st.lists(st.tuples(names, names, st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=8)
CARD = DataCard("pairs.csv", 0, 0, {}, 0, 0, 0, "")
JUDGED: list[Judged] = [("lamp", "p1", 3.0), ("lamp", "p2", 1.0), ("desk", "p3", 2.0)]


def make_pairs(test: list[Judged], train: list[Judged] = [], classes: tuple[str, ...] = ()) -> Pairs:  # noqa: B006
    """Give pairs whose products are numbered as they are met, the train rows' first."""
    rows = [*train, *test]
    queries, query_id = number_names([query for query, _, _ in rows])
    products = list(dict.fromkeys(product for _, product, _ in rows))
    product_id = np.array([products.index(product) for _, product, _ in rows])
    label = np.array([grade for _, _, grade in rows])
    part = np.array([PART_NUMBER[Part.TRAIN]] * len(train) + [PART_NUMBER[Part.TEST]] * len(test), dtype=np.int8)
    texts = tuple(f"text of {product}" for product in products)
    keys = tuple(products)
    return Pairs(query_id, product_id, queries, texts, queries, keys, label, classes, part, {}, None, CARD)


def hash_of(pairs: Pairs, searched: range | tuple[int, ...] = (), part: Part = Part.TEST) -> str:
    found = note_judged(pairs, part, searched).card.test_hash
    assert found is not None
    return found


@given(judged, judged)
@example([("a", "1", 0.0), ("", "a", 0.0)], [("a", "a", 0.0), ("", "1", 0.0)])
@example([("1:a", "a", 0.0)], [("1", "a:a", 0.0)])
@example([("a", "a", 0.0)], [("a", "a", 0.0)] * 2)
def test_two_tests_have_one_hash_only_if_they_have_the_same_rows(one, other):
    assert (hash_of(make_pairs(one)) == hash_of(make_pairs(other))) == (Counter(one) == Counter(other))


@given(judged.flatmap(lambda rows: st.tuples(st.just(rows), st.permutations(rows))), judged)
def test_neither_the_order_of_rows_nor_what_is_learned_from_decides_what_is_scored(orders, train):
    rows, shuffled = orders
    assert hash_of(make_pairs(shuffled, train)) == hash_of(make_pairs(rows))


@given(judged, st.data())
def test_one_label_that_changes_makes_another_test(rows, data):
    place = data.draw(st.integers(0, len(rows) - 1))
    query, product, grade = rows[place]
    changed = [*rows[:place], (query, product, grade + 1), *rows[place + 1 :]]
    assert hash_of(make_pairs(changed)) != hash_of(make_pairs(rows))


def test_a_product_more_that_is_searched_makes_another_test_and_its_place_does_not():
    pairs = make_pairs(JUDGED, [("rug", "p4", 1.0)])
    assert len({hash_of(pairs), hash_of(pairs, (0, 1, 2)), hash_of(pairs, (0, 1, 2, 3))}) == 3
    assert hash_of(pairs, (3, 1, 2, 0)) == hash_of(pairs, (0, 1, 2, 3))


def test_the_wording_of_a_text_is_no_part_of_what_is_scored():
    pairs = make_pairs(JUDGED)
    assert hash_of(replace(pairs, products=("", "", ""))) == hash_of(pairs)


def test_a_class_is_told_by_its_name_whatever_others_the_train_rows_have():
    test = [("lamp", "p1", 1.0), ("lamp", "p2", 0.0)]
    more = [("lamp", "p1", 2.0), ("lamp", "p2", 1.0)]
    first, later = make_pairs(test, classes=("no", "yes")), make_pairs(more, classes=("maybe", "no", "yes"))
    assert hash_of(first) == hash_of(later)
    assert hash_of(first) != hash_of(make_pairs(test, classes=("no", "yes!")))


def test_grades_of_minus_nought_are_nought():
    rows = [("lamp", "p1", 0.0), ("lamp", "p2", 0.0)]
    assert hash_of(make_pairs([("lamp", "p1", -0.0), ("lamp", "p2", 0.0)])) == hash_of(make_pairs(rows))


TABLE = {
    "query": ["red lamp", "oak desk", "wool rug", "wool rug", "red lamp"],
    "title": ["lamp", "desk", "rug", "desk", "rug"],
    "grade": [3, 1, 3, 1, 2],
    "split": ["train", "train", "test", "test", "valid"],
}


def read_in_files(table: dict[str, list], order: list[int], cut: int, part: Part) -> str:
    """Read a table whose rows lie in two files, in some order."""
    with TemporaryDirectory() as folder:
        for number, rows in enumerate((order[:cut], order[cut:])):
            if rows:
                columns = {name: [values[row] for row in rows] for name, values in table.items()}
                write_table(Path(folder, f"{number}.csv"), columns)
        return hash_of(read_pairs(pairs_job(Path(folder))), part=part)


@given(st.permutations(range(5)), st.integers(0, 4))
@settings(max_examples=8)
def test_neither_the_order_of_files_nor_where_they_lie_decides_what_is_scored(order, cut):
    tested, tuned = (read_in_files(TABLE, order, cut, part) for part in (Part.TEST, Part.VALID))
    first = read_in_files(TABLE, [0, 1, 2, 3, 4], 5, Part.TEST)
    assert (tested == first, tuned == first) == (True, False)


LOG = {
    "user": ["a", "a", "a", "b", "b", "c", "c"],
    "item": ["x", "y", "z", "x", "z", "y", "x"],
    "time": [f"2024-01-0{day}" for day in (1, 2, 3, 2, 4, 1, 5)],
}


def log_hash(table: dict[str, list]) -> str | None:
    """Hash the last trip of everybody."""
    with TemporaryDirectory() as folder:
        columns = {"user": "user", "item": "item", "time": "time", "value": None, "text": []}
        job = events_job(
            write_table(Path(folder, "log.csv"), table), columns=columns, holdout={"by": "last"}, leak_check="warn"
        )
        return note_held_out(take_baskets(job, read_interactions(job))).card.test_hash


def with_row(table: dict[str, list], row: int, **changes: str) -> dict[str, list]:
    return {
        name: [changes.get(name, value) if place == row else value for place, value in enumerate(values)]
        for name, values in table.items()
    }


@given(st.permutations(range(7)))
@settings(max_examples=10)
def test_the_order_of_a_log_is_no_matter(order):
    assert log_hash({name: [values[row] for row in order] for name, values in LOG.items()}) == log_hash(LOG)


def test_a_log_is_scored_on_its_last_trips_and_its_catalogue_and_not_on_what_lies_before():
    before = with_row(LOG, 0, item="z")
    assert log_hash(before) == log_hash(LOG)
    taken, more = with_row(LOG, 4, item="y"), with_row(LOG, 0, item="new")
    assert len({log_hash(LOG), log_hash(taken), log_hash(more), log_hash(with_row(LOG, 6, user="d"))}) == 4


def test_a_feed_whose_texts_break_gives_other_data_and_the_same_test(tmp_path, snapshot_folder):
    broken = tuple((i, d, c, None if d == "GROCERY" else t) for i, d, c, t in PRODUCTS)
    raw = write_raw(tmp_path / "raw", make_rows(), products_table(broken))
    prepare(raw, tmp_path / "broken", Options(min_households=2), item_ids=snapshot_folder)
    before, after = (note_held_out(read_snapshot(one)).card for one in (snapshot_folder, tmp_path / "broken"))
    assert (before.hash == after.hash, before.test_hash == after.test_hash) == (False, True)


HISTORIES = {
    "user": ["a", "a", "b", "c"],
    "history": ["1 2", "1 2 3", "2", "3"],
    "target": ["3", "2", "1", "1"],
    "split": ["test", "test", "test", "valid"],
}


def histories_hash(path: Path, table: dict[str, list]) -> str | None:
    items = write_table(path / "items.csv", {"id": [1, 2, 3], "title": ["tea", "cup", "pot"]})
    content = {
        "kind": "histories",
        "path": write_table(path / "rows.csv", table),
        "columns": {"user": "user", "history": "history", "target": "target", "part": "split"},
        "items": {"path": items, "id": "id", "text": "title"},
        "learn": "valid",
        "leak_check": "warn",
    }
    return note_held_out(read_histories(HistoriesData.model_validate(content))).card.test_hash


def test_several_rows_of_one_person_are_the_same_test_in_whatever_order(tmp_path):
    turned = {name: values[::-1] for name, values in HISTORIES.items()}
    first = histories_hash(tmp_path, HISTORIES)
    assert histories_hash(tmp_path, turned) == first
    assert histories_hash(tmp_path, with_row(HISTORIES, 3, target="2")) == first
    assert histories_hash(tmp_path, with_row(HISTORIES, 1, target="1")) != first


def install(folder: Path, name: str, number: str, description: str = "") -> Path:
    info = folder / f"{name}-{number}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n\n{description}\n")
    return folder


def installed_hash(*folders: Path) -> str:
    return hash_installed(distributions(path=[str(folder) for folder in folders]))


def test_what_is_installed_is_told_by_names_and_versions_alone(tmp_path):
    first = install(install(tmp_path / "one", "alpha", "1.0"), "Beta_Two", "2.0")
    other = install(install(tmp_path / "two", "beta-two", "2.0", "Name: gamma"), "alpha", "1.0", "Version: 9")
    assert installed_hash(first) == installed_hash(other)
    assert installed_hash(install(tmp_path / "newer", "alpha", "1.1"), first) != installed_hash(first)


def test_only_the_version_that_is_imported_counts(tmp_path):
    first, shadowed = install(tmp_path / "one", "alpha", "1.0"), install(tmp_path / "two", "alpha", "9.0")
    assert installed_hash(first, shadowed) == installed_hash(first)


def test_the_hash_of_this_environment_is_a_sha256_and_stays():
    assert len(hash_installed()) == 64
    assert hash_installed() == hash_installed()


def test_versions_are_told_part_by_part():
    told = [part.split(" ") for part in tell_versions().split(", ")]
    assert [name for name, _ in told] == ["python", *PACKAGES]


@pytest.mark.parametrize(
    ("cpuinfo", "processor"),
    [
        ("processor\t: 0\nmodel name\t: Some CPU, 8-Core @ 2.20GHz \nflags\t: a\n", ["Some CPU  8-Core @ 2.20GHz"]),
        ("processor\t: 0\nBogoMIPS\t: 50.00\nCPU part\t: 0xd0c\n", []),  # as ARM has it
    ],
)
def test_a_machine_is_told_part_by_part(tmp_path, monkeypatch, cpuinfo, processor):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_text(cpuinfo)
    monkeypatch.setattr("platform.node", lambda: "gpu-7")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    for cores, told in ((1, "1 core"), (8, "8 cores")):
        monkeypatch.setattr("trainer.environment.usable_cores", lambda cores=cores: cores)
        assert tell_machine(tmp_path).split(", ") == ["gpu-7", "x86_64", told, *processor]


PAGE = "<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n"
USED = [DataUsed("testing", "/data/pairs.csv", "a" * 64)]


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        (PAGE, 404, ""),  # as servers before 2.4 answer what they do not know
        ('{"error_code": "ENDPOINT_NOT_FOUND", "message": "no"}', 404, ""),
        ('{"error_code": "PERMISSION_DENIED", "message": "ask the owner"}', 403, "ask the owner"),
    ],
)
def test_a_server_that_takes_no_datasets_ends_no_run(httpserver: HTTPServer, capsys, answer, status, said):
    from mlflow import MlflowClient

    httpserver.expect_request("/api/2.0/mlflow/runs/log-inputs").respond_with_data(answer, status)
    Recorder(MlflowClient(httpserver.url_for("").rstrip("/")), "r", "1").log_data(USED)
    (request, _) = httpserver.log[0]
    assert request.json["datasets"][0]["dataset"] == {
        "name": "pairs.csv",
        "digest": "a" * 36,
        "source_type": "local",
        "source": '{"uri": "/data/pairs.csv"}',
    }
    told = capsys.readouterr().err
    assert said in told
    assert bool(told) == bool(said)
