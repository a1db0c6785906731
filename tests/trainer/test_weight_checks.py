"""What a model's weights allow is told before the work, and by its own name."""

import json
from pathlib import Path
from shutil import copytree

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.trainer.fitting import fit
from tests.trainer.queries import WORDS, make_bert, make_rows, make_tokenizer, write_job, write_rows
from trainer.errors import ModelError
from trainer.jobs.schema import ModelJob, PairModelJob
from trainer.models.cross_encoder import CrossEncoder
from trainer.models.source import find_source
from trainer.models.text_encoder import TextEncoder
from trainer.models.weight_checks import check_finite

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

SIZES = {
    "vocab_size": len(WORDS) + 4,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 34,
}


@pytest.fixture(scope="module")
def bert(tmp_path_factory) -> Path:
    return make_bert(tmp_path_factory.mktemp("bert") / "model")


def spoil(folder: Path, name: str, value: float) -> str:
    """Put a value in the first weight whose name ends so; give its whole name."""
    weights = load_file(folder / "model.safetensors")
    whole = next(key for key in weights if key.endswith(name))
    weights[whole].view(-1)[3] = value
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return whole


@pytest.mark.parametrize(("kind", "places"), [("Roberta", 32), ("MPNet", 32), ("Electra", 34)])
def test_a_model_holds_as_many_tokens_as_it_has_places_behind_padding(tmp_path, kind, places):
    import transformers

    config = getattr(transformers, f"{kind}Config")(**SIZES)
    getattr(transformers, f"{kind}Model")(config).save_pretrained(tmp_path)
    source = find_source(ModelJob(folder=make_tokenizer(tmp_path)))
    with pytest.raises(ModelError, match=f"{places + 1} is more than the model's {places}$"):
        CrossEncoder(source, PairModelJob(folder=tmp_path, max_tokens=places + 1), 1, None)
    model = CrossEncoder(source, PairModelJob(folder=tmp_path, max_tokens=places), 1, None)
    assert model.score_pairs(["red lamp"], ["lamp " * 60]).shape == (1, 1)


@pytest.mark.parametrize(("value", "what"), [(float("nan"), "NaN"), (float("inf"), "infinite")])
def test_a_damaged_weight_is_told_as_one(bert, tmp_path, value, what):
    folder = copytree(bert, tmp_path / "spoilt")
    name = spoil(folder, "query.weight", value)
    said = f"weight '{name}' is {what} in 1 of its 1024 numbers"
    with pytest.raises(ModelError, match=said):
        CrossEncoder(find_source(ModelJob(folder=folder)), PairModelJob(folder=folder), 1, None)
    with pytest.raises(ModelError, match=said):
        TextEncoder(find_source(ModelJob(folder=folder)), trained_layers=1, max_tokens=16)


def test_a_fit_of_a_damaged_model_ends_with_two_and_speaks_of_no_rate(place, bert, capsys):
    folder = copytree(bert, place / "spoilt")
    name = spoil(folder, "LayerNorm.weight", float("nan"))
    for task in ("relevance", "retrieval"):
        job = write_job(place, task, write_rows(place / "pairs.csv", make_rows()), folder)
        assert fit(job, "relevant=3.0", "train.batch=8", "train.layers=1") == 2
        said = capsys.readouterr().err
        assert f"weight '{name}' is NaN" in said
        assert "train.lr" not in said


@pytest.mark.parametrize("task", ["relevance", "retrieval"])
def test_weights_that_are_not_as_the_configuration_says_are_named_with_both_shapes(place, bert, capsys, task):
    model = copytree(bert, place / "model")
    told = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(told | {"max_position_embeddings": 8_000_000_000}))
    job = write_job(place, task, write_rows(place / "pairs.csv", make_rows()), model)
    assert fit(job, "train.batch=8") == 2
    said = "weight 'embeddings.position_embeddings.weight' has shape (64, 32); config.json says (8000000000, 32)\n"
    assert capsys.readouterr().err.endswith(said)


def test_sound_weights_of_any_kind_pass(tmp_path):
    check_finite([("half", torch.ones(2).half()), ("places", torch.arange(3))], tmp_path)
