"""A model folder says by itself what form it is in, and is read, or refused, by that alone."""

import json

import pytest
import torch

from tests.trainer.queries import make_bert, make_rows, write_job, write_rows
from trainer.__main__ import main
from trainer.errors import ModelError
from trainer.jobs.schema import ModelJob
from trainer.models.asymmetric_encoder import AsymmetricEncoder
from trainer.models.hybrid_search import SearchedProducts, SearchSettings, save_search
from trainer.models.model_form import FORM, QUERIES, Form, ModelForm, read_form, write_form
from trainer.models.processor import saturates, tell_instructions
from trainer.models.saved_encoder import open_encoder
from trainer.models.source import find_source
from trainer.models.static_encoder import StaticEncoder, write_static
from trainer.models.text_encoder import TextEncoder, unit

TITLES = ("oak red lamp", "new blue sofa", "small green rug")


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return make_bert(tmp_path_factory.mktemp("forms") / "bert")


def write_tokens(bert, folder, width=8):
    """Write a static model in which every word points a way of its own."""
    folder.mkdir(parents=True)
    vectors = torch.randn((22, width), generator=torch.Generator().manual_seed(0))
    write_static(vectors, ModelForm(Form.STATIC, "0" * 64, width, 22, "fp16"), bert, folder)
    return folder


def opened(folder):
    return open_encoder(find_source(ModelJob(folder=folder)), max_tokens=16)


def test_a_folder_that_says_nothing_is_a_plain_model(bert):
    assert isinstance(opened(bert), TextEncoder)


def test_a_static_model_gives_the_mean_of_its_tokens_and_nought_for_a_text_without_any(bert, tmp_path):
    encoder = opened(write_tokens(bert, tmp_path / "static"))
    assert isinstance(encoder, StaticEncoder)
    red, lamp, both, none = encoder.embed(["red", "lamp", "lamp red", ""])
    assert torch.allclose(both, (red + lamp) / 2)
    assert not none.any()


def test_an_asymmetric_model_reads_queries_otherwise_than_products(bert, tmp_path):
    folder = tmp_path / "both"
    TextEncoder(find_source(ModelJob(folder=bert)), trained_layers=0, max_tokens=16).save(folder)
    write_tokens(bert, folder / QUERIES, width=32)
    write_form(ModelForm(Form.ASYMMETRIC, "0" * 64, 32, 22), folder)
    encoder = opened(folder)
    assert isinstance(encoder, AsymmetricEncoder)
    assert torch.equal(encoder.embed(TITLES), opened(bert).embed(TITLES))
    assert torch.equal(encoder.embed_queries(TITLES), opened(folder / QUERIES).embed(TITLES))
    mixed = encoder.read_vectors(["red lamp", *TITLES], None, 1)
    assert torch.equal(mixed[:1], encoder.embed_queries(["red lamp"]))
    assert torch.equal(mixed[1:], encoder.embed(TITLES))
    encoder.save(tmp_path / "again")
    assert torch.equal(opened(tmp_path / "again").embed_queries(TITLES), encoder.embed_queries(TITLES))


def test_recommend_asks_a_static_model(bert, tmp_path, capsys):
    folder = write_tokens(bert, tmp_path / "static")
    catalogue = SearchedProducts(("1", "2", "3"), TITLES)
    save_search(SearchSettings(16, 10, 1.0), catalogue, unit(opened(folder).embed(TITLES)), folder)
    assert main(["recommend", str(folder), "blue sofa", "-k", "1", "--json"]) == 0
    assert [one["key"] for one in json.loads(capsys.readouterr().out)[0]["products"]] == ["2"]
    assert main(["recommend", str(folder), "blue sofa", "--device", "cuda"]) == 2
    assert "is compressed (static) and computes on the processor as it was written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"form": "tiny"}, "'tiny' is not a valid Form"),
        ({"form": "plain"}, "width and vocabulary are no counts"),
        ({"width": 0}, "width and vocabulary are no counts"),
        ({"colour": 1}, "unexpected keyword argument 'colour'"),
        ({"width": 9}, "has shape (22, 8), not what compressed.json says"),
        ({"vocabulary": 5}, "its largest token is 21, the model knows 5 from 0"),
        ({"form": "onnx"}, "holds no model.onnx, which compressed.json says it is run from"),
        ({"form": "asymmetric"}, "holds no queries/model.safetensors"),
    ],
)
def test_a_folder_that_is_not_what_it_says_is_refused_by_name(bert, tmp_path, change, said):
    folder = write_tokens(bert, tmp_path / "static")
    (folder / FORM).write_text(json.dumps(json.loads((folder / FORM).read_text()) | change))
    with pytest.raises(ModelError) as refused:
        opened(folder)
    assert said in str(refused.value)


def test_what_is_compressed_is_not_tuned(bert, tmp_path, capsys):
    folder = write_tokens(bert, tmp_path / "static")
    job = write_job(tmp_path, "retrieval", write_rows(tmp_path / "pairs.csv", make_rows()), folder)
    assert main(["fit", str(job), "--set", "train.batch=8"]) == 2
    assert "is compressed (compressed.json says static) and cannot be tuned" in capsys.readouterr().err
    assert read_form(folder).form is Form.STATIC


@pytest.mark.parametrize(
    ("flags", "machine", "name", "trap"),
    [
        ("fpu avx2", "x86_64", "AVX2", True),
        ("fpu avx2 avx512f", "x86_64", "AVX-512", True),
        ("fpu avx2 avx_vnni", "x86_64", "AVX-VNNI", False),
        ("avx2 avx512f avx512_vnni", "x86_64", "AVX-512 VNNI", False),
        ("avx2 avx512_vnni amx_int8", "x86_64", "AMX", False),
        ("", "aarch64", "aarch64", False),
    ],
)
def test_only_x86_without_vnni_saturates(tmp_path, flags, machine, name, trap):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_text(f"model name\t: Some\nflags\t\t: {flags}\n")
    assert tell_instructions(tmp_path, machine) == name
    assert saturates(tmp_path, machine) is trap
