"""How pictures and towers that are wrong are told, whatever stands in their names and files."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainer.tiny_towers import SEEN
from trainer.__main__ import main
from trainer.errors import ModelError, PictureError
from trainer.images.lite_folder import TowerCard, read_card
from trainer.images.pictures import find_picture
from trainer.images.transformers_tower import read_preprocessing

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["height", "width", "a"]), inner),
    max_leaves=4,
)
CARD = TowerCard(1, "efficientnet-lite0", "MIT", "0" * 64, "a", "1", "b.pth", "0" * 64)
STEPS = (*SEEN, "do_rescale", "do_normalize", "rescale_factor")


@given(key=st.sampled_from([*STEPS, "image_processor"]), value=ANYTHING)
def test_whatever_a_tower_says_of_pictures_is_read_or_refused_in_a_sentence(tmp_path_factory, key, value):
    folder = tmp_path_factory.mktemp("tower")
    whole = key == "image_processor"
    told = {key: value} if whole else {**SEEN, key: value}
    (folder / ("processor_config.json" if whole else "preprocessor_config.json")).write_text(json.dumps(told))
    refused_or_read(folder, lambda: read_preprocessing(folder))


@given(key=st.sampled_from(list(asdict(CARD))), value=ANYTHING)
def test_whatever_a_card_of_a_tower_says_is_read_or_refused_in_a_sentence(tmp_path_factory, key, value):
    folder = tmp_path_factory.mktemp("tower")
    (folder / "tower.json").write_text(json.dumps({**asdict(CARD), key: value}))
    card = refused_or_read(folder, lambda: read_card(folder))
    assert card is None or (type(card.sha256), card.licence.isprintable()) == (str, True)


def refused_or_read(folder: Path, read):
    try:
        return read()
    except ModelError as error:
        told = str(error)
    assert str(folder) in told
    assert "\n" not in told
    return None


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"rescale_factor": None}, "rescale_factor is null: a number above 0 is right"),
        ({"rescale_factor": "x"}, 'rescale_factor is "x": a number above 0 is right'),
        ({"do_rescale": "no"}, 'do_rescale is "no": true or false is right'),
        ({"crop_size": {"height": [1]}}, "says no size that is a square"),
    ],
)
def test_a_wrong_step_of_a_towers_is_named(tmp_path, told, said):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(SEEN | told))
    with pytest.raises(ModelError) as caught:
        read_preprocessing(tmp_path)
    assert said in str(caught.value)


def test_a_licence_is_told_as_one_line_that_a_terminal_shows(tmp_path):
    (tmp_path / "tower.json").write_text(json.dumps({**asdict(CARD), "licence": "<script>\n|\u001b[2Jx|"}))
    assert read_card(tmp_path).licence == "<script>\ufffd|\ufffd[2Jx|"


def test_a_name_without_end_is_cut_and_a_picture_written_as_text_is_called_so(tmp_path):
    with pytest.raises(PictureError) as caught:
        find_picture(tmp_path, "../" + "a" * 5000)
    assert len(str(caught.value)) < 1000
    assert "leads out of" in str(caught.value)
    with pytest.raises(PictureError, match="is a picture written as text, which is not read"):
        find_picture(tmp_path, "data:image/png;base64,a://b")


@pytest.mark.parametrize("name", ["", "../x", "a b"])
def test_what_is_no_name_of_a_package_is_told_so(tmp_path, capsys, name):
    assert main(["images", "convert", name, str(tmp_path / "new")]) == 2
    assert f"{name!r} is no name of a package" in capsys.readouterr().err
