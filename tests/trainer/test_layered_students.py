"""Students of layers: cut out of a tuned model for good, taught by the whole, and read as any model is."""

import json

import numpy as np
import pytest
import torch

from tests.trainer.fitting import result_of
from tests.trainer.kinds import DECODERS, ENCODERS, make_kind
from tests.trainer.queries import make_bert, make_rows, write_job, write_rows
from trainer.__main__ import main
from trainer.compression.importance import heads_that_matter, layers_that_matter
from trainer.compression.layer_reader import cut, open_reader
from trainer.compression.layered_students import LayerLessons, make_half
from trainer.compression.recovery import recover
from trainer.errors import ModelError
from trainer.jobs.compression import CompressJob, RecoveryJob
from trainer.jobs.file import load_job
from trainer.jobs.schema import ModelJob
from trainer.models.backbone import layers_of
from trainer.models.model_form import FORM, Form, read_form
from trainer.models.pair_tokens import Tokens
from trainer.models.saved_encoder import open_encoder
from trainer.models.source import find_source

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

TEXTS = ["oak red lamp", "blue sofa", "small green rug red", "clock"]
LESSONS = ("compress.recovery.rows=48", "compress.recovery.epochs=1")
LOOSE = ("compress.max_quality_loss=1", "compress.min_speedup=0.01", "compress.judged_on=test")


def reader_of(folder):
    return open_reader(find_source(ModelJob(folder=folder)), "mean")


def opened(folder):
    return open_encoder(find_source(ModelJob(folder=folder)), max_tokens=16)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """Write a model whose second layer does nothing, and whose first has a head that nobody listens to."""
    folder = make_bert(tmp_path_factory.mktemp("students") / "bert", layers=4)
    reader = reader_of(folder)
    first, second, *_ = layers_of(reader.model)
    first.attention.output.dense.weight.data[:, :16] = 0
    for part in (second.attention.output, second.output):
        part.dense.weight.data[:] = 0
    reader.model.save_pretrained(folder)
    return folder


class Distances:
    """Rows whose loss is how far the first text's vector is from what the whole model says."""

    def __init__(self, reader) -> None:
        rng = np.random.default_rng(0)
        ids = rng.integers(4, 22, 64 * 5)
        self.tokens = Tokens(ids, np.zeros_like(ids), np.arange(65) * 5)
        with torch.no_grad():
            said = self.said(reader, np.arange(64))
        self.wanted = said + 0.1 * torch.randn(said.shape, generator=torch.Generator().manual_seed(0))

    def __len__(self) -> int:
        return 64

    def said(self, reader, rows):
        return reader.read(self.tokens.pad(rows, 0))[0]

    def loss_of(self, reader, rows):
        return ((self.said(reader, rows) - self.wanted[torch.from_numpy(rows)]) ** 2).mean()


def test_the_layer_and_the_head_that_do_nothing_are_the_first_to_go(bert):
    reader = reader_of(bert)
    labelled = Distances(reader)
    assert layers_that_matter(reader, labelled, 0.75, seed=0) == [0, 2, 3]
    assert len(layers_of(reader.model)) == 4  # as it came
    kept = heads_that_matter(reader, labelled, 0.75, seed=0)
    assert kept[0] == [1]
    assert all(kept.values())
    assert sum(map(len, kept.values())) == 6


def test_what_is_pruned_is_gone_from_the_weights_and_answers_as_with_its_heads_silenced(bert, tmp_path):
    silent = reader_of(bert)
    layers_of(silent.model)[3].attention.output.dense.weight.data[:, :16] = 0
    silent.write(tmp_path / "silent")
    student = cut(reader_of(bert), [0, 2, 3], lambda _: {0: [1], 2: [1]}, tmp_path / "pruned")
    form = read_form(tmp_path / "pruned")
    assert (form.form, form.heads) == (Form.PRUNED, (1, 2, 1))
    assert json.loads((tmp_path / "pruned" / "config.json").read_text())["num_hidden_layers"] == 3
    queries = layers_of(student.model)[0].attention.self.query
    assert queries.weight.shape == (16, 32)
    small, whole = opened(tmp_path / "pruned"), opened(tmp_path / "silent")
    # The second layer only normalises once more what the first has normalised.
    assert torch.allclose(small.embed(TEXTS), whole.embed(TEXTS), atol=1e-4)
    assert small.megabytes() < whole.megabytes()
    small.save(tmp_path / "again")
    assert torch.equal(opened(tmp_path / "again").embed(TEXTS), small.embed(TEXTS))


def test_a_pruned_folder_whose_weights_are_not_what_it_says_is_refused(bert, tmp_path):
    cut(reader_of(bert), [0, 3], lambda _: {0: [1]}, tmp_path / "pruned")
    told = json.loads((tmp_path / "pruned" / FORM).read_text())
    for heads, said in (([2, 2], "has shape (16, 32)"), ([1], "heads are told of 1 layers"), ([], "heads is no list")):
        (tmp_path / "pruned" / FORM).write_text(json.dumps(told | {"heads": heads}))
        with pytest.raises(ModelError) as refused:
            opened(tmp_path / "pruned")
        assert said in str(refused.value)


def test_a_student_comes_nearer_to_its_teacher(bert, tmp_path):
    teacher = reader_of(bert)
    student = cut(reader_of(bert), [0, 2], lambda _: {}, tmp_path / "half")
    texts = Distances(teacher)

    def apart():
        with torch.no_grad():
            said, wanted = (texts.said(one, np.arange(64)) for one in (student, teacher))
        return float(1 - torch.nn.functional.cosine_similarity(said, wanted).mean())

    before = apart()
    recover(teacher, student, texts.tokens, RecoveryJob(epochs=6, batch=8, lr=1e-3), 0, "half")
    assert apart() < before / 2


@pytest.mark.parametrize("kind", [*ENCODERS, *DECODERS])
def test_a_model_of_any_kind_is_halved_or_refused_by_one_sentence(tmp_path, kind):
    reader = reader_of(make_kind(tmp_path / kind, kind))
    texts = Distances(reader)
    lessons = LayerLessons(lambda: reader, texts.tokens, lambda: texts, CompressJob(recovery=RecoveryJob(epochs=1)))
    if kind == "Albert":  # its layers are one, run again and again
        with pytest.raises(ModelError, match="has 1 layer of its own to leave out: it cannot be halved"):
            make_half(lessons, tmp_path / "half")
        return
    cut(reader, [0], lambda _: {}, tmp_path / "half")
    assert len(opened(tmp_path / "half").embed(TEXTS)) == len(TEXTS)


def test_heads_are_taken_out_of_all_models_that_are_laid_out_like_bert_and_of_no_others(tmp_path):
    roberta = reader_of(make_kind(tmp_path / "Roberta", "Roberta"))
    student = cut(roberta, [0, 1], lambda one: heads_that_matter(one, Distances(one), 0.5, 0), tmp_path / "pruned")
    assert [layer.attention.self.key.out_features for layer in layers_of(student.model)] == [16, 16]
    assert opened(tmp_path / "pruned").facts()["model.form"] == "pruned"
    gpt = reader_of(make_kind(tmp_path / "GPT2", "GPT2"))
    with pytest.raises(ModelError, match=r"compress\.heads = 1 leaves them as they are"):
        heads_that_matter(gpt, Distances(gpt), 0.5, 0)


@pytest.fixture(scope="module")
def saved(bert, tmp_path_factory):
    """Save models of both tasks as a fit would, nothing of them trained."""
    from trainer.tasks import relevance, retrieval

    folder = tmp_path_factory.mktemp("saved")
    data = write_rows(folder / "pairs.csv", make_rows(by_colour=True))
    jobs = {task: write_job(folder, task, data, bert) for task in ("retrieval", "relevance")}
    retrieval.load(load_job(jobs["retrieval"]), training=False).take_saved().save(folder / "retrieval-model")
    task = relevance.load(load_job(jobs["relevance"]), training=True)
    relevance.ReadyRelevance(task, task._settle(), fresh=True).save(folder / "relevance-model")
    return jobs


def run(command, job, place, *overrides, model=None):
    folder = model or job.parent / f"{job.stem}-model"
    sets = (f"model.folder={folder}", f"output={place}", f"tracking.uri=sqlite:///{place.parent}/mlflow.db", *overrides)
    options = [word for one in sets for word in ("--set", one)]
    return main([command, str(job), *options])


def test_a_pruned_judge_is_chosen_scored_and_tuned_like_any_model(saved, place):
    job, model = saved["relevance"], place / "out" / "model"
    assert run("compress", job, place / "out", "compress.candidates=pruned", *LESSONS, *LOOSE) == 0
    assert read_form(model).heads == (1, 1, 1)
    assert run("evaluate", job, place / "again", model=model) == 0
    assert result_of(place / "again")["metrics"]["auc"] == result_of(place / "out")["metrics"]["auc"]
    assert run("fit", job, place / "tuned", "train.batch=8", "train.epochs=1", "train.layers=1", model=model) == 0
    assert read_form(place / "tuned" / "model") == read_form(model)


def test_students_of_layers_are_found_with_and_asked_like_any_model(saved, place, capsys):
    job, model = saved["retrieval"], place / "out" / "model"
    wanted = 'compress.candidates=["half", "pruned"]'
    assert run("compress", job, place / "out", wanted, *LESSONS, *LOOSE) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:4]] == ["original", "half", "pruned"]
    assert main(["recommend", str(model), "red lamp", "-k", "2", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)[0]["products"]) == 2


@pytest.mark.parametrize(
    ("task", "override", "said"),
    [
        ("retrieval", "model.folder=relevance-model", "judges pairs and finds no products; it holds no retrieval.json"),
        ("relevance", "model.folder=retrieval-model", "holds no relevance.json; a model that `fit` saved does"),
        ("relevance", "compress.candidates=static", "'static' is not one of relevance: onnx, int8, static_int8, half"),
        ("relevance", "compress.heads=0.0", "compress.heads"),
        ("relevance", "compress.recovery.rows=0", "compress.recovery.rows"),
        ("retrieval", "relevant=9.0", "9 or more"),
    ],
)
def test_what_cannot_be_compressed_is_told_in_one_sentence(saved, place, capsys, monkeypatch, task, override, said):
    monkeypatch.chdir(saved[task].parent)
    assert run("compress", saved[task], place / "out", "compress.candidates=half", override) == 2
    told = capsys.readouterr().err.strip()
    assert said in told.splitlines()[-1]
    assert {path.name for path in place.iterdir()} == {"mlflow.db"}


def test_without_train_rows_no_student_is_promised(saved, place, capsys):
    data = place / "test.csv"
    rows = [row for row in make_rows(by_colour=True) if row.part != "train"]
    write_rows(data, rows)
    overrides = (f"data.path={data}", "compress.candidates=half", *LOOSE)
    assert run("compress", saved["relevance"], place / "out", *overrides) == 2
    assert f"{data}: the train split is empty" in capsys.readouterr().err
    assert not (place / "out").exists()


def test_nothing_is_pruned_where_all_is_kept(saved, place, capsys):
    overrides = ("compress.candidates=pruned", "compress.heads=1.0", "compress.layers=1.0")
    assert run("compress", saved["relevance"], place / "out", *overrides) == 2
    assert "compress.heads and compress.layers are 1: nothing is to be taken out" in capsys.readouterr().err
    assert not (place / "out").exists()
