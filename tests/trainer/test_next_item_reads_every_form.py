"""A saved model of next items is scored and asked in whatever form its encoder is; to make one smaller is no use."""

import json

import pytest
import torch

from tests.trainer.fitting import result_of
from tests.trainer.logs import write_table
from tests.trainer.user_log import COLUMNS, JOB, LAST, NEW_TO_2, THINGS, log
from trainer.__main__ import main
from trainer.compression.layer_reader import cut, open_reader
from trainer.jobs.schema import ModelJob, ScoreJob
from trainer.models.history_scorer import Scorer, save_scorer
from trainer.models.model_form import QUERIES, Form, ModelForm, write_form
from trainer.models.saved_encoder import open_encoder
from trainer.models.source import find_source
from trainer.models.static_encoder import write_static


def opened(folder):
    return open_encoder(find_source(ModelJob(folder=folder)), max_tokens=16)


def make_half(bert, folder):
    cut(open_reader(find_source(ModelJob(folder=bert)), "mean"), [0], lambda _: {}, folder)


def make_pruned(bert, folder):
    cut(open_reader(find_source(ModelJob(folder=bert)), "mean"), [0, 1], lambda _: {0: [1]}, folder)


def make_static(bert, folder, width=8):
    size = opened(bert).stack.vocabulary
    folder.mkdir(parents=True)
    vectors = torch.randn((size, width), generator=torch.Generator().manual_seed(0))
    write_static(vectors, ModelForm(Form.STATIC, "0" * 64, width, size, "fp16"), bert, folder)


def make_asymmetric(bert, folder):
    opened(bert).save(folder)
    make_static(bert, folder / QUERIES, width=32)
    write_form(ModelForm(Form.ASYMMETRIC, "0" * 64, 32, opened(bert).stack.vocabulary), folder)


def make_int8(bert, folder):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    from trainer.compression.int8 import quantize
    from trainer.compression.onnx_export import export_encoder
    from trainer.models.model_form import read_form

    export_encoder(opened(bert), folder.parent / "graph")
    quantize(folder.parent / "graph", read_form(folder.parent / "graph"), folder)


@pytest.fixture
def job(place):
    write_table(place / "log.csv", log())
    (place / "job.toml").write_text(JOB.format(data=f'path = "log.csv"\n{COLUMNS}{LAST}'))
    return place / "job.toml"


LONG = pytest.param(make_int8, marks=[pytest.mark.long, pytest.mark.filterwarnings("ignore:The ``noload``")])


@pytest.mark.parametrize("make", [make_half, make_pruned, make_static, make_asymmetric, LONG])
def test_a_model_of_next_items_is_scored_and_asked_in_any_form(job, model_folder, capsys, make):
    bare, folder = job.parent / "bare", job.parent / "model"
    make(model_folder, bare)
    encoder = opened(bare)
    encoder.save(folder)
    save_scorer(Scorer(ScoreJob(repeats=False, half_life_days=0.01), 16, encoder.embed(THINGS).mean(0)), folder)
    assert main(["evaluate", str(job), "--model", str(folder)]) == 0
    assert result_of(job.parent / "out")["status"] == "finished"
    capsys.readouterr()
    assert main(["recommend", str(folder), "--user", "2", "--job", str(job), "-k", "99", "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert {product["key"] for product in answer["products"]} == NEW_TO_2


def test_a_model_of_next_items_is_not_made_smaller_and_why_is_told(job, model_folder, capsys):
    assert main(["compress", str(job), "--model", str(model_folder)]) == 2
    assert "lists are made of items' vectors that stand ready" in capsys.readouterr().err
    assert not (job.parent / "out").exists()
