"""What a job holds at once grows with what it reads, never with a product of two sizes."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import sparse

from trainer.data.card import DataCard
from trainer.data.name_numbers import number_names
from trainer.data.snapshot import Catalogue, Purchases, Snapshot, first_trips_from
from trainer.data.trips import split_trips
from trainer.jobs.schema import MixJob, ScoreJob
from trainer.measures.bootstrap import table_intervals
from trainer.measures.per_example import PerExample, number, rows_by_name
from trainer.models import collaborative_filtering, ease, history_scorer
from trainer.models.collaborative_filtering import item_neighbours
from trainer.models.ease import learn_links, most_frequent
from trainer.models.history_scorer import Scorer
from trainer.models.hybrid_search import Found, FoundLists
from trainer.results import run_comparison
from trainer.results.per_example_files import read_per_example
from trainer.results.result_files import write_per_example
from trainer.results.run_comparison import compare
from trainer.tasks import next_item_ranking
from trainer.tasks.memory_needs import mix_needs
from trainer.tasks.next_item_mix import learn_mix, rehearse
from trainer.tasks.next_item_ranking import (
    collect_test,
    distinct_texts,
    measure,
    score_items,
    score_without_text,
)
from trainer.tasks.retrieval_questions import Questions, list_values

RNG = np.random.default_rng(0)


def chosen(users: int = 60, items: int = 90) -> sparse.csr_array:
    return sparse.csr_array((RNG.random((users, items)) < 0.1).astype(np.float32))


def test_how_near_texts_are_is_counted_some_texts_at_a_time(monkeypatch):
    vectors = torch.from_numpy(RNG.normal(size=(7, 4)).astype(np.float32))
    scorer = Scorer(ScoreJob(), 8, vectors.mean(0))
    held = sparse.csr_array(RNG.dirichlet(np.ones(7), 5))
    whole = scorer.score(scorer.unit_vectors(vectors), held, held)
    monkeypatch.setattr(history_scorer, "NUMBERS_AT_A_TIME", 2 * 7)
    assert torch.allclose(scorer.score(scorer.unit_vectors(vectors), held, held), whole, atol=1e-5)


def test_neighbours_and_links_are_the_same_some_items_at_a_time(monkeypatch):
    matrix = chosen()
    near, links = item_neighbours(matrix), learn_links(range(90), matrix, 5.0, 90)
    monkeypatch.setattr(collaborative_filtering, "PAIRS_AT_A_TIME", 200)
    monkeypatch.setattr(ease, "PAIRS_AT_A_TIME", 200)
    monkeypatch.setattr(ease, "ROWS_AT_A_TIME", 7)
    assert np.array_equal(item_neighbours(matrix).toarray(), near.toarray())
    again = learn_links(range(90), matrix, 5.0, 90)
    assert np.allclose(again.weights_II.toarray(), links.weights_II.toarray(), atol=1e-7)


def test_the_nearest_are_kept_and_all_that_are_as_near_as_the_last_of_them(monkeypatch):
    monkeypatch.setattr(collaborative_filtering, "NEIGHBOURS", 4)
    matrix = sparse.csr_array(np.eye(8, dtype=np.float32)[RNG.integers(0, 8, 40)] + chosen(40, 8).toarray()).sign()
    near = item_neighbours(matrix).toarray()
    dense = matrix.toarray().astype(np.float64)
    norm = np.sqrt(dense.sum(axis=0))
    cosine = np.round(dense.T @ dense / np.outer(norm, norm), 12) * (1 - np.eye(8))
    fourth = np.sort(cosine, axis=1)[:, -4][:, None]
    assert np.allclose(near, np.where(cosine >= fourth, cosine, 0.0), atol=1e-6)
    assert len({np.count_nonzero(row) for row in near}) > 1  # some of them tie


def test_links_are_the_regression_of_every_item_on_all_others():
    matrix = chosen()
    inverse = np.linalg.inv((matrix.T @ matrix).toarray() + 5.0 * np.eye(90))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    found = learn_links(range(90), matrix, 5.0, 90).weights_II.toarray()
    assert np.allclose(found, np.maximum(weights, 0.0), atol=1e-6)


def test_of_too_many_items_the_most_frequent_have_links():
    matrix = chosen()
    frequent = most_frequent(matrix, 30)
    people = matrix.sum(axis=0)
    rare = np.setdiff1d(np.arange(90), frequent)
    assert 20 < len(frequent) <= 30
    assert people[frequent].min() > people[rare].max()
    found = learn_links(range(90), matrix, 5.0, 30).weights_II
    assert found.shape == (90, 90)
    assert set(found.nonzero()[0]) | set(found.nonzero()[1]) <= set(frequent)
    alone = learn_links(range(len(frequent)), sparse.csr_array(matrix[:, frequent]), 5.0, 90).weights_II
    assert np.allclose(found.toarray()[np.ix_(frequent, frequent)], alone.toarray())


def test_items_that_all_are_as_frequent_are_taken_in_their_order():
    assert most_frequent(sparse.csr_array(np.ones((3, 5))), 2).tolist() == [0, 1]


def peak_of(call) -> float:
    """Give the most that a call held at a time beyond what there was, in MB."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def long_table(rows: int, users: int | None = None) -> PerExample:
    ids = tuple(f"query {n}" for n in range(rows))
    clusters = None if users is None else tuple(f"user {n % users}" for n in range(rows))
    values = {name: RNG.random(rows) for name in ("a", "b", "c", "d")}
    return PerExample(ids, {}, np.ones(rows), values, clusters, "query" if users is None else "user")


@pytest.mark.parametrize("users", [None, 30_000])
def test_a_bootstrap_holds_some_replicates_at_a_time(users):
    table = long_table(60_000, users)
    # Counts of all replicates would be 480 MB.
    assert peak_of(lambda: table_intervals(table)) < 60


def test_a_long_name_costs_its_own_length_and_not_that_times_the_table():
    names = [f"query {n}" for n in range(20_000)] + ["x" * 20_000]
    assert peak_of(lambda: number(names)) < 60  # with the room of the longest for each it is 1,600 MB
    assert peak_of(lambda: rows_by_name(names, names[:3])) < 60


def test_two_long_tables_are_compared_a_metric_at_a_time(monkeypatch, tmp_path):
    monkeypatch.setattr(run_comparison, "FLIPS", 50)
    tables = []
    for name in "ab":
        write_per_example(long_table(60_000, 20_000), tmp_path / f"{name}.parquet")
        tables.append(read_per_example(tmp_path / f"{name}.parquet"))
    assert peak_of(lambda: compare(*tables)) < 60


def test_values_are_read_once_however_many_rows_have_them(tmp_path):
    table = replace(long_table(1000, 3), slices={"shop": ("a long name of a shop",) * 1000})
    write_per_example(table, tmp_path / "t.parquet")
    read = read_per_example(tmp_path / "t.parquet")
    assert len({id(name) for name in (*read.clusters, *read.slices["shop"])}) == 4


def wide_snapshot(users: int, items: int, each: int) -> Snapshot:
    user = np.repeat(np.arange(users), each).astype(np.int32)
    time = np.tile(np.arange(each), users)
    item = RNG.integers(0, items, users * each).astype(np.int32)
    purchases = Purchases(tuple(f"u{n:05}" for n in range(users)), user, time, item)
    names = tuple(f"i{n:05}" for n in range(items))
    card = DataCard("x", 0, 0, {}, items, items, 0, "")
    return Snapshot(Catalogue(names, names, ("a",) * items), purchases, first_trips_from(purchases, each - 1), card)


def test_a_catalogue_is_ranked_for_many_households_without_the_product_of_both(monkeypatch):
    monkeypatch.setattr(next_item_ranking, "SCORES_AT_A_TIME", 1 << 18)
    monkeypatch.setattr(history_scorer, "NUMBERS_AT_A_TIME", 1 << 18)
    monkeypatch.setattr(collaborative_filtering, "PAIRS_AT_A_TIME", 1 << 18)
    users, items = 3000, 3000  # 36 MB for the scores of all, and there would be several
    snapshot = wide_snapshot(users, items, 5)
    _, trips = split_trips(snapshot.purchases, snapshot.use, min_history_days=0)
    texts = distinct_texts(snapshot.catalogue)
    vectors = torch.from_numpy(RNG.normal(size=(items, 4)).astype(np.float32))
    scorer = Scorer(ScoreJob(), 8, vectors.mean(0))

    def rank() -> None:
        test = collect_test(snapshot, trips, texts, scorer.settings)
        scores = dict(score_without_text(snapshot, test, factors=0))
        scores["texts"] = score_items(snapshot, texts, scorer, vectors, test)
        for score in scores.values():
            assert measure(snapshot, test, score, "group")[0].values["mrr"].min() > 0

    assert peak_of(rank) < 30


def mix_of(snapshot: Snapshot, settings: MixJob) -> list[int]:
    """Learn a mix on a snapshot; give the trips that it is rehearsed on."""
    texts = distinct_texts(snapshot.catalogue)
    vectors = torch.from_numpy(RNG.normal(size=(len(texts.distinct), 4)).astype(np.float32))
    scorer = Scorer(ScoreJob(), 8, vectors.mean(0))
    rehearsals = rehearse(snapshot, settings, np.random.default_rng(0))
    learn_mix(snapshot, texts, scorer, vectors, rehearsals, settings, np.random.default_rng(0))
    return [len(one.trips) for one in rehearsals]


@pytest.mark.parametrize(
    ("items", "mix", "largest"),
    [
        (1800, MixJob(others=5, epochs=1, trips=100), "texts x"),
        (900, MixJob(others=600, epochs=1, trips=300), "trips x"),
    ],
)
def test_a_mix_takes_what_is_counted_before_it_is_learned_and_not_much_more(items, mix, largest):
    mix_of(wide_snapshot(100, 9, 5), MixJob(epochs=1))  # what is imported on the way is not held for the mix
    snapshot = wide_snapshot(500, items, 5)
    rehearsed: list[int] = []
    peak = 1e6 * peak_of(lambda: rehearsed.extend(mix_of(snapshot, mix)))
    need = max(mix_needs(mix, items, sum(rehearsed)), key=lambda one: one.size)
    assert largest in need.what
    assert 15e6 < need.size <= peak < 2.5 * need.size


def test_one_long_title_costs_its_own_length_and_not_that_times_the_catalogue():
    titles = [f"item {n}" for n in range(20_000)] + ["x" * 20_000, "item 7"]
    found = []
    assert peak_of(lambda: found.append(number_names(titles))) < 10  # with the room of the longest for each 1,600 MB
    distinct, places = found[0]
    assert list(distinct) == sorted(set(titles))
    assert [distinct[place] for place in places.tolist()] == titles


def test_lists_that_ties_make_long_are_found_anew_and_never_held_together():
    asked = []

    def find(question: int) -> Found:
        asked.append(question)
        many = 100_000 if question % 2 else 100
        return Found(np.arange(many), np.zeros(many))

    lists = FoundLists(find, 40)
    assert peak_of(lambda: [len(one.items_L) for _ in range(2) for one in lists]) < 8  # all of them are 32 MB
    assert len(asked) == 40 + 20


def test_metrics_of_long_lists_are_counted_one_list_at_a_time():
    judged = Questions(np.arange(30), [np.array([3])] * 30, np.arange(100_000), [np.array([0])] * 30, 0)
    lists = FoundLists(lambda _: Found(np.arange(100_000), np.zeros(100_000)), 30)
    found = {}
    assert peak_of(lambda: found.update(list_values(judged, lists, 100))) < 12  # all of them are 48 MB and more
    assert found["recall_at_10"] == pytest.approx(np.full(30, 1e-4))
