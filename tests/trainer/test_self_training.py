"""A model learns from its own sure labels, round by round, and only as long as the valid rows gain."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.trainer.fitting import result_of
from tests.trainer.queries import make_bert, make_rows, write_job, write_rows
from trainer.__main__ import main
from trainer.errors import Stopped
from trainer.jobs.file import load_job
from trainer.jobs.labelling import LabelJob
from trainer.labelling import self_training
from trainer.labelling.self_training import choose_sure

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


def test_the_surest_of_each_class_are_taken_up_to_the_cap():
    chances = np.array([[0.95, 0.05], [0.99, 0.01], [0.85, 0.15], [0.2, 0.8], [0.08, 0.92], [0.97, 0.03]])
    assert choose_sure(chances, 0.9, 2) == [1, 4, 5]
    assert choose_sure(chances, 0.9, 9) == [0, 1, 4, 5]
    assert choose_sure(chances, 0.999, 9) == []


@pytest.fixture
def shop(place):
    rows = make_rows(by_colour=True)
    job = write_job(
        place, "relevance", write_rows(place / "pairs.csv", rows), make_bert(place / "bert"), "relevant = 3.0"
    )
    judged = {(row.query, row.product_id) for row in rows}
    titles = {row.product_id: row.title for row in rows}
    lines = [
        f"{query},{key},{title},hall"
        for query in dict.fromkeys(row.query for row in rows)
        for key, title in list(titles.items())[:12]
        if (query, key) not in judged
    ]
    (place / "unjudged.csv").write_text("query,product_id,title,room\n" + "\n".join(lines) + "\n")
    return job


def test_the_job_file_that_the_page_shows_loads_with_the_defaults_it_tells(tmp_path):
    page = Path(__file__).parents[2] / "docs" / "labels.md"
    (block,) = re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL)
    (tmp_path / "job.toml").write_text(block)
    assert load_job(tmp_path / "job.toml").label == LabelJob()


QUICK = ("train.batch=32", "train.epochs=2", "train.lr=3e-3", "label.confidence=0.51", "label.rounds=1")


def self_train(shop, *more):
    settings = [word for key in (*QUICK, *more) for word in ("--set", key)]
    return main(["label", "selftrain", str(shop), "--pairs", str(shop.parent / "unjudged.csv"), *settings])


def test_rounds_are_nested_runs_on_the_valid_rows_and_the_best_is_fitted(shop, capsys):
    from mlflow import MlflowClient

    assert self_train(shop) == 0
    place, told = shop.parent, capsys.readouterr().out
    content = json.loads((place / "relevance" / "self_training.json").read_text())
    client = MlflowClient(tracking_uri=f"sqlite:///{place / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("relevance").experiment_id])
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    nested = {run.info.run_name: run for run in runs if run is not parent}
    assert sorted(nested) == [f"round {one['number']}" for one in content["rounds"]]
    assert {run.data.params["part"] for run in nested.values()} == {"valid"}
    values = [one["value"] for one in content["rounds"]]
    assert values[content["best"]] == max(values)
    assert content["best"] >= len(values) - 2  # it stopped where nothing was gained, or with the last
    assert parent.data.params["part"] == "test"
    assert parent.info.run_id == result_of(place / "relevance")["run_id"]
    assert f"run {parent.info.run_id}" in told
    table = place / "relevance-pairs.parquet"
    assert table.exists() == bool(content["best"])
    if content["best"]:
        learnt = pq.read_table(table).to_pylist()[-len(content["learnt"]) :]
        assert {row["part"] for row in learnt} == {"train"}
        assert all(1 <= float(row["grade"]) <= 3 for row in learnt)


def test_a_stop_of_the_last_fit_leaves_no_table_that_the_next_try_would_be_refused_for(shop, monkeypatch):
    def stop(*_, **__):
        assert (shop.parent / "relevance-pairs.parquet").exists()
        raise Stopped(15)

    monkeypatch.setattr(self_training, "run_job", stop)
    monkeypatch.setattr(self_training, "_best", lambda rounds, _: rounds[-1])
    assert self_train(shop, f"result={shop.parent}/result.json") == 143
    assert not (shop.parent / "relevance-pairs.parquet").exists()
    assert result_of(shop.parent)["status"] == "killed"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("label.confidence=0.4",), "label.confidence"),
        (("label.pairs=nowhere.csv",), "nowhere.csv: there is no such file"),
        (("label.metric=acuracy",), "label.metric: 'acuracy' is not one of auc, accuracy"),
    ],
)
def test_what_cannot_be_learnt_from_is_told_before_anything_is_written(shop, capsys, more, said):
    settings = [word for key in (*QUICK, *more) for word in ("--set", key)]
    assert main(["label", "selftrain", str(shop), *settings]) == 2
    assert said in capsys.readouterr().err
    assert not (shop.parent / "relevance").exists()


def test_valid_rows_that_all_say_the_same_are_no_judge_and_are_refused_before_a_run(shop, capsys):
    rows = make_rows(by_colour=True)
    write_rows(shop.parent / "pairs.csv", [replace(row, grade=3.0) if row.part == "valid" else row for row in rows])
    assert self_train(shop) == 2
    assert "are on one side of relevant = 3, so that label.metric = 'auc' has no value" in capsys.readouterr().err
    assert not (shop.parent / "relevance").exists()
