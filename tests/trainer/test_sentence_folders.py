"""A folder of sentence-transformers gives the vectors that it gives there, and so does what is saved of it."""

import json
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub.utils import filter_repo_objects

from tests.trainer.kinds import make_kind
from tests.trainer.queries import make_bert
from trainer.errors import ModelError
from trainer.jobs.schema import ModelJob
from trainer.models.hub import FETCHED, LEFT_OUT
from trainer.models.source import find_source
from trainer.models.text_encoder import TextEncoder, unit

TEXTS = ("red lamp", "oak", "small blue chair table sofa shelf rug", "white white mirror")


def opened(folder: Path, pooling: str = "auto") -> TextEncoder:
    return TextEncoder(find_source(ModelJob(folder=folder)), trained_layers=1, max_tokens=8, pooling=pooling)


def name_tokens(folder: Path) -> Path:
    """Say what the tokenizer is: as words it stands for itself."""
    told = {"tokenizer_class": "TokenizersBackend", "pad_token": "[PAD]", "unk_token": "[UNK]"}
    (folder / "tokenizer_config.json").write_text(json.dumps(told))
    return folder


def theirs(folder: Path) -> np.ndarray:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu").encode(list(TEXTS), normalize_embeddings=True)


def lay_out(folder: Path, pooling: object, kinds: tuple[str, ...] = ("Transformer", "Pooling", "Normalize")) -> Path:
    """Write what sentence-transformers writes beside a model."""
    modules = [
        {"idx": n, "name": str(n), "path": f"{n}_{kind}" if n else "", "type": f"sentence_transformers.models.{kind}"}
        for n, kind in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    if pooling is not None:
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    if "Normalize" in kinds:
        (folder / "2_Normalize").mkdir()
    return folder


@pytest.mark.parametrize(
    ("told", "way"),
    [
        ({"embedding_dimension": 32, "pooling_mode": "cls"}, "first"),
        ({"word_embedding_dimension": 32, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "first"),
        ({"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True}, "mean"),
        ({"word_embedding_dimension": 32, "pooling_mode_lasttoken": True}, "last"),
    ],
)
def test_the_vectors_are_those_of_the_library_before_and_after_a_model_is_saved(tmp_path, told, way):
    encoder = opened(lay_out(name_tokens(make_bert(tmp_path / "model")), told))
    assert encoder.pooling == way
    ours = unit(encoder.embed(TEXTS))
    encoder.save(tmp_path / "saved")
    np.testing.assert_allclose(ours[:2], theirs(tmp_path / "model")[:2], atol=1e-5)
    np.testing.assert_allclose(ours, theirs(tmp_path / "saved"), atol=1e-5)  # cut at as many tokens, too
    assert opened(tmp_path / "saved").pooling == way


def test_a_decoder_that_was_saved_gives_its_last_token_there_too(tmp_path):
    encoder = opened(name_tokens(make_kind(tmp_path / "model", "GPT2")))
    encoder.save(tmp_path / "saved")
    np.testing.assert_allclose(unit(encoder.embed(TEXTS)), theirs(tmp_path / "saved"), atol=1e-5)


@pytest.mark.parametrize(
    ("told", "kinds", "said"),
    [
        ({"pooling_mode": "max"}, ("Transformer", "Pooling"), r"1_Pooling/config\.json: makes vectors by max, which"),
        ({"pooling_mode": ["cls", "mean"]}, ("Transformer", "Pooling"), "makes vectors by cls and mean, which"),
        ({"pooling_mode_max_tokens": True}, ("Transformer", "Pooling"), "makes vectors by max_tokens, which"),
        ({}, ("Transformer", "Pooling"), "makes vectors by nothing, which"),
        ({"pooling_mode": "mean"}, ("Transformer", "Pooling", "Dense"), r"modules\.json: a Dense module makes its"),
        (None, ("Transformer", "Pooling"), "1_Pooling/config.json, which is not there"),
    ],
)
def test_vectors_that_are_made_otherwise_are_refused_unless_the_job_says_how(tmp_path, told, kinds, said):
    folder = lay_out(make_bert(tmp_path), told, kinds)
    with pytest.raises(ModelError, match=said) as refused:
        opened(folder)
    assert str(refused.value).endswith('model.pooling = "mean" (or "first", "last") takes the model alone')
    assert opened(folder, "mean").pooling == "mean"


@pytest.mark.parametrize("written", ["{", "[1]", '[{"type": "Pooling"}]', "null"])
def test_modules_that_are_no_list_are_refused(tmp_path, written):
    (make_bert(tmp_path) / "modules.json").write_text(written)
    with pytest.raises(ModelError, match="no list of modules"):
        opened(tmp_path)


def test_prompts_are_told(tmp_path, capsys):
    folder = make_bert(tmp_path)
    (folder / "config_sentence_transformers.json").write_text('{"prompts": {"query": "query: ", "document": ""}}')
    opened(folder)
    told = capsys.readouterr().err
    assert "config_sentence_transformers.json has prompts (query: 'query: '), which are not put before texts" in told


def test_of_a_named_model_it_is_fetched_how_vectors_are_made_and_nothing_twice():
    wanted = ["1_Pooling/config.json", "config.json", "model.safetensors", "modules.json", "tokenizer.json"]
    others = ["0_Static/tokenizer.json", "2_Dense/model.safetensors", "onnx/config.json", "onnx/model.safetensors"]
    found = filter_repo_objects([*wanted, *others], allow_patterns=list(FETCHED), ignore_patterns=list(LEFT_OUT))
    assert list(found) == wanted
