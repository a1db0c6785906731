"""Data whose texts are all empty, or hold nothing that a person would read, are told in a sentence."""

import csv
from dataclasses import replace

import pytest

from tests.trainer import queries, user_log
from trainer.__main__ import main


def refused(job, place, capsys) -> str:
    assert main(["fit", str(job), "--set", f"output={place}/out"]) == 2
    assert not (place / "out").exists()
    (sentence,) = capsys.readouterr().err.splitlines()
    return sentence


def test_of_a_table_without_rows_that_is_said(tmp_path, capsys):
    data = queries.write_rows(tmp_path / "pairs.csv", [])
    job = queries.write_job(tmp_path, "relevance", data, queries.make_tokenizer(tmp_path / "none"))
    (tmp_path / "none" / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "none" / "model.safetensors").write_bytes(b"")
    assert refused(job, tmp_path, capsys).endswith("pairs.csv: has no rows below its heading")


@pytest.mark.parametrize("task", ["relevance", "retrieval"])
@pytest.mark.parametrize(
    ("text", "said"),
    [("", "cleaning leaves none of 336 rows: 336 no"), ("!? ...", "is not text: no value has a letter")],
)
@pytest.mark.parametrize("column", ["query", "title"])
def test_pairs_without_words_are_not_learnt(tmp_path, capsys, task, text, said, column):
    rows = [replace(row, **{column: text}) for row in queries.make_rows()]
    data = queries.write_rows(tmp_path / "pairs.csv", rows)
    job = queries.write_job(tmp_path, task, data, queries.make_tokenizer(tmp_path / "none"))
    (tmp_path / "none" / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "none" / "model.safetensors").write_bytes(b"")
    assert said in refused(job, tmp_path, capsys)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cleaning leaves none of 20 rows; most are dropped as 'item without a text'"),
        ("!? ...", "the text of items is not text: no value has a letter"),
    ],
)
def test_items_without_words_are_not_learnt(tmp_path, capsys, monkeypatch, text, said):
    monkeypatch.chdir(tmp_path)
    table = user_log.log(text=[text] * len(user_log.ROWS))
    with (tmp_path / "log.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([list(table), *zip(*table.values(), strict=True)])
    queries.make_tokenizer(tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "model" / "model.safetensors").write_bytes(b"")
    data = f'{user_log.COLUMNS}path = "log.csv"\n{user_log.LAST}'
    (tmp_path / "job.toml").write_text(user_log.JOB.format(data=data))
    assert said in refused(tmp_path / "job.toml", tmp_path, capsys)
