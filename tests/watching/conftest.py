"""A real MLflow in a SQLite file, and a Herald that watches it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.undrawn_charts import no_drawing  # noqa: F401  for all of this folder
from tests.watching.bench import Bench

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"))


@pytest.fixture
def bench(mlflow_file, sqlite_database, tmp_path) -> Bench:
    shutil.copyfile(mlflow_file, tmp_path / "mlflow.db")
    return Bench(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path, sqlite_database)
