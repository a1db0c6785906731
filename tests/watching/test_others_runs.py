"""Runs as other people's programs leave them: each is judged by the metrics that are there."""

from __future__ import annotations

import sqlite3
from datetime import timedelta

import pytest

from bot.connections import make_run_store
from bot.doctor import runs_wanted
from bot.services.mlflow.checks import check_mlflow
from bot.services.mlflow.config import MlflowSection
from bot.services.mlflow.run_store import MlflowRunStore
from tests.watching.bench import GOOD


def test_a_run_that_is_listed_and_cannot_be_loaded_is_judged_by_its_metrics(bench, monkeypatch):
    ids = bench.log_row([GOOD] * 3, bench.now() - timedelta(hours=1))
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    get_run = SqlAlchemyStore.get_run

    def hidden(store, run_id):
        if run_id == ids[1]:
            raise TypeError("no such lifecycle stage")
        return get_run(store, run_id)

    monkeypatch.setattr(SqlAlchemyStore, "get_run", hidden)
    bench.cycle()
    assert all(bench.is_judged(run_id) for run_id in ids)


def test_an_experiment_of_a_server_is_judged_by_its_metrics_where_only_its_database_is_read(bench):
    bench.mlflow.create_experiment("search", artifact_location="mlflow-artifacts:/1")
    ids = bench.log_row([GOOD] * 2, bench.now() - timedelta(hours=1))
    bench.cycle()
    assert all(bench.judged(run_id).unread for run_id in ids)


@pytest.mark.parametrize(
    ("place", "way"),
    [
        ("mlflow-artifacts:/1", "Only the server gives these: name its address (http) in mlflow.tracking_uri."),
        ("s3://a-bucket/runs", "Install boto3 beside Herald, and give it the account of that storage."),
        ("/mnt/no-such-share/mlruns/7", "Let this machine reach that place."),
        ("file:///mnt/no%20such%20share/mlruns/7", "Let this machine reach that place."),
        ("gs://a-bucket/runs", "Install google-cloud-storage beside Herald, and give it the account of that storage."),
    ],
)
def test_the_doctor_says_which_artifacts_cannot_be_had_from_here(bench, place, way):
    bench.mlflow.create_experiment("search", artifact_location=place)
    bench.log(GOOD, bench.now() - timedelta(hours=1))
    config = bench.config()
    (check,) = (
        each
        for each in check_mlflow(config.mlflow, runs_wanted(config), make_run_store(config), bench.now())
        if each.name == "artifacts of quality"
    )
    assert check.said.startswith(f"the artifacts of search ({place}) cannot be had from here: ")
    assert check.remedy == f"{way} Until then its runs are judged by their metrics alone."


def test_the_doctor_names_the_experiment_that_was_meant_as_run_does(bench):
    bench.log(GOOD, bench.now() - timedelta(hours=1))
    config = bench.config(watch={"experiments": ["serch"]})
    (check,) = (
        each
        for each in check_mlflow(config.mlflow, runs_wanted(config), make_run_store(config), bench.now())
        if each.name == "runs of quality"
    )
    assert (check.ok, check.said) == (False, "MLflow has no experiment named serch; did you mean search?")


def test_the_doctor_says_nothing_of_artifacts_that_can_be_had(bench):
    bench.log(GOOD, bench.now() - timedelta(hours=1))
    config = bench.config()
    names = [
        each.name for each in check_mlflow(config.mlflow, runs_wanted(config), make_run_store(config), bench.now())
    ]
    assert names[0] == "address"
    assert "artifacts of quality" not in names


def test_an_experiment_that_was_deleted_is_none(bench):
    bench.log(GOOD, bench.now() - timedelta(hours=1))
    with sqlite3.connect(bench.folder / "mlflow.db") as connection:
        connection.execute("UPDATE experiments SET lifecycle_stage = 'deleted' WHERE name = 'search'")
    connection.close()
    store = MlflowRunStore(MlflowSection(tracking_uri=bench.uri))
    assert list(store.experiments(("search",))) == []
    assert [each.name for each in store.experiments(("*",))] == ["Default"]
