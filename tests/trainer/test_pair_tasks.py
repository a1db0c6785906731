"""Whole jobs of the tasks that read judged pairs, on models of two layers."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.trainer.fitting import fit, result_of
from tests.trainer.queries import make_bert, make_llama, make_rows, make_tokenizer, write_job, write_rows
from trainer.__main__ import main

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


@pytest.fixture(scope="module")
def bert(tmp_path_factory) -> Path:
    return make_bert(tmp_path_factory.mktemp("bert") / "model")


@pytest.fixture(scope="module")
def llama(tmp_path_factory) -> Path:
    return make_llama(tmp_path_factory.mktemp("llama") / "model")


def scored_on(folder: Path) -> str:
    return json.loads((folder / "data_card.json").read_text())["test_hash"]


QUICK = ("train.batch=16", "train.epochs=12", "train.lr=3e-3", "train.head_lr=3e-3")


def test_grades_are_learnt_and_everything_is_told_of_them(place, bert, capsys):
    rows = make_rows(by_colour=True)
    job = write_job(
        place, "relevance", write_rows(place / "pairs.csv", rows), bert, "relevant = 3.0\ntensorboard = true"
    )
    assert fit(job, *QUICK) == 0
    told = result_of(place / "relevance")
    metrics, overlap = told["metrics"], told["baselines"]["word overlap"]
    assert metrics["auc"] > 0.8
    assert {"accuracy", "precision", "recall", "f1", "rmse", "spearman", "ndcg_at_10", "mrr"} <= metrics.keys()
    assert {"calibration_error", "squared_error", "brier", "ms_per_pair"} <= metrics.keys()
    assert overlap["auc"] < metrics["auc"]
    for name in ("auc", "rmse", "f1", "squared_error", "ndcg_at_10"):
        low, high = told["intervals"][name]
        assert low <= metrics[name] <= high
    sliced = json.loads((place / "relevance" / "intervals.json").read_text())["slices"]["room"]
    assert {"auc", "rmse"} <= sliced["hall"].keys()
    table = pq.read_table(place / "relevance" / "per_example.parquet")
    tested = [row for row in rows if row.part == "test"]
    assert len(table) == len(tested)
    assert set(table["example_id"].to_pylist()) == {row.query for row in tested}
    means = table.to_pandas().groupby("example_id").squared_error.mean().mean()
    assert metrics["squared_error"] == pytest.approx(means)
    assert len(pq.read_table(place / "relevance" / "predictions.parquet")) == len(tested)
    assert list((place / "relevance" / "tensorboard").glob("events.out.tfevents.*"))
    assert "tuned, 95 %" in capsys.readouterr().out


def test_a_saved_model_says_the_same_again_and_of_any_split(place, bert, capsys):
    job = write_job(
        place, "relevance", write_rows(place / "pairs.csv", make_rows(by_colour=True)), bert, "relevant = 3.0"
    )
    assert fit(job, *QUICK[:1], "tracking.registered=pairs", "tracking.alias=champion") == 0
    first = result_of(place / "relevance")["metrics"]
    again = ["evaluate", str(job), "--model", str(place / "relevance" / "model"), "--set", f"output={place}/again"]
    assert main(again) == 0
    assert result_of(place / "again")["metrics"]["auc"] == pytest.approx(first["auc"], abs=1e-6)
    assert (
        main(
            [
                "evaluate",
                str(job),
                "--model",
                "models:/pairs@champion",
                "--split",
                "valid",
                "--set",
                f"output={place}/valid",
            ]
        )
        == 0
    )
    valid = result_of(place / "valid")["metrics"]
    assert valid["auc"] != pytest.approx(first["auc"], abs=1e-6)
    assert scored_on(place / "relevance") == scored_on(place / "again") != scored_on(place / "valid")
    capsys.readouterr()
    assert main(["evaluate", str(job), "--model", "models:/pairs@nobody", "--set", f"output={place}/none"]) == 2
    assert "models:/pairs@nobody: the registry at" in capsys.readouterr().err
    assert not (place / "none").exists()

    assert main(["compare", str(place / "relevance"), str(place / "again"), "--json", "--by", "room"]) == 0
    found = json.loads(capsys.readouterr().out)
    whole = next(one for one in found["differences"] if (one["metric"], one["slice"]) == ("correct", "all"))
    assert (whole["first"] - whole["second"], whole["better"], whole["p"]) == (0.0, 0, 1.0)
    assert {one["slice"] for one in found["differences"]} == {"all", "room=hall", "room=kitchen"}
    assert main(["compare", str(place / "relevance"), str(place / "valid")]) == 2
    assert "no example is in both" in capsys.readouterr().err


def test_yes_or_no_and_classes_are_told_from_the_labels(place, bert):
    binary = write_job(place, "relevance", write_rows(place / "yes.csv", make_rows(by_colour=True), "binary"), bert)
    assert fit(binary, *QUICK, f"output={place}/yes") == 0
    yes = result_of(place / "yes")["metrics"]
    assert yes["auc"] > 0.8
    assert "rmse" not in yes
    classes = write_job(place, "relevance", write_rows(place / "class.csv", make_rows(by_colour=True), "class"), bert)
    assert fit(classes, *QUICK, "train.epochs=6", "train.average=2", f"output={place}/class") == 0
    told = result_of(place / "class")
    assert told["metrics"]["accuracy"] > told["baselines"]["base rate"]["accuracy"] - 0.1
    assert set(json.loads((place / "class" / "model" / "relevance.json").read_text())["scale"]["classes"]) == {
        "no", "partly", "yes",
    }  # fmt: skip


@pytest.mark.parametrize(("label", "new"), [("grade", "5"), ("class", "perfect")])
def test_a_label_that_only_the_test_has_is_judged_and_counted(place, bert, label, new):
    lines = write_rows(place / "pairs.csv", make_rows(by_colour=True), label).read_text().splitlines()
    at = next(number for number, line in enumerate(lines) if ",test," in line)
    cells = lines[at].split(",")
    lines[at] = ",".join([*cells[:3], new, *cells[4:]])
    (place / "pairs.csv").write_text("\n".join(lines) + "\n")
    assert fit(write_job(place, "relevance", place / "pairs.csv", bert)) == 0
    card = json.loads((place / "relevance" / "data_card.json").read_text())
    assert card["mended"]["rows with a label that no train row has"] == 1
    saved = json.loads((place / "relevance" / "model" / "relevance.json").read_text())["scale"]
    assert (saved["high"] == 5 and saved["relevant"] == 2) if label == "grade" else "perfect" in saved["classes"]


def test_a_decoder_learns_by_adapters_and_is_saved_whole(place, llama, bert):
    job = write_job(place, "relevance", write_rows(place / "pairs.csv", make_rows(by_colour=True), "binary"), llama)
    assert fit(job, *QUICK, "model.lora.rank=4", "model.lora.targets=['q_proj','v_proj']") == 0
    saved = place / "relevance" / "model"
    assert json.loads((saved / "relevance.json").read_text())["pooling"] == "last"
    evaluated = ["evaluate", str(job), "--model", str(saved), "--set", f"output={place}/again"]
    assert main(evaluated) == 0
    first, again = (result_of(place / name)["metrics"]["auc"] for name in ("relevance", "again"))
    assert again == pytest.approx(first, abs=1e-6)


def test_a_catalogue_is_searched_by_vectors_and_words(place, bert, capsys):
    job = write_job(place, "retrieval", write_rows(place / "pairs.csv", make_rows()), bert, "relevant = 3.0")
    settings = ("train.batch=8", "train.epochs=10", "train.lr=2e-3", "train.layers=2", "model.max_tokens=8")
    assert fit(job, *settings, "data.spelling=true") == 0
    told = result_of(place / "retrieval")
    assert told["metrics"]["recall_at_10"] >= 0.9
    assert told["baselines"].keys() == {"bm25", "zero-shot", "zero-shot fused", "vectors"}
    assert told["baselines"]["vectors"]["mrr"] > told["baselines"]["zero-shot"]["mrr"]
    assert {"ndcg_at_10", "recall_at_50", "mrr", "ms_per_query"} <= told["metrics"].keys()
    model = place / "retrieval" / "model"
    assert main(["evaluate", str(job), "--model", str(model), "--set", f"output={place}/again"]) == 0
    assert result_of(place / "again")["metrics"]["mrr"] == pytest.approx(told["metrics"]["mrr"], abs=1e-6)
    assert scored_on(place / "again") == scored_on(place / "retrieval")

    capsys.readouterr()
    assert main(["recommend", str(model), "red lamp", "-k", "3", "--json", "--device", "cpu", "--precision=fp32"]) == 0
    said = capsys.readouterr()
    assert said.err.splitlines()[0] == "trainer: computes on the processor in fp32"
    (answer,) = json.loads(said.out)
    assert len(answer["products"]) == 3
    assert answer["milliseconds"] > 0
    assert answer["products"][0]["text"].endswith("red lamp")
    assert main(["recommend", str(model), "red mirorr", "-k", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["products"][0]["text"].endswith("red mirror")
    (place / "asked.txt").write_text("blue rug\n\nblack clock\n")
    assert main(["recommend", str(model), "--file", str(place / "asked.txt"), "-k", "1"]) == 0
    shown = capsys.readouterr().out
    assert "blue rug (" in shown
    assert "black clock (" in shown


@pytest.mark.parametrize(
    ("task", "settings"),
    [
        ("relevance", ("relevant=3.0", "train.pairs=32", "train.batch=16")),
        ("retrieval", ("relevant=3.0", "train.batch=8", "train.layers=1", "model.max_tokens=8", "search.weight=0.5")),
    ],
)
def test_weights_in_shards_are_the_same_model(task, settings, place, bert):
    sharded = make_bert(place / "models" / "sharded", shard_size="40KB")
    assert len(list(sharded.glob("model-*.safetensors"))) > 1
    data = write_rows(place / "pairs.csv", make_rows(by_colour=True))
    told = []
    for model in (bert, sharded):
        job = write_job(place, task, data, model)
        assert fit(job, *settings, f"output={place}/of_{model.name}") == 0
        told.append(result_of(place / f"of_{model.name}")["metrics"])
    again = ["--model", str(place / "of_sharded" / "model"), "--set", f"output={place}/again", "--set", settings[0]]
    assert main(["evaluate", str(job), *again]) == 0
    told.append(result_of(place / "again")["metrics"])
    for name in told[0].keys() - {"ms_per_pair", "ms_per_query"}:
        assert told[1][name] == told[0][name]
        assert told[2][name] == pytest.approx(told[0][name], abs=1e-6)


def test_the_same_seed_gives_the_same_numbers(place, bert):
    job = write_job(place, "retrieval", write_rows(place / "pairs.csv", make_rows()), bert, "relevant = 3.0")
    settings = ("train.batch=8", "train.layers=1", "model.max_tokens=8", "search.weight=0.5")
    metrics = []
    for name in ("one", "two"):
        assert fit(job, *settings, f"output={place}/{name}") == 0
        metrics.append(result_of(place / name)["metrics"])
    assert metrics[0]["mrr"] == metrics[1]["mrr"]
    assert metrics[0]["vector_weight"] == 0.5


@pytest.fixture
def refused(place, bert, capsys):
    """Run a job that must be refused, and give the one sentence it was refused with."""

    def run(
        task: str, *overrides: str, rows=None, label: str = "grade", model: Path = bert, command: str = "fit"
    ) -> str:
        data = write_rows(place / "pairs.csv", make_rows() if rows is None else rows, label)
        job = write_job(place, task, data, model)
        before = {path.name for path in place.iterdir()}
        capsys.readouterr()
        words = [word for override in overrides for word in ("--set", override)]
        assert main([command, str(job), *words]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert {path.name for path in place.iterdir()} == before
        (sentence,) = [line for line in captured.err.splitlines() if line.startswith("trainer: ")]
        return sentence

    return run


def test_labels_of_one_class_are_refused(refused):
    rows = [row for row in make_rows() if row.grade == 1.0]
    assert "every label of the train rows is '1'" in refused("relevance", rows=rows)


def test_a_part_without_a_relevant_product_is_refused(refused):
    assert "no test row has a label of relevant = 9 or more" in refused("retrieval", "relevant=9.0")


def test_a_model_with_pickled_weights_alone_is_refused(refused, bert, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pickle") / "model"
    shutil.copytree(bert, folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    for task in ("relevance", "retrieval"):
        assert "holds no model.safetensors; pytorch_model.bin is not read" in refused(task, model=folder)


def test_a_model_of_quantized_weights_is_refused(refused, bert, tmp_path_factory):
    folder = shutil.copytree(bert, tmp_path_factory.mktemp("quantized") / "model")
    config = json.loads((folder / "config.json").read_text()) | {"quantization_config": {"quant_method": "gptq"}}
    (folder / "config.json").write_text(json.dumps(config))
    assert "its weights are quantized (gptq) and cannot be tuned" in refused("relevance", model=folder)


def test_a_model_that_lacks_a_shard_is_refused(refused, tmp_path_factory):
    folder = make_bert(tmp_path_factory.mktemp("shards") / "model", shard_size="40KB")
    lost = sorted(folder.glob("model-*.safetensors"))[1]
    lost.unlink()
    said = f"holds no {lost.name}, where model.safetensors.index.json says that weights are"
    for task in ("relevance", "retrieval"):
        assert said in refused(task, model=folder)
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../elsewhere.safetensors"}}')
    assert "holds no elsewhere.safetensors" in refused("relevance", model=folder)
    (folder / "model.safetensors.index.json").write_text("{}")
    assert "has no weight_map" in refused("relevance", model=folder)


def test_a_tokenizer_that_does_not_fit_is_refused(refused, bert, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens") / "model"
    shutil.copytree(bert, folder)
    make_tokenizer(folder, tuple(f"word{n}" for n in range(90)))
    assert "its largest token is 93, the model knows 22 from 0" in refused("relevance", model=folder)


def test_more_classes_than_the_model_has_are_refused(place, bert, refused):
    rows = [row for row in make_rows() if row.grade != 2.0]
    job = write_job(place, "relevance", write_rows(place / "pairs.csv", rows, "class"), bert)
    assert fit(job, "train.batch=16") == 0
    said = refused(
        "relevance", f"output={place}/more", label="class", model=place / "relevance" / "model", command="evaluate"
    )
    assert "class 'partly' is more than the model has: it knows no, yes" in said


def test_a_bare_model_is_not_evaluated_as_if_it_judged(refused):
    assert "holds no relevance.json" in refused("relevance", command="evaluate")


def test_asking_wrongly_is_told_in_a_sentence(place, bert, capsys):
    for arguments, said in (
        (["recommend", str(bert), "lamp"], "holds no retrieval.json"),
        (["recommend", str(place / "nowhere"), "lamp"], "there is no such model folder"),
        (["recommend", str(bert)], "give one of QUERY, --file FILE and --user ID"),
        (
            ["recommend", str(bert), "--user", "7"],
            "--user ID goes together with one of --job JOB.toml and --snapshot DIR",
        ),
        (["recommend", str(bert), "lamp", "-k", "0"], "-k is 0"),
        (
            ["recommend", str(bert), "lamp", "--device", "gpu"],
            "key 'device.kind' is 'gpu': input should be 'auto', 'cpu'",
        ),
        (["recommend", str(bert), "lamp", "--precision", "int8"], "key 'device.precision' is 'int8': input should be"),
        (["recommend", "models:/x@y", "lamp"], "--tracking-uri says which MLflow knows it"),
        (
            ["recommend", "models:/x@y", "lamp", "--tracking-uri", "sqlite:///no.db"],
            "there is no such tracking database",
        ),
        (["compare", str(place), str(place)], "there is no such per-example table"),
    ):
        assert main(arguments) == 2
        assert said in capsys.readouterr().err


def test_padding_changes_no_score(bert, llama):
    """A short pair scores the same alone and beside a long one, whichever way states are pooled."""
    from trainer.jobs.schema import PairModelJob
    from trainer.models.cross_encoder import CrossEncoder
    from trainer.models.source import find_source

    queries, products = ["red lamp", "blue"], ["oak red lamp", "small blue chair table sofa shelf rug"]
    for folder in (bert, llama):
        job = PairModelJob(folder=folder, max_tokens=32)
        model = CrossEncoder(find_source(job), job, 1, None)
        together = model.score_all(model.encode(queries, products))
        alone = [model.score_all(model.encode([q], [p]))[0] for q, p in zip(queries, products, strict=True)]
        np.testing.assert_allclose(together, alone, atol=1e-5)
