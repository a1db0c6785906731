import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import BertConfig, BertModel

from tests.trainer.shop import make_model
from trainer.jobs.schema import PairModelJob
from trainer.models import bert_layer
from trainer.models.attention_heads import keep_heads
from trainer.models.bert_layer import PackedBert, open_packed
from trainer.models.cross_encoder import CrossEncoder
from trainer.models.device import Device
from trainer.models.packed_texts import pool_packed, spans_of
from trainer.models.source import find_source

LENGTHS = np.array([1, 3, 3, 3, 7, 12, 12])
QUERIES, PRODUCTS = ("soap", "dairy bar", "milk") * 5, ("bar soap", "frozen ice cream", "premium fluid milk dairy") * 5


def small(layers, **settings):
    return BertConfig(
        vocab_size=100,
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=16,
        **settings,
    )


@pytest.fixture
def bert():
    torch.manual_seed(0)
    return BertModel(small(3), add_pooling_layer=False).eval()


@pytest.fixture
def ids():
    return torch.from_numpy(np.random.default_rng(0).integers(1, 100, LENGTHS.sum()))


def by_transformers(model, ids, pooling):
    mask = torch.arange(12) < torch.from_numpy(LENGTHS)[:, None]
    padded = torch.zeros(mask.shape, dtype=torch.int64)
    padded[mask] = ids
    states = model(padded, attention_mask=mask.long()).last_hidden_state
    if pooling == "mean":
        return torch.stack([state[:length].mean(0) for state, length in zip(states, LENGTHS, strict=True)])
    return states[:, 0] if pooling == "first" else states[torch.arange(len(LENGTHS)), torch.from_numpy(LENGTHS) - 1]


def by_packing(model, ids, pooling):
    packed, spans = PackedBert(model), spans_of(LENGTHS)
    return packed.pooled(packed.embed(ids, spans), spans, pooling)


def gradients(model, vectors):
    model.zero_grad()
    (vectors @ torch.linspace(-1, 1, 32)).tanh().sum().backward()
    return {name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None}


@pytest.mark.parametrize("pooling", ["mean", "first", "last"])
@pytest.mark.parametrize("has_onednn", [True, False])
def test_texts_end_to_end_have_the_vectors_and_gradients_that_transformers_gives(
    bert, ids, pooling, has_onednn, monkeypatch
):
    monkeypatch.setattr(bert_layer, "HAS_ONEDNN", has_onednn and bert_layer.HAS_ONEDNN)
    bert.embeddings.word_embeddings.requires_grad_(requires_grad=False)
    theirs, ours = by_transformers(bert, ids, pooling), by_packing(bert, ids, pooling)
    assert torch.allclose(theirs, ours, atol=1e-5)
    wanted, found = gradients(bert, theirs), gradients(bert, ours)
    assert wanted.keys() == found.keys()
    for name, gradient in wanted.items():
        assert torch.allclose(gradient, found[name], atol=1e-5), name


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_a_frozen_layer_has_no_gradient_and_the_trained_ones_above_it_have_theirs(bert, ids, pooling):
    bert.requires_grad_(requires_grad=False)
    bert.encoder.layer[1:].requires_grad_(requires_grad=True)
    wanted = gradients(bert, by_transformers(bert, ids, pooling))
    found = gradients(bert, by_packing(bert, ids, pooling))
    assert wanted.keys() == found.keys()
    assert all(torch.allclose(wanted[name], found[name], atol=1e-5) for name in wanted)


def test_the_same_batch_has_the_same_gradient_to_the_last_bit(bert, ids):
    first, second = (gradients(bert, by_packing(bert, ids, "mean")) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_weights_that_are_laid_out_give_the_same_vectors_and_are_let_go_of(bert, ids):
    packed, spans = PackedBert(bert), spans_of(LENGTHS)
    with torch.no_grad():
        plain = packed.run(packed.embed(ids, spans), spans)
        with packed.at_rest(bert_layer.WORTH_LAYING_OUT):
            laid_out = packed.run(packed.embed(ids, spans), spans)
        bert.encoder.layer[0].output.dense.bias[0] += 5.0
        changed = packed.run(packed.embed(ids, spans), spans)
    assert torch.allclose(plain, laid_out, atol=1e-5)
    assert not torch.allclose(plain, changed, atol=1e-2)


def test_a_last_layer_that_is_asked_for_first_tokens_alone_gives_those_of_the_whole_layer(bert, ids):
    packed, spans = PackedBert(bert), spans_of(LENGTHS)
    with torch.no_grad():
        whole = pool_packed(packed.run(packed.embed(ids, spans), spans), spans, "first")
        assert torch.allclose(packed.pooled(packed.embed(ids, spans), spans, "first"), whole, atol=1e-5)
        with packed.at_rest(bert_layer.WORTH_LAYING_OUT):
            assert torch.allclose(packed.pooled(packed.embed(ids, spans), spans, "first"), whole, atol=1e-5)
        below = packed.run(packed.embed(ids, spans), spans)
        assert torch.equal(packed.pooled(below, spans, "first", 3), pool_packed(below, spans, "first"))


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_layers_with_fewer_heads_have_the_vectors_and_gradients_that_transformers_gives(bert, ids, pooling):
    for layer in bert.encoder.layer:
        keep_heads(layer, [0, 3])
    theirs, ours = by_transformers(bert, ids, pooling), by_packing(bert, ids, pooling)
    assert torch.allclose(theirs, ours, atol=1e-5)
    wanted, found = gradients(bert, theirs), gradients(bert, ours)
    assert all(torch.allclose(wanted[name], found[name], atol=1e-5) for name in wanted)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # peft asks transformers for what was renamed
@pytest.mark.parametrize("pooling", ["mean", "first"])
@pytest.mark.parametrize("targets", [["query", "value"], ["key", "dense"]])
def test_adapters_have_the_vectors_and_gradients_that_peft_gives(bert, ids, pooling, targets):
    adapted = get_peft_model(bert, LoraConfig(r=2, lora_alpha=4, target_modules=targets))
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)  # as they come, they change nothing
    theirs, ours = by_transformers(adapted, ids, pooling), by_packing(adapted, ids, pooling)
    assert open_packed(adapted, Device()) is not None
    assert torch.allclose(theirs, ours, atol=1e-5)
    wanted, found = gradients(adapted, theirs), gradients(adapted, ours)
    assert wanted.keys() == found.keys()
    assert len(wanted) > 0
    for name, gradient in wanted.items():
        assert torch.allclose(gradient, found[name], atol=1e-5), name


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("more", [{"lora_dropout": 0.1}, {"use_dora": True}, {"lora_bias": True}])
def test_adapters_that_are_no_plain_product_are_left_to_peft(bert, more):
    adapted = get_peft_model(bert, LoraConfig(r=2, target_modules=["query"], **more))
    assert open_packed(adapted, Device()) is None


def test_only_what_this_computes_faster_is_packed(bert):
    assert open_packed(bert, Device()) is not None
    assert open_packed(bert, Device(precision="bf16")) is None
    assert open_packed(bert, Device(kind="cuda")) is None
    assert open_packed(BertModel(small(1, hidden_act="relu")), Device()) is None
    assert open_packed(BertModel(small(1, is_decoder=True)), Device()) is None


def test_pairs_that_are_packed_teach_as_padded_ones_do(tmp_path, monkeypatch):
    def losses():
        torch.manual_seed(0)
        folder = make_model(tmp_path / "model")
        model = CrossEncoder(
            find_source(PairModelJob(folder=folder)), PairModelJob(folder=folder, max_tokens=16), 1, None
        )
        tokens, rows = model.encode(QUERIES, PRODUCTS), np.arange(len(QUERIES))
        optimizer, told = torch.optim.AdamW([*model.backbone_parameters(), *model.head_parameters()], lr=1e-3), []
        for _ in range(5):
            optimizer.zero_grad()
            loss = torch.nn.functional.binary_cross_entropy_with_logits(
                model.score(tokens, rows)[:, 0], torch.from_numpy(rows % 3 / 2).float()
            )
            loss.backward()
            optimizer.step()
            told.append(loss.item())
        return told, model.score_all(tokens)

    packed, packed_scores = losses()
    monkeypatch.setattr("trainer.models.cross_encoder.open_packed", lambda *_: None)
    padded, padded_scores = losses()
    assert packed == pytest.approx(padded, abs=1e-5)
    assert packed_scores == pytest.approx(padded_scores, abs=1e-4)
