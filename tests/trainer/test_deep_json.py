"""JSON that is nested deeper than a program can follow: each reader says so in a sentence, as of all that is damaged."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from trainer.__main__ import main
from trainer.data.card import read_card
from trainer.errors import DataError, InputError
from trainer.explaining.files import read_explanations
from trainer.images.lite_folder import read_card as read_tower
from trainer.labelling.sheet import read_sheet
from trainer.learning.checkpoint_files import read_checkpoint
from trainer.models import history_scorer, hybrid_search, label_scale, model_form, saved_pictures
from trainer.models.kept_states import read_kept
from trainer.models.source import ModelSource, count_parameters, find_weights, read_object
from trainer.results.pending_upload import repeat_upload

DEEP = '{"a": ' + "[" * 100_000
READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a data card": ("data_card.json", lambda folder: read_card(folder / "data_card.json")),
    "explanations": ("explanations.json", lambda folder: read_explanations(folder / "explanations.json")),
    "a sheet": ("sheet.json", read_sheet),
    "a checkpoint": ("checkpoint.json", read_checkpoint),
    "an upload": ("upload.json", repeat_upload),
    "an index of weights": ("model.safetensors.index.json", find_weights),
    "a configuration": ("config.json", lambda folder: read_object(folder / "config.json", "a configuration")),
    "a form": (model_form.FORM, model_form.read_form),
    "settings of labels": (label_scale.SETTINGS, label_scale.load_settings),
    "settings of a search": (hybrid_search.SETTINGS, hybrid_search.load_settings),
    "settings of a scorer": (history_scorer.SETTINGS, history_scorer.load_scorer),
    "settings of pictures": (saved_pictures.SETTINGS, saved_pictures.load_pictures),
    "a tower": ("tower.json", read_tower),
}


@pytest.mark.parametrize(("name", "read"), READERS.values(), ids=list(READERS))
def test_what_is_nested_too_deep_is_refused_in_a_sentence_that_names_the_file(tmp_path, name, read):
    (tmp_path / name).write_text(DEEP)
    with pytest.raises(InputError, match="it is nested too deep") as caught:
        read(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_header_of_weights_that_is_nested_too_deep_is_damage_as_any(tmp_path):
    header = DEEP.encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    assert read_kept(path) is None
    assert count_parameters(ModelSource(tmp_path, (path,), "", {})) == 0


def test_a_snapshot_whose_card_is_a_folder_is_refused(tmp_path):
    (tmp_path / "data_card.json").mkdir()
    with pytest.raises(DataError, match="not valid JSON"):
        read_card(tmp_path / "data_card.json")


def test_a_job_on_a_model_whose_settings_are_too_deep_ends_with_2(tmp_path, capsys):
    (tmp_path / "pairs.csv").write_text("query,product,label\na,b,1\n")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"x")
    (tmp_path / "model" / "config.json").write_text(DEEP)
    (tmp_path / "model" / "tokenizer.json").write_text("{}")
    (tmp_path / "job.toml").write_text(
        'task = "relevance"\noutput = "run"\n[data]\nkind = "pairs"\npath = "pairs.csv"\n'
        'columns = { query = "query", product = "product", label = "label" }\n'
        'split = { by = "query" }\n[model]\nfolder = "model"\n[tracking]\nuri = "sqlite:///m.db"\nexperiment = "x"\n'
    )
    assert main(["fit", str(tmp_path / "job.toml")]) == 2
    said = capsys.readouterr().err
    assert said.endswith("model/config.json: not valid JSON: it is nested too deep\n")
    assert not (tmp_path / "run").exists()
