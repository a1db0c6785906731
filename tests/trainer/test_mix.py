"""What a user repeats and what is new to it, in one list: what the network is told, learns, and keeps."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from tests.trainer.shop import Bench, make_bench
from trainer.__main__ import main
from trainer.data.card import DataCard
from trainer.data.rhythms import collect_rhythms
from trainer.data.snapshot import LEARN, Catalogue, Purchases, Snapshot, first_trips_from
from trainer.data.trips import Trips, split_trips
from trainer.errors import DataError, ModelError
from trainer.jobs.schema import MixJob, ScoreJob
from trainer.learning.mix_loss import trip_loss
from trainer.models.crowd import learn_crowd
from trainer.models.history_scorer import Scorer, load_scorer
from trainer.models.mix_features import FEATURES, open_block
from trainer.run import run_job
from trainer.tasks.next_item_mix import learn_mix, not_rehearsed, rehearse
from trainer.tasks.next_item_ranking import (
    ask,
    collect_test,
    distinct_texts,
    measure,
    only_new,
    score_items,
)
from trainer.tasks.next_item_report import report, tell_difference

WORDS = ("ale", "bun", "cod", "dip", "egg", "fig", "gum")
MIX = ("mix.batch=8", "mix.epochs=4", "mix.others=5")
REPEATED = ("hr_at_10", "ndcg_at_10", "mrr", "recall_at_50", "coverage")


def purchases_of(rows, step_days: float = 1.0, users: int = 6) -> Purchases:
    user, time, item = (np.array(column) for column in zip(*sorted(set(rows)), strict=True))
    names = tuple("uvwxyz"[:users])
    return Purchases(names, user.astype(np.int32), time.astype(np.int64), item.astype(np.int32), step_days)


def trip_at(user: int, time: int) -> Trips:
    nothing = np.empty(0, dtype=np.int64)
    return Trips(np.array([user]), np.array([time]), np.zeros(2, dtype=np.int64), nothing)


def test_a_rhythm_holds_how_often_how_lately_and_at_what_intervals_a_text_was_bought():
    # Items 0 and 1 have one text: bought on days 1, 4 and 4, 9; the visit of day 12 is the answer.
    found = purchases_of([(0, 1, 0), (0, 4, 0), (0, 4, 1), (0, 9, 1), (0, 9, 2), (0, 12, 0), (1, 2, 2)])
    rhythms = collect_rhythms(found, trip_at(0, 12), np.array([0, 0, 1]), 2)
    assert (rhythms.text_P.tolist(), rhythms.times_P.tolist()) == ([0, 1], [3.0, 1.0])
    assert (rhythms.days_ago_P.tolist(), rhythms.visits_ago_P.tolist()) == ([3.0, 3.0], [1.0, 1.0])
    assert rhythms.log_gaps_P.tolist() == [pytest.approx(np.log(4) + np.log(6)), 0.0]
    assert rhythms.by_visits[0].tolist() == [pytest.approx(1 + 2**-0.5 + 0.5), 1.0]
    assert rhythms.by_days[0].tolist() == [pytest.approx(sum(2 ** (-days / 28) for days in (3, 8, 11))), 2 ** (-3 / 28)]
    assert (rhythms.visits_U.tolist(), rhythms.bought_U.tolist(), rhythms.days_ago_U.tolist()) == ([3.0], [4.0], [3.0])


def test_days_are_counted_in_days_whatever_a_step_of_the_log_is():
    rows = [(0, 0, 0), (0, 86_400, 0), (0, 3 * 86_400, 1)]
    rhythms = collect_rhythms(purchases_of(rows, 1 / 86_400), trip_at(0, 4 * 86_400), np.array([0, 1]), 2)
    assert rhythms.days_ago_P.tolist() == pytest.approx([3.0, 1.0])
    assert rhythms.visits_ago_P.tolist() == [2.0, 1.0]


def test_a_trip_with_nothing_before_it_has_no_rhythm():
    rhythms = collect_rhythms(purchases_of([(0, 5, 0)]), trip_at(0, 5), np.array([0]), 1)
    assert (len(rhythms.text_P), rhythms.visits_U.tolist(), rhythms.days_ago_U.tolist()) == (0, [0.0], [0.0])


def test_the_crowd_says_what_is_popular_now_and_how_often_it_is_bought_again():
    rows = [(user, 0, 0) for user in range(4)] + [(0, 3, 0), (1, 5, 0), (0, 40, 1), (1, 40, 1)]
    found = purchases_of(rows)
    crowd = learn_crowd(found, np.ones(len(found), dtype=np.bool_), np.array([0, 1]), 3)
    assert np.exp(crowd.share_E).tolist() == pytest.approx([7 / 11, 3 / 11, 1 / 11])
    assert np.exp(crowd.lately_E).tolist() == pytest.approx([1 / 5, 3 / 5, 1 / 5])
    assert np.exp(crowd.again_E).tolist() == pytest.approx([3 / 6, 1 / 4, 1 / 2])
    gaps = [(np.log(4) + np.log(6) + 5 * np.log(30)) / 7, np.log(30), np.log(30)]
    assert crowd.gap_E.tolist() == pytest.approx(gaps)


def test_the_loss_is_the_mean_over_trips_of_what_was_bought_under_a_softmax():
    score, bought = torch.tensor([1.0, 2.0, 0.5, 0.0, 3.0]), torch.tensor([1.0, 1.0, 0.0, 0.0, 1.0])
    trip = torch.tensor([0, 0, 0, 1, 1])
    first = -torch.log_softmax(score[:3], 0)[:2].mean()
    second = -torch.log_softmax(score[3:], 0)[1]
    assert float(trip_loss(score, bought, trip, 2)) == pytest.approx(float(first + second) / 2)


def test_a_trip_that_took_none_of_the_candidates_adds_nothing_to_the_loss():
    score, trip = torch.tensor([1.0, 2.0, 5.0]).requires_grad_(), torch.tensor([0, 0, 1])
    loss = trip_loss(score, torch.tensor([1.0, 0.0, 0.0]), trip, 3)
    loss.backward()
    gradient, score = score.grad, score.detach()
    assert float(loss.detach()) == pytest.approx(float(-torch.log_softmax(score[:2], 0)[0]) / 3)
    assert float(gradient[2]) == 0.0


def snapshot_of(rows, names, test_from: int | None = 60) -> Snapshot:
    """Number items in the order of their names; the test is the first trip from a day on, or nobody's."""
    order = np.argsort(names)
    place = np.argsort(order)
    found = purchases_of([(user, day, int(place[item])) for user, day, item in rows])
    texts = tuple(WORDS[item] for item in order)
    catalogue = Catalogue(tuple(names[item] for item in order), texts, tuple("ab"[len(text) % 2] for text in texts))
    card = DataCard("x", 0, 0, {}, 7, 7, 0, "", test_from=None if test_from is None else "1970-03-02")
    use = first_trips_from(found, 1 << 30 if test_from is None else test_from)
    return Snapshot(catalogue, found, use, card)


def habits(seed: int = 0) -> list[tuple[int, int, int]]:
    """Let six users take a favourite every few days, and now and then whatever comes."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(6):
        for day in range(user % 3, 70, 3 + user % 2):
            rows += [(user, day, user), (user, day, int(rng.integers(0, 7)))]
    return rows


NAMES = [f"p{n}" for n in range(7)]
SETTINGS = MixJob(spans=2, days=14, batch=4, epochs=3, others=3, hidden=4)


def test_of_a_split_in_time_the_first_trips_of_the_last_spans_before_the_test_are_rehearsed():
    snapshot = snapshot_of(habits(), NAMES)
    rehearsals = rehearse(snapshot, SETTINGS, np.random.default_rng(0))
    end = int(snapshot.purchases.time[snapshot.use == LEARN].max()) + 1
    assert [sorted(one.trips.user.tolist()) for one in rehearsals] == [list(range(6))] * 2
    for number, one in enumerate(rehearsals, start=1):
        start = end - 14 * number
        assert one.trips.time.min() >= start
        assert one.trips.time.max() < start + 14
        assert one.purchases.time[one.use == LEARN].max() < start


def test_without_times_everybodys_last_trip_is_rehearsed():
    snapshot = snapshot_of(habits(), NAMES, test_from=None)
    (one,) = rehearse(snapshot, SETTINGS, np.random.default_rng(0))
    assert one.trips.time.tolist() == [
        int(snapshot.purchases.time[snapshot.purchases.user == user].max()) for user in range(6)
    ]


def test_what_is_rehearsed_is_not_what_the_text_model_learns():
    snapshot = snapshot_of(habits(), NAMES)
    rehearsals = rehearse(snapshot, SETTINGS, np.random.default_rng(0))
    learn, _ = split_trips(snapshot.purchases, snapshot.use, min_history_days=0)
    left = not_rehearsed(learn, rehearsals)
    assert len(left) == len(learn) - 12
    rehearsed = {pair for one in rehearsals for pair in zip(one.trips.user, one.trips.time, strict=True)}
    assert not rehearsed & set(zip(left.user, left.time, strict=True))


def test_too_few_trips_to_rehearse_are_told():
    with pytest.raises(DataError, match=r"mix: 6 trips to rehearse are fewer than mix\.batch = 64"):
        rehearse(snapshot_of(habits(), NAMES, test_from=None), MixJob(), np.random.default_rng(0))


def learned(snapshot: Snapshot, score: ScoreJob, mix: MixJob = SETTINGS):
    texts = distinct_texts(snapshot.catalogue)
    vectors = torch.from_numpy(np.random.default_rng(5).normal(size=(7, 4)).astype(np.float32))
    scorer = Scorer(score, 8, vectors.mean(0))
    rehearsals = rehearse(snapshot, mix, np.random.default_rng(0))
    learned_mix = learn_mix(snapshot, texts, scorer, vectors, rehearsals, mix, np.random.default_rng(0))
    return texts, vectors, replace(scorer, mix=learned_mix)


def told_of_mix(rows, names, *, repeats: bool = True) -> dict:
    snapshot, score = snapshot_of(rows, names), ScoreJob(bag_items=2, near_items=3, factors=0, repeats=repeats)
    texts, vectors, scorer = learned(snapshot, score)
    _, test = split_trips(snapshot.purchases, snapshot.use, min_history_days=0)
    known = collect_test(snapshot, test, texts, score)
    scores = score_items(snapshot, texts, scorer, vectors, known)
    found = report(snapshot, known, {"own": scores}, "own", 0, "group")
    return {f"{name}/{what}": value for name, all_of in found.compared.items() for what, value in all_of.items()}


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 5), st.permutations(NAMES), st.booleans())
def test_permuting_the_ids_of_items_changes_no_metric_of_the_mix(seed, names, repeats):
    told = told_of_mix(habits(seed), NAMES, repeats=repeats)
    assert told_of_mix(habits(seed)[::-1], names, repeats=repeats) == pytest.approx(told, abs=1e-6)


def test_candidates_are_described_the_same_one_by_one_and_all_at_once():
    snapshot = snapshot_of(habits(), NAMES)
    texts, _, scorer = learned(snapshot, ScoreJob())
    _, test = split_trips(snapshot.purchases, snapshot.use, min_history_days=0)
    asked = ask(scorer.mix.links, snapshot.purchases, snapshot.use == LEARN, test, texts)
    text_scores = np.random.default_rng(1).normal(size=(len(test), 7)).astype(np.float32)
    whole = scorer.mix.score(asked, np.arange(len(test)), text_scores)
    for row in range(len(test)):
        block = open_block(asked, np.array([row]), text_scores[[row]])
        described = torch.from_numpy(block.describe(np.zeros(7, dtype=np.int64), np.arange(7)))
        assert described.shape == (7, len(FEATURES))
        assert whole[row] == pytest.approx(scorer.mix.gate(described).detach().numpy(), abs=1e-5)


def test_without_repeats_only_what_is_new_to_its_user_is_asked_for():
    snapshot = snapshot_of(habits(), NAMES)
    score = ScoreJob(factors=0)
    texts = distinct_texts(snapshot.catalogue)
    _, test = split_trips(snapshot.purchases, snapshot.use, min_history_days=0)
    known = collect_test(snapshot, test, texts, score)
    new, left = only_new(known)
    held = known.counts_UI.toarray() > 0
    expected = [
        (trip, item) for trip in range(len(test)) for item in test.bought(trip).tolist() if not held[trip, item]
    ]
    owner = np.repeat(left, np.diff(new.trips.starts))
    assert list(zip(owner.tolist(), new.trips.items.tolist(), strict=True)) == expected
    assert new.trips.user.tolist() == test.user[left].tolist()


def test_a_difference_is_told_with_its_paired_interval():
    snapshot = snapshot_of(habits(), NAMES)
    texts = distinct_texts(snapshot.catalogue)
    _, test = split_trips(snapshot.purchases, snapshot.use, min_history_days=0)
    known = collect_test(snapshot, test, texts, ScoreJob())
    table, _ = measure(snapshot, known, lambda users: known.counts_UI[users].toarray(), "group")
    assert tell_difference(table, table).startswith("hr_at_10 +0.0000 (+0.0000 to +0.0000), ndcg_at_10 +0.0000")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, snapshot_folder: Path, model_folder: Path, mlflow_file: Path) -> Bench:
    folder = tmp_path_factory.mktemp("mixed")
    shutil.copyfile(mlflow_file, folder / "mlflow.db")
    bench = make_bench(folder, snapshot_folder, model_folder)
    run_job(bench.job(*MIX), "fit")
    return bench


def test_a_fit_reports_what_the_mix_gains_with_repeats_and_without(fitted):
    result = json.loads((fitted.folder / "output" / "result.json").read_text())
    assert {"texts alone", "popularity new only", "tuned new only"} <= set(result["baselines"])
    page = (fitted.folder / "output" / "summary.md").read_text()
    assert "- mixed: what the user repeats and what is new to it, weighed by a network learned on" in page
    assert "- beside personal frequency: hr_at_10 " in page
    assert "- beside texts alone: hr_at_10 " in page
    assert "- new only: what its user had never chosen" in page


def test_the_same_seed_gives_the_same_mix(fitted, tmp_path):
    again = run_job(fitted.job(*MIX, f"output={tmp_path}/again"), "fit").result.metrics
    first = json.loads((fitted.folder / "output" / "result.json").read_text())["metrics"]
    assert {name: again[name] for name in REPEATED} == {name: first[name] for name in REPEATED}


def test_a_saved_mix_scores_as_it_did_when_it_was_fitted(fitted, tmp_path):
    model = fitted.folder / "output" / "model"
    found = run_job(fitted.job(f"model.folder={model}", f"output={tmp_path}/again"), "evaluate").result
    first = json.loads((fitted.folder / "output" / "result.json").read_text())["metrics"]
    assert found.metrics["hr_at_10"] == pytest.approx(first["hr_at_10"], abs=1e-9)
    assert "texts alone" in found.baselines


def test_a_saved_mix_recommends(fitted, snapshot_folder, capsys):
    model = str(fitted.folder / "output" / "model")
    assert main(["recommend", model, "--user", "7", "--snapshot", str(snapshot_folder), "-k", "4", "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    scores = [product["score"] for product in answer["products"]]
    assert len(scores) == 4
    assert scores == sorted(scores, reverse=True)


def test_what_a_mix_was_learned_with_is_not_changed_by_evaluating_it(fitted, tmp_path):
    model = fitted.folder / "output" / "model"
    job = fitted.job(f"model.folder={model}", "mix.hidden=5", f"output={tmp_path}/again")
    with pytest.raises(ModelError, match=r"mix\.hidden = 5 is not what the saved model was fitted with, 16"):
        run_job(job, "evaluate")


def test_a_model_without_a_mix_is_not_evaluated_with_one(fitted, tmp_path):
    plain = tmp_path / "model"
    shutil.copytree(fitted.folder / "output" / "model", plain)
    kept = json.loads((plain / "scorer.json").read_text())
    del kept["mix"]
    (plain / "scorer.json").write_text(json.dumps(kept))
    assert load_scorer(plain).mix is None
    with pytest.raises(ModelError, match="mix: the saved model was fitted without it"):
        run_job(fitted.job(*MIX, f"model.folder={plain}", f"output={tmp_path}/again"), "evaluate")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda tensors: tensors | {"line.weight": torch.full((1, len(FEATURES)), torch.nan)}, "is NaN"),
        (lambda tensors: {name: one for name, one in tensors.items() if name != "mean_F"}, "holds another network"),
        (lambda tensors: tensors | {"line.weight": torch.zeros(1, 3)}, "holds another network"),
    ],
)
def test_a_mix_that_is_damaged_is_told(fitted, tmp_path, spoil, told):
    model = tmp_path / "model"
    shutil.copytree(fitted.folder / "output" / "model", model)
    save_file(spoil(load_file(model / "mix.safetensors")), model / "mix.safetensors")
    with pytest.raises(ModelError, match=told):
        load_scorer(model)
