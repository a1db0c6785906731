"""Products that score the same count as the mean over all their orders, however they are numbered."""

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures import RR, R, calc_aggregate, nDCG

from trainer.data.card import DataCard
from trainer.data.pairs import read_pairs
from trainer.data.snapshot import LEARN, Catalogue, Purchases, Snapshot, first_trips_from
from trainer.data.splits import Part
from trainer.data.trips import split_trips
from trainer.data.words import word_overlap
from trainer.jobs.data import PairsData
from trainer.jobs.schema import ScoreJob
from trainer.measures.bootstrap import statistic_intervals, table_intervals
from trainer.measures.pair_predictions import (
    predict,
    prediction_columns,
    prediction_metrics,
    prediction_statistic,
    prediction_table,
)
from trainer.measures.per_example import aggregate, aggregate_slices, number
from trainer.measures.ranked_lists import RankedList, rank_metrics
from trainer.measures.slices import choose_slices
from trainer.models.calibration import Calibration
from trainer.models.history_scorer import Scorer
from trainer.models.hybrid_search import Found, fuse, make_engine
from trainer.models.label_scale import LabelScale, RelevanceSettings
from trainer.tasks import next_item_ranking
from trainer.tasks.next_item_ranking import (
    collect_test,
    distinct_texts,
    measure,
    score_items,
    score_without_text,
)
from trainer.tasks.retrieval_questions import Questions, ask_part, list_values, per_query

scored = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=6)


def told_by_trec_eval(gains: list[int], unfound: list[int], k: int) -> dict[str, float]:
    """Give ir-measures' numbers of gains in their order; what was not found is judged all the same."""
    judged = {str(place): gain for place, gain in enumerate([*gains, *unfound])}
    run = {str(place): float(-place) for place in range(len(gains))}
    measures = {nDCG @ k: f"ndcg_at_{k}", R(rel=2) @ k: f"recall_at_{k}", RR(rel=2): "mrr"}
    found = calc_aggregate(list(measures), {"q": judged}, {"q": run})
    return {name: found[measure] for measure, name in measures.items()}


@settings(max_examples=60, deadline=None)
@given(scored, st.lists(st.integers(0, 3), max_size=3), st.integers(1, 7))
def test_lists_are_measured_as_trec_eval_does_in_the_mean_over_all_orders(products, unfound, k):
    orders = [order for order in permutations(products) if list(order) == sorted(order, key=lambda one: -one[0])]
    told = [told_by_trec_eval([gain for _, gain in order], unfound, k) for order in orders]
    scores, gains = (np.array(column, dtype=float) for column in zip(*products, strict=True))
    ranked = RankedList(scores, gains, np.array([*gains, *unfound], dtype=float))
    found = rank_metrics([ranked], ndcg=(k,), recall=(k,), least=2.0, depth=None)
    relevant = max([*gains, *unfound]) >= 2
    for name, (value,) in found.items():
        if relevant or (name.startswith("ndcg") and max([*gains, *unfound]) > 0):
            assert value == pytest.approx(np.mean([one[name] for one in told]))
        else:
            assert np.isnan(value)


def test_what_stands_below_the_depth_is_not_found():
    ranked = RankedList(np.array([3.0, 2.0, 2.0]), np.array([0.0, 1.0, 0.0]), np.ones(1))
    assert rank_metrics([ranked], ndcg=(10,), least=1.0, depth=1)["mrr"][0] == 0.0
    assert rank_metrics([ranked], ndcg=(10,), least=1.0, depth=2)["mrr"][0] == pytest.approx(0.5 / 2)
    assert rank_metrics([ranked], ndcg=(10,), least=1.0, depth=3)["mrr"][0] == pytest.approx(0.5 / 2 + 0.5 / 3)


def test_a_tie_of_a_whole_catalogue_is_no_slower_than_it_must_be():
    size = 200_000
    ranked = RankedList(np.zeros(size), np.r_[1.0, np.zeros(size - 1)], np.ones(1))
    value = rank_metrics([ranked], ndcg=(10,), recall=(10,), least=1.0, depth=None)
    assert value["recall_at_10"][0] == pytest.approx(10 / size)
    assert value["mrr"][0] == pytest.approx((1 / np.arange(1, size + 1)).sum() / size)


@pytest.mark.parametrize("relevant", [0, 7, 19])
def test_among_products_of_one_title_no_number_is_better_than_another(relevant):
    """Of 20 products of one title one is relevant: it stands on each place equally often, by words and by vectors."""
    vector = np.array([[0.6, 0.8]], dtype=np.float32)
    engine = make_engine(np.repeat(vector, 20, axis=0), ["brass door hinge"] * 20)
    near, worded = engine.by_vector(vector[0], 10), engine.by_words("door hinge", 10)
    asked = Questions(np.array([0]), [np.array([relevant])], np.arange(20), [np.array([0])], 0)
    right = (1 / np.log2(np.arange(2, 12))).sum() / 20
    for found in (near, worded, fuse(near, worded, 0.5, 10)):
        assert isinstance(found, Found)
        assert list_values(asked, [found], 100)["ndcg_at_10"][0] == pytest.approx(right)


TITLES = ("red lamp", "red lamp", "red lamp", "blue lamp", "old rug", "old rug", "sofa")
judged = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 6), st.integers(0, 2), st.sampled_from("ab"), st.sampled_from("uvw")),
    min_size=6,
    max_size=30,
    unique_by=lambda row: row[:2],
)
ASKED = ("lamp", "red", "rug", "lamps red")


def read_judged(folder, rows, product_names, query_names):
    """Write rows of (query, product, grade, room, user) as a table, the same pairs to learn from and to be tested on."""
    lines = ["query_id,query,product_id,title,grade,part,room,user"]
    for query, product, grade, room, user in rows:
        texts = (query_names[query], ASKED[query], product_names[product], TITLES[product], grade)
        lines += [",".join(map(str, (*texts, part, room, user))) for part in ("train", "test")]
    path = folder / "pairs.csv"
    path.write_text("\n".join(lines) + "\n")
    columns = {"query": "query", "query_id": "query_id", "product": "title", "product_id": "product_id", "user": "user"}
    columns |= {"label": "grade", "part": "part", "slices": ["room"]}
    how = {"split": {"by": "column"}, "leak_check": "warn", "cleaning": {"duplicates": False}}
    return read_pairs(PairsData(kind="pairs", path=path, columns=columns, **how))


def vector_of(text: str) -> np.ndarray:
    vector = np.array([len(text) % 3 + 1, text.count("r"), 1.0], dtype=np.float32)
    return vector / np.linalg.norm(vector)


def told_of_retrieval(pairs) -> dict:
    asked = ask_part(pairs, Part.TEST, 2.0)
    if not len(asked.queries_Q):
        return {}
    texts = [pairs.products[product] for product in asked.products_I.tolist()]
    engine = make_engine(np.stack([vector_of(text) for text in texts]), texts)
    queries = [pairs.queries[query] for query in asked.queries_Q.tolist()]
    found = [fuse(engine.by_vector(vector_of(one), 3), engine.by_words(one, 3), 0.5, 3) for one in queries]
    return told_of(per_query(pairs, asked, list_values(asked, found, 3), "user"))


def told_of_relevance(pairs) -> dict:
    scale = LabelScale("grades", 0.0, 2.0, 2.0, ())
    saved = RelevanceSettings(scale, Calibration(), Calibration(), 0.5, 8, "mean")
    rows = pairs.rows(Part.TEST)
    output = np.array([[word_overlap(*texts)] for texts in zip(*pairs.texts(rows), strict=True)])
    judged = predict(pairs, rows, output, saved, Path("x"))
    clusters = number(pairs.names(rows, "user"))
    further = statistic_intervals(clusters, prediction_statistic(judged), 40, told_by=prediction_columns(judged))
    return told_of(prediction_table(judged, 3, "query")) | prediction_metrics(judged, 3) | ends_of(further)


def told_of(table) -> dict:
    shown = choose_slices(table, 1, 9).values
    told = aggregate(table) | ends_of(table_intervals(table))
    for column, parts in aggregate_slices(table, shown).items():
        for value, (examples, metrics) in parts.items():
            told |= {f"{column}/{value}/{name}": number for name, number in metrics.items()}
            told[f"{column}/{value}"] = examples
    return told


def ends_of(intervals) -> dict:
    return {f"{end}/{name}": getattr(one, end) for name, one in intervals.items() for end in ("low", "high")}


@settings(max_examples=25, deadline=None)
@given(judged, st.randoms(use_true_random=False))
def test_permuting_product_ids_queries_or_rows_changes_no_metric(tmp_path_factory, rows, random):
    folder = tmp_path_factory.mktemp("table")
    products, queries = [f"p{n}" for n in range(len(TITLES))], [f"q{n}" for n in range(len(ASKED))]
    pairs = read_judged(folder, rows, products, queries)
    for names in (products, queries, rows):
        random.shuffle(names)
    other = read_judged(folder, rows, products, queries)
    for told in (told_of_retrieval, told_of_relevance):
        assert told(other) == pytest.approx(told(pairs), abs=1e-9, nan_ok=True)


WORDS = ("ale", "bun", "cod", "dip", "egg", "fig", "gum")
bought = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6), st.integers(0, 6)), min_size=12, max_size=50)


def told_of_next_item(rows, names) -> dict:
    """Measure every scorer on purchases of (user, day, item), items numbered in the order of their names."""
    order = np.argsort(names)
    place = np.argsort(order)
    chosen = sorted({(user, day, int(place[item])) for user, day, item in rows})
    user, time, item = (np.array(column) for column in zip(*chosen, strict=True))
    purchases = Purchases(tuple("uvwxyz"), user.astype(np.int32), time, item.astype(np.int32))
    texts = tuple(WORDS[item] for item in order)
    catalogue = Catalogue(tuple(names[item] for item in order), texts, tuple("ab"[len(text) % 2] for text in texts))
    card = DataCard("x", 0, 0, {}, 7, 7, 0, "")
    snapshot = Snapshot(catalogue, purchases, first_trips_from(purchases, 4), card)
    _, test = split_trips(purchases, snapshot.use, min_history_days=0)
    if not len(test) or not (snapshot.use == LEARN).any():
        return {}
    settings = ScoreJob(bag_items=2, near_items=3, factors=3, half_life_days=3.0)
    distinct = distinct_texts(catalogue)
    vectors = torch.from_numpy(np.stack([vector_of(text + "r" * (n % 3)) for n, text in enumerate(distinct.distinct)]))
    known = collect_test(snapshot, test, distinct, settings)
    scores = dict(score_without_text(snapshot, known, settings.factors))
    scores["text"] = score_items(snapshot, distinct, Scorer(settings, 8, vectors.mean(0)), vectors, known)
    told = {}
    for name, score in scores.items():
        table, metrics = measure(snapshot, known, score, "group")
        told |= {f"{name}/{what}": value for what, value in (told_of(table) | metrics).items()}
    return told


@settings(max_examples=25, deadline=None)
@given(bought, st.permutations([f"p{n}" for n in range(7)]))
def test_permuting_the_ids_of_items_changes_no_metric_of_the_next_item(rows, names):
    told = told_of_next_item(rows, [f"p{n}" for n in range(7)])
    assert told_of_next_item(rows[::-1], names) == pytest.approx(told, abs=1e-6)


def test_households_scored_a_few_at_a_time_have_the_metrics_of_all_at_once(monkeypatch):
    days = [0, 0, 1, 2, 4, 5, 5, 6]
    rows = [(user, day, (user * place + day) % 7) for user in range(6) for place, day in enumerate(days)]
    names = [f"p{n}" for n in range(7)]
    whole = told_of_next_item(rows, names)
    assert whole
    monkeypatch.setattr(next_item_ranking, "SCORES_AT_A_TIME", 2 * len(WORDS))
    assert told_of_next_item(rows, names) == pytest.approx(whole, abs=1e-9)


def test_a_cut_behind_the_end_of_every_list_costs_nothing():
    ranked = RankedList(np.array([3.0, 2.0]), np.array([0.0, 1.0]), np.ones(1))
    found = rank_metrics([ranked], ndcg=(2, 2**31 - 1), least=1.0, depth=None)
    assert found["ndcg_at_2"] == found[f"ndcg_at_{2**31 - 1}"]
