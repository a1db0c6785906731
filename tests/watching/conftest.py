"""A real MLflow in a SQLite file, and a Herald that watches it."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import warnings
from pathlib import Path

import pytest

from tests.watching.bench import Bench

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
_PATIENCE_SECONDS = 120
_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"))


@pytest.fixture(scope="session")
def mlflow_file(testrun_uid) -> Path:
    """Return an empty MLflow database, to be copied: making one takes seconds, so one worker does it for all."""
    folder = Path(tempfile.gettempdir()) / f"herald-mlflow-{testrun_uid}"
    ready = folder / "mlflow.db"
    try:
        folder.mkdir()
    except FileExistsError:
        waited = 0.0
        while not ready.exists() and waited < _PATIENCE_SECONDS:
            time.sleep(0.2)
            waited += 0.2
        return ready
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what MLflow does with its libraries is its own affair
        from mlflow import MlflowClient

        MlflowClient(tracking_uri=f"sqlite:///{folder / 'part.db'}").search_experiments()
    (folder / "part.db").rename(ready)
    return ready


@pytest.fixture
def bench(mlflow_file, sqlite_database, tmp_path) -> Bench:
    shutil.copyfile(mlflow_file, tmp_path / "mlflow.db")
    return Bench(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path, sqlite_database)
