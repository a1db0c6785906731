"""A model that reads itself into the texts before its task: what it reads, what it learns, how it is told."""

import shutil
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from tests.trainer import queries
from tests.trainer.fitting import fit, result_of
from tests.trainer.kinds import make_kind
from trainer.data.pairs import read_pairs
from trainer.data.splits import Part
from trainer.errors import DataError, JobError, ModelError
from trainer.jobs.file import load_job
from trainer.jobs.schema import RetrievalModelJob
from trainer.learning.batches import batches_of_tokens
from trainer.learning.checkpoints import NoCheckpoints
from trainer.learning.gaps import GapLesson, draw_gaps, learning_alone
from trainer.models.device import PROCESSOR
from trainer.models.gap_head import GapHead, frequencies
from trainer.models.gap_tokens import find_gap_vocabulary, read_gap_texts
from trainer.models.source import find_source
from trainer.models.text_encoder import TextEncoder
from trainer.tasks.adaptation import adapt, known_texts
from trainer.tasks.loading import load_task

SMALL = ("train.batch=8", "relevant=3.0", "train.layers=1")
ADAPT = "adapt={batch = 64, epochs = 2, lr = 1e-3}"


@pytest.fixture(scope="module")
def bert(tmp_path_factory) -> Path:
    return queries.write_gap(queries.make_bert(tmp_path_factory.mktemp("gaps") / "bert"))


@pytest.fixture(scope="module")
def desk(tmp_path_factory, bert) -> Path:
    folder = tmp_path_factory.mktemp("adapting")
    data = queries.write_rows(folder / "pairs.csv", queries.make_rows())
    for task in ("relevance", "retrieval"):
        queries.write_job(folder, task, data, bert)
    return folder


def job_of(desk: Path, task: str, *more: str):
    return load_job(desk / f"{task}.toml", (*SMALL, *more))


def loaded(desk: Path, task: str, *more: str):
    return load_task(job_of(desk, task, *more), training=True, device=PROCESSOR)


def encoder_of(folder: Path, layers: int = 1) -> TextEncoder:
    return TextEncoder(find_source(RetrievalModelJob(folder=folder)), trained_layers=layers, max_tokens=16)


def gap_texts_of(folder: Path, texts: list[str], *, whole_words: bool = False):
    bare = encoder_of(folder).bare()
    vocabulary = find_gap_vocabulary(bare.source, bare.tokenizer)
    return read_gap_texts(bare.tokenizer, texts, bare.pad_token, vocabulary, whole_words=whole_words), vocabulary


def test_of_each_text_a_share_is_hidden_and_one_token_at_least_never_what_is_no_word(bert):
    texts, vocabulary = gap_texts_of(bert, ["red lamp oak small large chair table sofa rug clock", "red", "blue lamp"])
    for seed in range(20):
        gaps = draw_gaps(texts, 0.2, vocabulary, np.random.default_rng(seed))
        starts = texts.tokens.starts
        asked = [int(gaps.asked_P[first:end].sum()) for first, end in pairwise(starts.tolist())]
        assert asked == [2, 1, 1]
        assert not gaps.asked_P[~vocabulary.words_V[texts.tokens.ids_P]].any()
        same = gaps.ids_P == texts.tokens.ids_P
        assert same[~gaps.asked_P].all()  # nothing else is changed
        assert vocabulary.words_V[gaps.ids_P[~same & (gaps.ids_P != vocabulary.gap)]].all()


def test_four_in_five_hidden_tokens_are_gaps_and_of_the_rest_half_another_word(bert):
    texts, vocabulary = gap_texts_of(bert, ["red lamp oak small"] * 4000)
    gaps = draw_gaps(texts, 0.25, vocabulary, np.random.default_rng(0))
    hidden, were = gaps.ids_P[gaps.asked_P], texts.tokens.ids_P[gaps.asked_P]
    assert np.mean(hidden == vocabulary.gap) == pytest.approx(0.8, abs=0.03)
    assert np.mean((hidden != vocabulary.gap) & (hidden != were)) == pytest.approx(0.1, abs=0.02)


def test_whole_words_are_hidden_with_all_their_pieces(tmp_path):
    from tests.trainer.shop import make_model

    folder = make_model(tmp_path / "pieces", words=("sha", "##mpoo", "can", "##dle", "##s", "soap", "[MASK]"))
    told = ["shampoo candles soap", "candles", "soap shampoo"]
    texts, vocabulary = gap_texts_of(folder, told, whole_words=True)
    assert np.bincount(texts.owner_U).tolist() == [3, 1, 2]
    for seed in range(10):
        asked = draw_gaps(texts, 0.4, vocabulary, np.random.default_rng(seed)).asked_P
        for unit in range(len(texts.owner_U)):
            assert len(set(asked[texts.unit_P == unit].tolist())) == 1
    pieces, _ = gap_texts_of(folder, told)
    assert np.bincount(pieces.owner_U).tolist() == [6, 3, 3]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), st.integers(8, 100), st.integers(1, 3), st.integers(0, 9))
def test_each_epoch_has_every_text_once_in_batches_that_fit(lengths, tokens, epochs, seed):
    lengths = np.array(lengths)
    batches = batches_of_tokens(lengths, tokens, epochs, np.random.default_rng(seed))
    assert sorted(np.concatenate(batches).tolist()) == list(range(epochs * len(lengths)))
    for rows in batches:
        assert len(set((rows // len(lengths)).tolist())) == 1  # of one epoch
        assert len(rows) == 1 or lengths[rows % len(lengths)].max() * len(rows) <= tokens


def lesson_of(encoder: TextEncoder, texts: list[str]) -> GapLesson:
    bare = encoder.bare()
    vocabulary = find_gap_vocabulary(bare.source, bare.tokenizer)
    read = read_gap_texts(bare.tokenizer, texts, bare.pad_token, vocabulary, whole_words=False)
    embeddings = bare.model.get_input_embeddings().weight
    head = GapHead(32, embeddings, frequencies(torch.from_numpy(read.tokens.ids_P), len(embeddings)))
    return GapLesson(bare, head, read, vocabulary, 0.3, (0, 2, 2))


def test_the_loss_is_of_the_hidden_tokens_alone_and_the_same_packed_padded_and_in_parts(bert, monkeypatch):
    lesson = lesson_of(encoder_of(bert), ["red lamp oak small large chair", "blue rug", "green", "white sofa shelf"])
    rows = np.array([2, 0, 3, 1]) + 4  # of the second epoch
    whole = lesson.loss_of(rows)
    assert sum(lesson.in_parts(rows, 3)).item() == pytest.approx(whole.item(), abs=1e-6)
    monkeypatch.setattr("trainer.learning.gaps.open_packed", lambda *_: None)
    assert lesson.loss_of(rows).item() == pytest.approx(whole.item(), abs=1e-5)
    gaps = draw_gaps(lesson.texts, 0.3, lesson.vocabulary, np.random.default_rng([0, 2, 2, 1]))
    total = 0.0
    for text in range(4):
        at = slice(*lesson.texts.tokens.starts[text : text + 2])
        ids = torch.from_numpy(gaps.ids_P[at])[None]
        states = lesson.bare.model(ids, torch.ones_like(ids)).last_hidden_state[0]
        asked = torch.from_numpy(gaps.asked_P[at])
        told = torch.log_softmax(lesson.head(states[asked]), 1)
        right = torch.from_numpy(lesson.texts.tokens.ids_P[at])[asked]
        total -= told[torch.arange(len(right)), right].sum().item()
    assert whole.item() == pytest.approx(total / gaps.asked_P.sum(), abs=1e-5)


def test_within_the_block_only_what_is_named_learns_and_after_it_what_learnt_before(bert):
    encoder = encoder_of(bert)
    before = [one.requires_grad for one in encoder.model.parameters()]
    first = encoder.bare().layers[0]
    with learning_alone(encoder.model, first):
        learns = [one for one in encoder.model.parameters() if one.requires_grad]
        assert {id(one) for one in learns} == {id(one) for one in first}
    assert [one.requires_grad for one in encoder.model.parameters()] == before


def test_no_query_of_valid_or_test_rows_is_read(desk):
    pairs = read_pairs(job_of(desk, "retrieval").data)
    read = set(known_texts(pairs))
    asked = {part: set(pairs.texts(pairs.rows(part))[0]) for part in Part}
    assert not read & (asked[Part.VALID] | asked[Part.TEST])
    assert asked[Part.TRAIN] <= read
    assert set(pairs.products) <= read


@pytest.mark.parametrize("task", ["retrieval", "relevance"])
def test_what_a_fit_reads_first_holds_no_query_that_it_is_judged_by(desk, task, monkeypatch):
    read: list[str] = []

    def spy(tokenizer, texts, *rest, **more):
        read.extend(texts)
        return read_gap_texts(tokenizer, texts, *rest, **more)

    monkeypatch.setattr("trainer.tasks.adaptation.read_gap_texts", spy)
    work = loaded(desk, task, ADAPT)
    work.fit(lambda _: None, NoCheckpoints())
    pairs = work.pairs
    judged = {query for part in (Part.VALID, Part.TEST) for query in pairs.texts(pairs.rows(part))[0]}
    assert read
    assert not judged & set(read)


def test_the_loss_falls_and_the_run_says_so(desk, place, bert):
    shutil.copytree(desk, place, dirs_exist_ok=True)
    adapts = "adapt={batch = 256, epochs = 20, lr = 3e-3, valid_share = 0.3}"
    assert fit(place / "retrieval.toml", *SMALL, adapts) == 0
    told = result_of(place / "retrieval")
    metrics = told["metrics"]
    assert metrics["adapt_loss"] < metrics["adapt_loss_before"]
    assert 0 <= metrics["adapt_accuracy_before"] <= 1
    assert 0 <= metrics["adapt_accuracy"] <= 1
    assert {"adapted untrained", "adapted untrained fused"} <= told["baselines"].keys()
    assert "zero-shot" not in told["baselines"]
    page = (place / "retrieval" / "summary.md").read_text()
    assert "- adapted: to " in page
    assert "(perplexity)" in page
    saved = load_file(place / "retrieval" / "model" / "model.safetensors")
    bare = load_file(bert / "model.safetensors")
    moved = {name for name, tensor in saved.items() if not torch.equal(tensor, bare[name])}
    assert any(name.startswith("encoder.layer.0.") for name in moved)  # below what the task trains
    assert not any("embeddings" in name for name in moved)
    assert saved.keys() <= bare.keys()  # the layer that told the tokens is thrown away


def weights_after(desk: Path, *more: str) -> dict[str, torch.Tensor]:
    work = loaded(desk, "retrieval", ADAPT, *more)
    adapt(work.encoder, lambda: known_texts(work.pairs), work.job, lambda _: None, NoCheckpoints())
    return {name: one.clone() for name, one in work.encoder.model.state_dict().items()}


def test_one_seed_gives_one_model_and_another_seed_another(desk):
    once, again, other = weights_after(desk), weights_after(desk), weights_after(desk, "seed=1")
    assert all(torch.equal(one, again[name]) for name, one in once.items())
    assert not all(torch.equal(one, other[name]) for name, one in once.items())


def test_the_layers_that_are_named_learn_and_no_others(desk):
    bare = loaded(desk, "retrieval").encoder.model.state_dict()
    after = weights_after(desk, "adapt.layers=1")
    moved = {name.split(".")[2] for name, one in after.items() if not torch.equal(one, bare[name])}
    assert moved == {"1"}


def test_what_was_kept_of_the_frozen_layers_is_not_taken_for_an_adapted_model(desk, tmp_path):
    cache = f"model.cache={tmp_path}/cache"
    plain = loaded(desk, "retrieval", cache)
    plain.fit(lambda _: None, NoCheckpoints())
    (kept,) = (tmp_path / "cache").iterdir()
    work = loaded(desk, "retrieval", cache, ADAPT)
    work.fit(lambda _: None, NoCheckpoints())
    assert len(list((tmp_path / "cache").iterdir())) == 2
    adapted = loaded(desk, "retrieval", ADAPT)
    adapted.fit(lambda _: None, NoCheckpoints())
    for name, one in work.encoder.model.state_dict().items():
        assert torch.equal(one, adapted.encoder.model.state_dict()[name])
    fresh = encoder_of(job_of(desk, "retrieval").model.folder)
    assert fresh.run_untrained(plain.texts.all_E, None).hidden.packed_PD.equal(load_file(kept)["packed"])
    again = loaded(desk, "retrieval", cache, ADAPT)
    again.fit(lambda _: None, NoCheckpoints())  # the second of the kind takes what the first kept
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_adapters_are_put_on_top_of_what_was_adapted(desk):
    work = loaded(desk, "relevance", ADAPT, "model.lora={rank = 2, dropout = 0.3}")
    named = dict(work.model.model.named_parameters())
    before = {name: one.detach().clone() for name, one in named.items()}
    adapt(work.model, lambda: known_texts(work.pairs), work.job, lambda _: None, NoCheckpoints())
    moved = {name for name, one in named.items() if not torch.equal(one, before[name])}
    assert moved
    assert not any("lora_" in name for name in moved)
    assert {name for name, one in named.items() if one.requires_grad} == {name for name in named if "lora_" in name}


@pytest.mark.parametrize("kind", ["DistilBert", "Roberta", "Albert", "ModernBert", "Electra"])
def test_other_kinds_that_fill_gaps_read_too(desk, tmp_path, kind):
    model = queries.write_gap(make_kind(tmp_path / kind, kind))
    for task in ("retrieval", "relevance"):
        more = ("adapt={batch = 64, texts = 30}", f"model.folder={model}")
        work = loaded(desk, task, *more)
        owner = work.encoder if task == "retrieval" else work.model
        adapt(owner, partial(known_texts, work.pairs), work.job, lambda _: None, NoCheckpoints())
        assert np.isfinite(owner.adapted.after.loss)


def test_a_model_that_fills_no_gaps_is_refused_in_a_sentence_before_anything_is_written(desk, place, tmp_path, capsys):
    shutil.copytree(desk, place, dirs_exist_ok=True)
    plain = queries.make_bert(tmp_path / "plain")
    llama = queries.make_llama(tmp_path / "llama")
    for model, why in ((plain, "has no token for a gap ([MASK], <mask>)"), (llama, "reads from left to right")):
        for task in ("retrieval", "relevance"):
            assert fit(place / f"{task}.toml", f"model.folder={model}", ADAPT, *SMALL) == 2
            told = capsys.readouterr().err.strip().splitlines()[-1]
            assert why in told
            assert "leave [adapt] out" in told
            assert not (place / task).exists()


def test_more_layers_than_there_are_and_bad_values_are_refused_by_their_key(desk):
    with pytest.raises(ModelError, match=r"adapt.layers: 3 is more than the model's 2"):
        loaded(desk, "retrieval", "adapt.layers=3")
    for override, said in (
        ("adapt.mask=0", "key 'adapt.mask' is 0"),
        ("adapt.texts=1", "key 'adapt.texts' is 1"),
        ("adapt.epoch=1", "did you mean 'epochs'"),
        ("adapt=true", "key 'adapt' is true: a table is right"),
        ("adapt.valid_share=1.0", "key 'adapt.valid_share' is 1.0"),
    ):
        with pytest.raises(JobError, match=said.replace("[", r"\[")):
            job_of(desk, "retrieval", override)


@pytest.mark.parametrize(
    "texts", [[], ["red lamp"], ["", "  ", "???", "[CLS] [SEP]", "[MASK] [MASK]"], ["red", "", "[PAD]"]]
)
def test_fewer_than_two_texts_with_words_are_refused(desk, bert, texts):
    with pytest.raises(DataError, match=r"two are needed"):
        adapt(encoder_of(bert), lambda: texts, job_of(desk, "retrieval", ADAPT), lambda _: None, NoCheckpoints())


def test_empty_texts_and_texts_of_special_tokens_among_others_are_passed_over(desk, bert):
    encoder = encoder_of(bert)
    texts = ["red lamp", "", "[MASK] [SEP] [MASK]", "???", "blue", "[CLS]"]
    adapt(encoder, lambda: texts, job_of(desk, "retrieval", ADAPT), lambda _: None, NoCheckpoints())
    assert (encoder.adapted.texts, encoder.adapted.held_out) == (1, 1)


def test_a_rate_that_loses_the_loss_is_named_by_its_own_key(desk):
    work = loaded(desk, "retrieval", "adapt={batch = 64, epochs = 30, lr = 1e30}")
    with pytest.raises(FloatingPointError, match=r"^adapting: .*a smaller adapt.lr may help"):
        adapt(work.encoder, lambda: known_texts(work.pairs), work.job, lambda _: None, NoCheckpoints())
