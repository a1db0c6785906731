"""Graphs for onnxruntime: the model's own numbers, int8 ones that are near, and the trap of whole-range int8."""

import json

import numpy as np
import pytest
import torch

from tests.trainer.queries import make_bert, make_rows, write_job, write_rows
from trainer.__main__ import main
from trainer.jobs.file import load_job
from trainer.jobs.schema import ModelJob
from trainer.models.model_form import FORM, GRAPH, Form, ModelForm, read_form
from trainer.models.pair_tokens import tokens_of
from trainer.models.saved_encoder import open_encoder
from trainer.models.source import find_source
from trainer.models.text_encoder import TextEncoder

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

from trainer.compression.int8 import quantize, quantize_by_samples, samples_of  # noqa: E402
from trainer.compression.onnx_export import export_encoder  # noqa: E402 - what is not installed is skipped

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
TEXTS = ["oak red lamp", "blue sofa", "small green rug red", "clock"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Write a graph once: tracing takes seconds."""
    folder = tmp_path_factory.mktemp("graphs")
    export_encoder(opened(make_bert(folder / "bert")), folder / "onnx")
    return folder


def opened(folder):
    return open_encoder(find_source(ModelJob(folder=folder)), max_tokens=16)


@pytest.mark.long
def test_a_graph_gives_the_models_vectors_whatever_stands_beside_a_text(exported):
    plain, graph = opened(exported / "bert"), opened(exported / "onnx")
    assert isinstance(plain, TextEncoder)
    assert not isinstance(graph, TextEncoder)
    assert torch.allclose(graph.embed(TEXTS), plain.embed(TEXTS), atol=1e-5)
    assert torch.allclose(graph.embed(TEXTS[1:2]), plain.embed(TEXTS[1:2]), atol=1e-5)


@pytest.mark.long
def test_int8_is_near_smaller_and_says_what_range_it_has(exported):
    plain = opened(exported / "bert")
    tokens = tokens_of(plain.tokenizer, TEXTS, 0)
    for reduced, static in ((False, False), (True, False), (False, True), (True, True)):
        folder = exported / f"int8-{reduced}-{static}"
        if static:
            samples = samples_of(tokens, 0, seed=0)
            quantize_by_samples(exported / "onnx", read_form(exported / "onnx"), folder, samples, reduced=reduced)
        else:
            quantize(exported / "onnx", read_form(exported / "onnx"), folder, reduced=reduced)
        small = opened(folder)
        near = torch.nn.functional.cosine_similarity(small.embed(TEXTS), plain.embed(TEXTS))
        assert near.min() > 0.98
        form = read_form(folder)
        assert (form.numbers, form.reduced_range) == ("int8", reduced)
        assert form.scales == ("static" if static else "dynamic")
        assert small.megabytes() < opened(exported / "onnx").megabytes()


def as_avx2_multiplies(state, weights):
    """Multiply as `vpmaddubsw` does: unsigned by signed bytes, pairs of products added up in 16 bits that saturate."""
    products = state.astype(np.int64)[:, None] * weights.astype(np.int64)
    pairs = products[0::2] + products[1::2]
    return np.clip(pairs, -(2**15), 2**15 - 1).sum(axis=0)


def layer_weights(folder):
    found = [onnx.numpy_helper.to_array(one) for one in onnx.load(folder / GRAPH).graph.initializer]
    return [one for one in found if one.dtype == np.int8 and one.shape == (32, 16)]


def test_without_vnni_whole_range_weights_come_out_wrong_and_reduced_ones_right(tmp_path):
    folder = tmp_path / "layer"
    folder.mkdir()
    weights = np.random.default_rng(0).normal(size=(32, 16)).astype(np.float32)
    shape = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, size])
        for name, size in (("x", 32), ("y", 16))
    ]
    layer = onnx.helper.make_node("MatMul", ["x", "w"], ["y"])
    graph = onnx.helper.make_graph([layer], "layer", shape[:1], shape[1:], [onnx.numpy_helper.from_array(weights, "w")])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, folder / GRAPH)
    form, seen = ModelForm(Form.ONNX, "0" * 64, 16, 22), np.random.default_rng(1).normal(size=(4, 1, 32))
    for scales in ("dynamic", "static"):
        for reduced in (False, True):
            small = tmp_path / f"{scales}-{reduced}"
            if scales == "static":
                samples = [{"x": one.astype(np.float32)} for one in seen]
                quantize_by_samples(folder, form, small, samples, reduced=reduced)
            else:
                quantize(folder, form, small, reduced=reduced)
            told = read_form(small)
            assert (told.scales, told.reduced_range) == (scales, reduced)
            (found,) = layer_weights(small)
            assert np.abs(found.astype(int)).max() == (64 if reduced else 127)
            loud = np.where(found[:, :1] >= 0, 255, 0).ravel().astype(np.uint8)  # a state that is all extremes
            right = loud.astype(np.int64) @ found.astype(np.int64)
            wrong = int((as_avx2_multiplies(loud, found) != right).sum())
            assert (wrong == 0) is reduced


@pytest.mark.long
def test_a_judge_of_pairs_is_compressed_and_judges_as_before(place, capsys):
    from trainer.tasks import relevance

    data = write_rows(place / "pairs.csv", make_rows(by_colour=True))
    job = write_job(place, "relevance", data, make_bert(place / "bert"))
    task = relevance.load(load_job(job), training=True)
    relevance.ReadyRelevance(task, task._settle(), fresh=True).save(place / "judge")
    gate = [
        "compress.max_quality_loss=1",
        "compress.min_speedup=0.01",
        "compress.judged_on=test",
        "compress.recovery.epochs=1",
    ]
    sets = [word for one in (f"output={place}/out", *gate) for word in ("--set", one)]
    assert main(["compress", str(job), "--model", str(place / "judge"), "--json", *sets]) == 0
    models = {one["name"]: one for one in json.loads(capsys.readouterr().out)["models"]}
    assert set(models) == {"original", "onnx", "int8", "static_int8", "half", "pruned"}
    assert models["onnx"]["loss"] == pytest.approx(0, abs=1e-9)
    assert (place / "out" / "model" / FORM).exists()
    assert main(["evaluate", str(job), "--model", f"{place}/out/model", "--set", f"output={place}/again"]) == 0
