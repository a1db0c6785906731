"""The small shop as fixtures."""

from pathlib import Path
from shutil import copyfile

import pytest
import torch

from tests.trainer.shop import Bench, make_bench, make_model, make_rows, products_table, write_raw
from trainer.data.completejourney import Options, prepare

torch.set_num_threads(1)  # tensors are tiny here: threads would wait for one another


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="session")
def raw_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_raw(tmp_path_factory.mktemp("raw") / "tables", make_rows(), products_table())


@pytest.fixture(scope="session")
def snapshot_folder(tmp_path_factory: pytest.TempPathFactory, raw_folder: Path) -> Path:
    folder = tmp_path_factory.mktemp("snapshots") / "healthy"
    prepare(raw_folder, folder, Options(min_households=2))
    return folder


@pytest.fixture
def bench(tmp_path: Path, snapshot_folder: Path, model_folder: Path) -> Bench:
    return make_bench(tmp_path, snapshot_folder, model_folder)


@pytest.fixture
def tracked(bench: Bench, mlflow_file: Path) -> Bench:
    copyfile(mlflow_file, bench.database)
    return bench


@pytest.fixture
def place(tmp_path: Path, mlflow_file: Path) -> Path:
    """Return a folder in which MLflow has its tables."""
    copyfile(mlflow_file, tmp_path / "mlflow.db")
    return tmp_path
