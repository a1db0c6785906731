"""Reading MLflow leaves its database as it is: not begun where there is none, not brought up to another version."""

import sqlite3
from pathlib import Path

import pytest

from bot.domain.runs import Release
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
