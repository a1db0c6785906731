"""Every kind of model that judges pairs also searches and recommends, and reads as transformers itself reads it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainer.fitting import fit, result_of
from tests.trainer.kinds import DECODERS, KINDS, SIZES, make_kind
from tests.trainer.queries import make_bert, make_rows, make_tokenizer, write_job, write_rows
from trainer.__main__ import main
from trainer.errors import ModelError
from trainer.jobs.schema import ModelJob, PairModelJob
from trainer.models.backbone import layers_of, pool
from trainer.models.cross_encoder import CrossEncoder
from trainer.models.source import find_source
from trainer.models.text_encoder import TextEncoder

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

TEXTS = ("red lamp", "oak", "small blue chair table sofa shelf rug", "white white mirror", "nothing known")
SETTINGS = ("relevant=3.0", "train.batch=8", "train.layers=1", "train.pairs=16", "model.max_tokens=8")


def open_encoder(folder: Path, layers: int = 1, **more) -> TextEncoder:
    return TextEncoder(find_source(ModelJob(folder=folder)), trained_layers=layers, max_tokens=16, **more)


def states(folder: Path, ids: list[int]) -> torch.Tensor:
    """Run transformers' own model on one text alone."""
    from transformers import AutoModel

    with torch.no_grad():
        return AutoModel.from_pretrained(folder).eval()(torch.tensor([ids])).last_hidden_state[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_has_the_vector_that_transformers_gives(tmp_path, kind):
    encoder = open_encoder(make_kind(tmp_path, kind))
    beginning = encoder.run_untrained(TEXTS, None)
    trained = encoder.encode(beginning.hidden, torch.arange(len(TEXTS)))
    for text, vector, one in zip(TEXTS, beginning.vectors_ED, trained, strict=True):
        state = states(tmp_path, encoder.tokenizer.encode(text).ids)
        # A decoder's last token alone has seen the whole text.
        right = state[-1] if kind in DECODERS else state.mean(0)
        torch.testing.assert_close(vector, right, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(one.detach(), right, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_upper_layers_learn_alone_and_what_they_learnt_reads_back(tmp_path, kind):
    encoder = open_encoder(make_kind(tmp_path / "bare", kind))
    hidden = encoder.run_untrained(TEXTS, None).hidden
    encoder.encode(hidden, torch.arange(len(TEXTS))).square().sum().backward()
    own = {id(parameter) for parameter in encoder.layers[-1].parameters()}
    learnt = {id(one) for one in encoder.model.parameters() if one.grad is not None}
    assert learnt
    assert learnt <= own
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.01)
    encoder.save(tmp_path / "saved")
    again = open_encoder(tmp_path / "saved").run_untrained(TEXTS, None).vectors_ED
    torch.testing.assert_close(again, encoder.encode_all(hidden), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pair_is_scored_the_same_alone_and_beside_a_longer_one(tmp_path, kind):
    folder = make_kind(tmp_path, kind)
    model = CrossEncoder(find_source(ModelJob(folder=folder)), PairModelJob(folder=folder, max_tokens=32), 1, None)
    together = model.score_pairs(["red lamp", "blue"], ["oak red lamp", "small blue chair table sofa shelf rug"])
    np.testing.assert_allclose(together[0], model.score_pairs(["red lamp"], ["oak red lamp"])[0], atol=1e-5)


@pytest.mark.parametrize("kind", ["DistilBert", "Roberta", "GPT2"])
def test_a_catalogue_is_searched_by_any_kind(place, kind, capsys):
    job = write_job(place, "retrieval", write_rows(place / "pairs.csv", make_rows()), make_kind(place / "model", kind))
    assert fit(job, *SETTINGS, "search.weight=1.0") == 0, capsys.readouterr().err
    model, told = place / "retrieval" / "model", result_of(place / "retrieval")["metrics"]
    saved = json.loads((model / "retrieval.json").read_text())
    assert saved["pooling"] == ("last" if kind in DECODERS else "mean")
    assert fit_of("evaluate", job, f"output={place}/again", "relevant=3.0", model=model) == 0
    assert result_of(place / "again")["metrics"]["mrr"] == pytest.approx(told["mrr"], abs=1e-6)
    capsys.readouterr()
    assert main(["recommend", str(model), "red lamp", "-k", "3", "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert len(answer["products"]) == 3


def fit_of(command: str, job: Path, *overrides: str, model: Path) -> int:
    words = [word for override in overrides for word in ("--set", override)]
    return main([command, str(job), "--model", str(model), *words])


@pytest.mark.parametrize("kind", ["DistilBert", "GPT2"])
def test_the_next_item_is_told_by_any_kind(bench, tmp_path, kind, capsys):
    model = make_kind(tmp_path / "model", kind)
    where = (f"model.folder={model}", f"output={tmp_path}/out")
    assert fit(bench.path, *where) == 0, capsys.readouterr().err
    told = result_of(tmp_path / "out")["metrics"]
    assert fit_of("evaluate", bench.path, f"output={tmp_path}/again", model=tmp_path / "out" / "model") == 0
    assert result_of(tmp_path / "again")["metrics"]["mrr"] == pytest.approx(told["mrr"], abs=1e-6)


@pytest.mark.parametrize("pooling", ["mean", "first", "last"])
def test_a_job_may_say_how_states_become_a_vector(tmp_path, pooling):
    folder = make_bert(tmp_path)
    (vector,) = open_encoder(folder, pooling=pooling).run_untrained(TEXTS[:1], None).vectors_ED
    state = states(folder, open_encoder(folder).tokenizer.encode(TEXTS[0]).ids)
    right = {"mean": state.mean(0), "first": state[0], "last": state[-1]}[pooling]
    torch.testing.assert_close(vector, right, atol=1e-5, rtol=1e-4)


def test_two_ways_of_pooling_do_not_share_what_was_kept(tmp_path):
    folder = make_bert(tmp_path / "bert")
    kept = [open_encoder(folder, pooling=one).run_untrained(TEXTS, tmp_path / "cache") for one in ("mean", "last")]
    assert not torch.equal(kept[0].vectors_ED, kept[1].vectors_ED)
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_padding_is_behind_the_tokens_whatever_the_tokenizer_file_says(tmp_path):
    folder = make_kind(tmp_path / "model", "GPT2")
    right = open_encoder(folder).run_untrained(TEXTS, None).vectors_ED
    told = json.loads((folder / "tokenizer.json").read_text())
    told["padding"] = {
        "strategy": "BatchLongest", "direction": "Left", "pad_to_multiple_of": 8,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]",
    }  # fmt: skip
    told["truncation"] = {"direction": "Left", "max_length": 2, "strategy": "LongestFirst", "stride": 0}
    (folder / "tokenizer.json").write_text(json.dumps(told))
    assert torch.equal(open_encoder(folder).run_untrained(TEXTS, None).vectors_ED, right)


def test_a_text_without_any_known_word_still_has_a_vector(tmp_path):
    from tokenizers import Tokenizer
    from tokenizers.models import BPE

    folder = make_kind(tmp_path, "GPT2")
    letters = {letter: place for place, letter in enumerate("red lamp".replace(" ", ""))}
    Tokenizer(BPE(letters, [])).save(str(folder / "tokenizer.json"))  # strange letters are left out, not replaced
    vectors = open_encoder(folder).run_untrained(("red lamp", "台灯"), None).vectors_ED
    assert torch.isfinite(vectors).all()
    model = CrossEncoder(find_source(ModelJob(folder=folder)), PairModelJob(folder=folder), 1, None)
    assert np.isfinite(model.score_pairs(["台灯"], ["沙发"])).all()


def write_other(folder: Path, kind: str, **settings) -> Path:
    import transformers

    config = getattr(transformers, f"{kind}Config")(**settings)
    getattr(transformers, f"{kind}Model")(config).save_pretrained(folder)
    return make_tokenizer(folder)


T5 = {"vocab_size": SIZES["vocab_size"], "d_model": 16, "d_ff": 16, "d_kv": 8, "num_layers": 1, "num_heads": 2}
VIT = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "image_size": 32}


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        ("T5", T5, "model_type is 't5', which does not read a text alone"),
        ("ViT", VIT, "model_type is 'vit', which does not read a text alone"),
        ("FNet", SIZES, "model_type is 'fnet', which reads a text otherwise beside a longer one"),
    ],
)
@pytest.mark.parametrize("task", ["relevance", "retrieval"])
def test_a_kind_that_does_not_read_texts_so_is_refused_by_its_name(place, kind, settings, said, task, capsys):
    folder = write_other(place / "model", kind, **settings)
    job = write_job(place, task, write_rows(place / "pairs.csv", make_rows()), folder)
    assert fit(job, *SETTINGS[:2]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "a model of texts such as bert, distilbert, roberta, modernbert, gpt2 or llama is what this reads" in told


def test_experts_are_no_layers():
    layer = torch.nn.Module()
    layer.experts = torch.nn.ModuleList(torch.nn.Linear(1, 1) for _ in range(8))
    model = torch.nn.Module()
    model.layers = torch.nn.ModuleList([layer, torch.nn.Module()])
    assert layers_of(model) == list(model.layers)


def test_padding_has_no_part_in_any_pooling():
    states_of = torch.arange(24.0).reshape(2, 4, 3)
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    assert torch.equal(pool(states_of, mask, "last")[1], states_of[1, 1])
    assert torch.equal(pool(states_of, mask, "mean")[1], states_of[1, :2].mean(0))
    assert torch.equal(pool(states_of, mask, "first")[1], states_of[1, 0])


def test_a_kind_that_does_not_fit_its_weights_is_refused(tmp_path):
    folder = make_bert(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "llama"}))
    with pytest.raises(ModelError, match=r"'embed_tokens\.weight' is missing"):
        open_encoder(folder)


def test_a_kind_that_runs_whole_keeps_the_tokens_of_a_text_alone(tmp_path):
    kept = open_encoder(make_kind(tmp_path, "GPT2")).run_untrained(TEXTS, None).hidden.packed_PD
    assert (kept.ndim, kept.dtype) == (1, torch.int64)
    assert open_encoder(tmp_path).stack.kept * 4 == kept.element_size()
