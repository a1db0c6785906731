"""Runs as other people's programs leave them: each is judged by the metrics that are there."""

from __future__ import annotations

import sqlite3
from datetime import timedelta

from bot.adapters.mlflow import MlflowRunStore
from bot.config import MlflowSection
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
    assert [each.detail for each in bench.judged(ids[1]).unread] == ["no such lifecycle stage"]
    assert all(bench.is_judged(run_id) for run_id in ids)


def test_an_experiment_of_a_server_is_judged_by_its_metrics_where_only_its_database_is_read(bench):
    bench.mlflow.create_experiment("search", artifact_location="mlflow-artifacts:/1")
    ids = bench.log_row([GOOD] * 2, bench.now() - timedelta(hours=1))
    bench.cycle()
    assert all(bench.judged(run_id).unread for run_id in ids)


def test_an_experiment_that_was_deleted_is_none(bench):
    bench.log(GOOD, bench.now() - timedelta(hours=1))
    with sqlite3.connect(bench.folder / "mlflow.db") as connection:
        connection.execute("UPDATE experiments SET lifecycle_stage = 'deleted' WHERE name = 'search'")
    connection.close()
    store = MlflowRunStore(MlflowSection(tracking_uri=bench.uri))
    assert list(store.experiments(("search",))) == []
    assert [each.name for each in store.experiments(("*",))] == ["Default"]
