"""What a model does not see of its texts is said, and warned of where it is much."""

import json
from time import perf_counter

import pytest

from tests.trainer.fitting import fit
from tests.trainer.queries import THINGS, make_bert, make_rows, make_tokenizer, write_job, write_rows
from trainer.data.card import DataCard
from trainer.models.pair_tokens import PairTokenizer, encodings_of
from trainer.models.token_losses import measure_losses, note_losses, warned_once


def tokenizer_of(tmp_path, most):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(make_tokenizer(tmp_path) / "tokenizer.json"))
    tokenizer.enable_truncation(most)
    return tokenizer


def test_the_share_that_is_cut_and_the_share_that_is_unknown_are_those_of_the_texts(tmp_path):
    tokenizer = tokenizer_of(tmp_path, 5)  # three words, and what stands before and after
    texts = ["red lamp", "red 灯 lamp", "old red lamp here", "red lamp new oak"]
    found = measure_losses(tokenizer, texts)
    assert found.cut == 0.5
    assert found.unknown == pytest.approx(2 / 11, abs=1e-4)  # 灯 and old; the words that are cut were not looked at
    assert measure_losses(tokenizer, texts * 100) == found


def test_where_many_models_look_at_one_kind_of_text_it_is_warned_of_once(tmp_path, capsys):
    card = DataCard("x", 0, 0, {}, 0, 0, 0, "")
    with warned_once():
        for texts in (["red 灯 lamp"], ["灯 lamp"], ["灯"]):
            assert note_losses(card, tokenizer_of(tmp_path, 5), {"pairs": texts}).unknown["pairs"] > 0.2
    assert capsys.readouterr().err.count("unknown to the model") == 1


def test_of_pairs_both_texts_count(tmp_path):
    tokenizer = tokenizer_of(tmp_path, 6)
    pairs = PairTokenizer(tokenizer, as_one_text=False, pad_token=0).join(["red", "red"], ["lamp", "lamp oak new"])
    assert measure_losses(tokenizer, pairs).cut == 0.5


def test_what_stands_far_behind_the_cut_costs_no_time_and_changes_nothing(tmp_path):
    tokenizer = tokenizer_of(tmp_path, 12)
    long, longer = "red lamp oak " * 20, "new lamp red " * 30
    for pair in ((long, longer), (longer, long), ("red", longer), (long, long), (longer, "lamp oak")):
        (found,) = encodings_of(tokenizer, [pair])
        assert found.ids == tokenizer.encode(*pair).ids
    began = perf_counter()
    found = list(
        encodings_of(tokenizer, [("red lamp " * 4_000, f"oak lamp {number} " * 16_000) for number in range(20)])
    )
    assert perf_counter() - began < 5  # uncut each of them takes longer, and gigabytes
    assert {len(one) for one in found} == {12}
    (alone,) = encodings_of(tokenizer, ["red lamp " * 100_000])
    assert len(alone) == 12


def test_a_fit_says_in_card_and_summary_what_its_model_does_not_read(place, tmp_path, capsys):
    data = write_rows(place / "pairs.csv", make_rows())
    text = data.read_text()
    for number, thing in enumerate(THINGS[:4]):
        text = text.replace(thing, f"{chr(0x706F + number)}")
    data.write_text(text)
    model = make_bert(tmp_path / "model")
    job = write_job(place, "retrieval", data, model, "relevant = 3.0")
    assert fit(job, "train.batch=8", "train.layers=1", "model.max_tokens=4", "search.weight=0.5") == 0
    card = json.loads((place / "retrieval" / "data_card.json").read_text())
    assert card["cut"] == {"queries": 0.0, "products": 1.0}
    assert card["unknown"]["queries"] == 0.25
    summary = (place / "retrieval" / "summary.md").read_text()
    assert "products: 100.0% cut" in summary
    assert "warning: 100.0% of the products are cut at model.max_tokens" in summary
    assert "trainer: warning: 25.0% of the tokens of the queries are unknown" in capsys.readouterr().err
