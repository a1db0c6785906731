import json
from shutil import copytree

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.trainer.shop import WORDS, make_model
from trainer.errors import ModelError
from trainer.jobs.schema import ModelJob
from trainer.models.source import find_source
from trainer.models.text_encoder import TextEncoder

TEXTS = ("bar soap", "dairy", "frozen premium ice cream", "dairy fluid milk", "unheard of")


def open_encoder(folder, layers=1) -> TextEncoder:
    return TextEncoder(find_source(ModelJob(folder=folder)), trained_layers=layers, max_tokens=16)


def vectors(encoder, cache=None) -> torch.Tensor:
    return encoder.run_untrained(TEXTS, cache).vectors_ED


@pytest.fixture
def copy(model_folder, tmp_path):
    return copytree(model_folder, tmp_path / "copy")


def refusal(folder, **job) -> str:
    with pytest.raises(ModelError) as caught:
        TextEncoder(find_source(ModelJob(folder=folder, **job)), trained_layers=1, max_tokens=16)
    return str(caught.value)


def test_vectors_are_the_mean_of_what_transformers_itself_gives(model_folder):
    from transformers import BertModel

    encoder = open_encoder(model_folder)
    reference = BertModel.from_pretrained(model_folder).eval()
    ours = vectors(encoder)
    for text, vector in zip(TEXTS, ours, strict=True):
        ids = torch.tensor([encoder.tokenizer.encode(text).ids])
        with torch.no_grad():
            assert torch.allclose(reference(ids).last_hidden_state[0].mean(0), vector, atol=1e-5)


def test_a_text_has_one_vector_whatever_stands_beside_it(model_folder):
    encoder = open_encoder(model_folder)
    beginning = encoder.run_untrained(TEXTS, None)
    alone = torch.cat([encoder.encode(beginning.hidden, torch.tensor([n])) for n in range(len(TEXTS))])
    together = encoder.encode(beginning.hidden, torch.arange(len(TEXTS)).flip(0)).flip(0)
    assert torch.allclose(alone, together, atol=1e-6)
    assert torch.allclose(alone, beginning.vectors_ED, atol=1e-6)


def test_how_many_layers_are_frozen_does_not_change_the_untrained_model(model_folder):
    assert torch.allclose(vectors(open_encoder(model_folder, 1)), vectors(open_encoder(model_folder, 2)), atol=1e-6)


def test_only_the_upper_layers_get_gradients(model_folder):
    encoder = open_encoder(model_folder)
    hidden = encoder.run_untrained(TEXTS, None).hidden
    encoder.encode(hidden, torch.arange(len(TEXTS))).sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())
    trained = {id(parameter) for parameter in encoder.parameters()}
    others = [parameter for parameter in encoder.model.parameters() if id(parameter) not in trained]
    assert others
    assert all(parameter.grad is None for parameter in others)


def test_what_was_kept_is_what_would_be_computed(model_folder, tmp_path):
    computed = open_encoder(model_folder).run_untrained(TEXTS, tmp_path)
    kept = open_encoder(model_folder).run_untrained(TEXTS, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    assert torch.equal(computed.vectors_ED, kept.vectors_ED)
    assert torch.equal(computed.hidden.packed_PD, kept.hidden.packed_PD)


def test_other_texts_layers_or_weights_do_not_share_what_was_kept(model_folder, tmp_path):
    open_encoder(model_folder).run_untrained(TEXTS, tmp_path / "cache")
    open_encoder(model_folder).run_untrained(TEXTS[1:], tmp_path / "cache")
    open_encoder(model_folder, 2).run_untrained(TEXTS, tmp_path / "cache")
    open_encoder(make_model(tmp_path / "other", seed=1)).run_untrained(TEXTS, tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 4


def test_a_kept_file_cut_short_is_computed_again(model_folder, tmp_path):
    expected = vectors(open_encoder(model_folder), tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:200])
    assert torch.equal(vectors(open_encoder(model_folder), tmp_path), expected)
    assert len(file.read_bytes()) > 200


def test_a_saved_model_reads_back_the_same_and_transformers_reads_it_too(model_folder, tmp_path):
    from transformers import BertModel

    encoder = open_encoder(model_folder)
    hidden = encoder.run_untrained(TEXTS, None).hidden
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.01)
    encoder.save(tmp_path / "saved")
    assert torch.equal(vectors(open_encoder(tmp_path / "saved")), encoder.encode_all(hidden))
    weights = BertModel.from_pretrained(tmp_path / "saved", add_pooling_layer=False).state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in encoder.model.state_dict().items())


def test_long_texts_are_cut(model_folder):
    encoder = open_encoder(model_folder)
    hidden = encoder.run_untrained(("milk " * 50,), None).hidden
    assert hidden.starts.tolist() == [0, 16]


def test_weights_saved_under_a_task_head_are_found(copy, model_folder):
    weights = load_file(copy / "model.safetensors")
    save_file({f"bert.{name}": tensor for name, tensor in weights.items()}, copy / "model.safetensors")
    assert torch.equal(vectors(open_encoder(copy)), vectors(open_encoder(model_folder)))


def test_a_folder_with_a_pickle_only_is_refused(copy):
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    assert "holds no model.safetensors; pytorch_model.bin is not read" in refusal(copy)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_an_incomplete_folder_is_refused_naming_the_file(copy, name):
    (copy / name).unlink()
    assert f"holds no {name}" in refusal(copy)


def test_another_digest_than_promised_is_refused(model_folder):
    assert "sha256 is" in refusal(model_folder, sha256="0" * 64)


def test_a_config_that_is_no_json_is_refused(copy):
    (copy / "config.json").write_text("{")
    assert "config.json: not valid JSON" in refusal(copy)


def test_weights_that_do_not_fit_the_config_are_refused(copy):
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"intermediate_size": 128}))
    assert "has shape (64, 32); config.json says (128, 32)" in refusal(copy)
    (copy / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    assert "weight 'encoder.layer.2" in refusal(copy)


def test_a_config_that_makes_no_model_is_refused(copy):
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"num_attention_heads": 5}))
    assert "config.json: makes no model" in refusal(copy)


def test_a_file_that_is_no_safetensors_is_refused(copy):
    (copy / "model.safetensors").write_text("a pickle, perhaps")
    assert "not a safetensors file" in refusal(copy)


def test_a_tokenizer_that_does_not_fit_is_refused(copy, tmp_path):
    larger = make_model(tmp_path / "larger", words=(*WORDS, "one", "more"))
    (copy / "tokenizer.json").write_bytes((larger / "tokenizer.json").read_bytes())
    assert f"its largest token is {len(WORDS) + 5}, the model knows {len(WORDS) + 4} from 0" in refusal(copy)
    (copy / "tokenizer.json").write_text("{}")
    assert "not a tokenizer" in refusal(copy)


def test_more_trained_layers_than_the_model_has_are_refused(model_folder):
    with pytest.raises(ModelError, match=r"train.layers: 3 is more than the model's 2"):
        open_encoder(model_folder, 3)


def test_a_package_without_a_model_is_refused():
    with pytest.raises(ModelError, match="'no-such-package' is not installed"):
        find_source(ModelJob(package="no-such-package"))
    with pytest.raises(ModelError, match="'json' offers no get_model_path"):
        find_source(ModelJob(package="json"))


def test_more_tokens_than_the_model_has_places_for_are_refused(model_folder):
    source = find_source(ModelJob(folder=model_folder))
    with pytest.raises(ModelError, match=r"model.max_tokens: 33 is more than the model's 32"):
        TextEncoder(source, trained_layers=1, max_tokens=33)


def test_a_bert_of_tensorflow_names_is_read(copy, model_folder):
    """As bert-base-uncased on the hub is."""
    names = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    weights = {f"bert.{name}": tensor for name, tensor in load_file(copy / "model.safetensors").items()}
    for now, before in names.items():
        weights = {name.replace(now, before): tensor for name, tensor in weights.items()}
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    assert torch.equal(vectors(open_encoder(copy)), vectors(open_encoder(model_folder)))


def test_what_was_saved_in_half_precision_is_read_in_single_once_it_was_tuned(copy, tmp_path):
    from transformers import BertModel

    BertModel.from_pretrained(copy).to(torch.bfloat16).save_pretrained(copy)
    open_encoder(copy).save(tmp_path / "saved")
    again = BertModel.from_pretrained(tmp_path / "saved")
    assert again.dtype == torch.float32
    assert json.loads((tmp_path / "saved" / "config.json").read_text())["hidden_size"] == again.config.hidden_size


def test_the_settings_of_a_tokenizer_stay_with_the_model(copy, tmp_path):
    (copy / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer", "do_lower_case": false}')
    open_encoder(copy).save(tmp_path / "saved")
    assert (tmp_path / "saved" / "tokenizer_config.json").read_bytes() == (copy / "tokenizer_config.json").read_bytes()


def test_a_folder_without_a_fast_tokenizer_is_told_what_writes_one(copy):
    (copy / "tokenizer.json").unlink()
    assert refusal(copy).endswith(
        "holds no tokenizer.json, which transformers' AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER) writes"
    )
