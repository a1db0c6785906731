"""Reading MLflow leaves its database as it is: not begun where there is none, not brought up to another version."""

import sqlite3
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Dataset as MlflowDataset
from mlflow.entities import DatasetInput, InputTag

from bot.domain.runs import Dataset, Release
from bot.errors import RunStoreError
from bot.ports import Selection
from bot.services.mlflow.config import MlflowSection
from bot.services.mlflow.run_store import MlflowRunStore


def read_all(file: Path) -> list[str]:
    """Read what every command reads; return the names of the experiments."""
    store = MlflowRunStore(MlflowSection(tracking_uri=f"sqlite:///{file}"))
    store.released(Release("search", "production"))
    store.experiments(("search",))
    found = store.experiments(("*",))
    for each in found:
        list(store.runs_since(each, None, Selection()))
    return [each.name for each in found]


def test_a_database_of_our_mlflow_is_read_and_stays_as_it_is(bench, tmp_path):
    file = tmp_path / "mlflow.db"
    before = file.read_bytes()
    assert "Default" in read_all(file)
    assert file.read_bytes() == before


def test_a_database_of_another_mlflow_is_told_and_stays_as_it_is(bench, tmp_path):
    """MLflow takes one that lacks a table for empty, and brings it up to date without asking."""
    file = tmp_path / "mlflow.db"
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0584bdc529eb'")
        connection.execute("DROP TABLE trace_info")
    before = file.read_bytes()
    with pytest.raises(RunStoreError, match=r"mlflow\.db was made by an older MLflow \(its schema is 0584bdc529eb"):
        read_all(file)
    assert file.read_bytes() == before


def test_the_data_sets_that_a_run_has_as_inputs_are_read_with_what_they_were_for(bench, tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = MlflowClient(tracking_uri=uri)
    run_id = client.create_run(client.create_experiment("search")).info.run_id
    orders, held_out = (
        MlflowDataset(name, digest, "local", "{}") for name, digest in (("orders", "a1"), ("held out", "b2"))
    )
    inputs = [
        DatasetInput(orders, [InputTag("mlflow.data.context", "training")]),
        DatasetInput(held_out, [InputTag("mlflow.data.context", "testing")]),
        DatasetInput(MlflowDataset("users", "c3", "local", "{}")),
    ]
    client.log_inputs(run_id, inputs)
    client.set_terminated(run_id)
    store = MlflowRunStore(MlflowSection(tracking_uri=uri))
    (experiment,) = store.experiments(("search",))
    (run,) = store.runs_since(experiment, None, Selection())
    assert set(run.datasets) == {
        Dataset("orders", "a1", "training"),
        Dataset("held out", "b2", "testing"),
        Dataset("users", "c3"),
    }


def test_a_run_that_a_herald_made_to_ask_about_another_is_listed_to_nobody(bench, tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = MlflowClient(tracking_uri=uri)
    experiment_id = client.create_experiment("search")
    own, rerun = (client.create_run(experiment_id).info.run_id for _ in range(2))
    store = MlflowRunStore(MlflowSection(tracking_uri=uri))
    store.mark_rerun(rerun)
    for run_id in (own, rerun):
        client.set_terminated(run_id)
    (experiment,) = store.experiments(("search",))
    assert [run.run_id for run in store.runs_since(experiment, None, Selection())] == [own]
    assert [run.run_id for run in store.newest(experiment, 5)] == [own]
