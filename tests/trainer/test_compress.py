"""A tuned model made smaller: what is taken, what is refused, and that it answers as it was measured."""

import json
from time import sleep

import numpy as np
import pytest

from tests.trainer.fitting import result_of
from tests.trainer.queries import make_bert, make_rows, write_job, write_rows
from trainer.__main__ import main
from trainer.compression import retrieval_candidates
from trainer.compression.gate import GateError, LossGate, Measured, choose
from trainer.compression.timing import time_answers, time_models
from trainer.jobs.file import load_job
from trainer.measures.bootstrap import Interval
from trainer.models.model_form import Form, read_form

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

GATE = LossGate("auc", 0.01, 2.0)


def measured(name, *, lost=0.0, at_most=0.005, speedup=3.0, megabytes=10.0):
    return Measured(name, 0.8, lost, Interval(-0.005, at_most), 1.0, 10.0, 6400.0, speedup, megabytes)


def test_the_gate_takes_the_quickest_that_surely_loses_little_and_of_equals_the_smallest():
    slow, quick = measured("onnx", speedup=2.0), measured("int8", speedup=4.0)
    unsure = measured("static", lost=0.0, at_most=0.0101, speedup=900.0)
    assert choose([slow, quick, unsure], GATE).name == "int8"
    assert choose([measured("a", megabytes=2.0), measured("b", megabytes=1.0)], GATE).name == "b"


def test_a_gate_that_nothing_passes_says_of_each_what_keeps_it_out():
    both = measured("static", at_most=0.2, speedup=1.5)
    with pytest.raises(GateError) as refused:
        choose([measured("int8", speedup=1.2), both], GATE)
    assert str(refused.value) == (
        "compress: no candidate passes the gate: int8 is 1.20 times as quick, below compress.min_speedup = 2; static"
        " may lose 0.2000 of auc, above compress.max_quality_loss = 0.01 and is 1.50 times as quick, below"
        " compress.min_speedup = 2"
    )


def test_models_are_timed_in_turns_on_the_same_questions_and_the_first_is_the_measure():
    asked = []
    work = np.ones((100, 100))

    def heavy(places):
        asked.append(("heavy", tuple(places)))
        return [work @ work for _ in range(20)]

    def light(places):
        asked.append(("light", tuple(places)))
        return work @ work

    found = time_models({"original": heavy, "small": light}, questions=3, rounds=5)
    assert found["original"].speedup == 1.0
    assert found["small"].speedup > 1.5
    assert {places for name, places in asked if name == "heavy"} == {
        places for name, places in asked if name == "light"
    }
    assert {place for _, places in asked for place in places} == {0, 1, 2}


def test_whole_answers_are_timed_by_the_clock_and_by_the_processor():
    def work():  # no library's, whose threads may turn while they wait
        return sum(range(20_000))

    def heavy(places):
        return [work() for _ in range(20 * len(places))]

    def waits(places):
        sleep(0.01)
        return [work() for _ in places]

    found = time_answers({"original": heavy, "small": waits}, questions=3, at_once=2, rounds=3)
    assert found["original"].speedup == found["original"].cpu_speedup == 1.0
    assert found["small"].cpu_speedup > 2 * found["small"].speedup
    assert found["small"].per_second < 2 / 0.01


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Save a retrieval model as a fit would, nothing of it trained."""
    from trainer.tasks import retrieval

    folder = tmp_path_factory.mktemp("compressed")
    data = write_rows(folder / "pairs.csv", make_rows())
    job = write_job(folder, "retrieval", data, make_bert(folder / "bert"))
    task = retrieval.load(load_job(job), training=False)
    task.take_saved().save(folder / "model")
    return job


def compress(job, place, *overrides, tmp="out"):
    options = [f"model.folder={job.parent}/model", f"output={place}/{tmp}", f"tracking.uri=sqlite:///{place}/mlflow.db"]
    sets = [word for one in (*options, "compress.epochs=30", *overrides) for word in ("--set", one)]
    return main(["compress", str(job), "--json", *sets])


def test_the_choice_is_a_run_with_its_costs_and_answers_as_it_was_measured(shop, place, capsys):
    gate = ("compress.max_quality_loss=1", "compress.min_speedup=0.1")
    assert compress(shop, place, 'compress.candidates=["static", "asymmetric"]', *gate) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in told["models"]] == ["original", "static", "asymmetric"]
    assert told["chosen"] in ("static", "asymmetric")
    result = result_of(place / "out")
    assert result["command"] == "compress"
    assert {"quality_loss", "high/quality_loss", "speedup", "ms_of_64", "model_mb", "ndcg_at_10"} <= set(
        result["metrics"]
    )
    original, static, _ = told["models"]
    assert static["answered"]["per_second"] > 0
    assert original["answered"]["speedup"] == 1.0
    page = (place / "out" / "summary.md").read_text()
    assert f"| static | {static['quality']:.4f} | {static['metrics']['vectors/ndcg_at_10']:.4f} |" in page
    assert f"BM25 alone reaches {original['metrics']['bm25/ndcg_at_10']:.4f} of ndcg_at_10" in page
    assert json.loads((place / "out" / "compress.json").read_text())["chosen"] == told["chosen"]
    model = place / "out" / "model"
    assert read_form(model).form is Form(told["chosen"])
    sets = ["--set", f"output={place}/again", "--set", f"tracking.uri=sqlite:///{place}/mlflow.db"]
    assert main(["evaluate", str(shop), "--model", str(model), *sets]) == 0
    assert result_of(place / "again")["metrics"]["ndcg_at_10"] == result["metrics"]["ndcg_at_10"]
    capsys.readouterr()
    assert main(["recommend", str(model), "red lamp", "-k", "2", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)[0]["products"]) == 2


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (("compress.candidates=static", "compress.min_speedup=1e9"), "no candidate passes the gate: static"),
        (("compress.candidates=static", "compress.metric=auc"), "compress.metric: 'auc' is not one of mrr, ndcg_at_10"),
        (("compress.candidates=tiny",), "key 'compress.candidates' is 'tiny'"),
        (("device.kind=cuda",), 'device.kind = "cuda": torch finds none on this machine'),
        (("device.precision=fp16",), 'device.precision = "fp16": the processor does not compute in it'),
        (("model.folder=bert",), "holds no retrieval.json; a model that `fit` saved does"),
    ],
)
def test_what_cannot_be_compressed_leaves_one_sentence_and_nothing_else(
    shop, place, capsys, monkeypatch, overrides, said
):
    monkeypatch.chdir(shop.parent)
    assert compress(shop, place, *overrides) == 2
    assert said in capsys.readouterr().err
    assert {path.name for path in place.iterdir()} == {"mlflow.db"}


@pytest.mark.parametrize(
    ("overrides", "code", "said"),
    [
        (("tracking.uri=sqlite:///{place}/broken.db",), 1, "broken.db: is no SQLite database"),
        (("tracking.experiment=gone",), 1, "tracking.experiment: 'gone' was deleted; restore it or name another"),
        (
            ("output={place}/broken.db/out",),
            2,
            "broken.db/out: cannot be made: {place}/broken.db is a file and no folder",
        ),
        (("result={place}",), 2, "result = {place}: is a folder; the name of a file is right"),
        (("tracking.registered='a:b'",), 2, "the registry takes no name that is blank or holds / or :"),
    ],
)
def test_what_would_lose_the_work_is_told_before_a_candidate_is_made(shop, place, capsys, overrides, code, said):
    from mlflow import MlflowClient

    (place / "broken.db").write_text("words that are no database")
    client = MlflowClient(tracking_uri=f"sqlite:///{place}/mlflow.db")
    client.delete_experiment(client.create_experiment("gone"))
    assert compress(shop, place, *(one.format(place=place) for one in overrides)) == code
    told = capsys.readouterr().err
    assert said.format(place=place) in told
    assert "trainer: compress: static" not in told


def test_a_candidate_for_which_the_disk_has_no_room_is_left_out_and_the_rest_is_measured(
    shop, place, capsys, monkeypatch
):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(retrieval_candidates, "write_form", full)
    gate = ("compress.max_quality_loss=1", "compress.min_speedup=0.1")
    assert compress(shop, place, 'compress.candidates=["asymmetric", "static"]', *gate) == 0
    told = capsys.readouterr()
    assert "asymmetric is left out: No space left on device: " in told.err
    assert json.loads(told.out)["chosen"] == "static"
