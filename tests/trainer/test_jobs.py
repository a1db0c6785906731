"""Whole jobs on the small shop, in this process, against a real MLflow database."""

import json
import signal
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from typing import Any

import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file

from tests.trainer.shop import PRODUCTS, Bench, make_bench, make_rows, products_table, write_raw
from trainer.__main__ import main
from trainer.data.completejourney import Options, prepare
from trainer.errors import Stopped
from trainer.measures.ranks import METRICS
from trainer.run import Finished, run_job

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")  # MLflow's database layer

REPEATED = (*METRICS, "coverage", "model_mb")  # all but the time a query takes


@dataclass(frozen=True, slots=True)
class Fitted:
    bench: Bench
    finished: Finished
    run: Any
    artifacts: Path


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, snapshot_folder, model_folder, mlflow_file) -> Fitted:
    bench = make_bench(tmp_path_factory.mktemp("fitted"), snapshot_folder, model_folder)
    copyfile(mlflow_file, bench.database)
    finished = run_job(
        bench.job("tracking.fire_id=fire-7", "tracking.tags.team=search", "tracking.params.note=x"), "fit"
    )
    run = find_run(bench, finished.result.run_id)
    return Fitted(bench, finished, run, Path(run.info.artifact_uri.removeprefix("file://")))


def client_of(bench: Bench) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{bench.database}")


def find_run(bench: Bench, run_id: str) -> Any:
    return client_of(bench).get_run(run_id)


def only_run(bench: Bench) -> Any:
    client = client_of(bench)
    (run,) = client.search_runs([client.get_experiment_by_name("next-purchase").experiment_id])
    return run


def leftovers(bench: Bench) -> set[str]:
    known = {"job.toml", "mlflow.db", "mlflow.db-shm", "mlflow.db-wal", "artifacts"}
    return {path.name for path in bench.folder.iterdir()} - known


def test_the_run_says_what_it_was(fitted):
    assert fitted.run.info.status == "FINISHED"
    tags = fitted.run.data.tags
    assert (tags["herald.seam"], tags["herald.fire_id"], tags["team"]) == ("1", "fire-7", "search")
    params = fitted.run.data.params
    assert (params["seed"], params["train.batch"], params["note"]) == ("0", "16", "x")
    assert params["data.hash"] == tags["herald.data_hash"]
    assert (params["device.kind"], params["device.precision"]) == ("cpu", "fp32")


def test_the_run_says_what_decides_its_numbers(fitted):
    tags = fitted.run.data.tags
    card = json.loads((fitted.artifacts / "data_card.json").read_text())
    assert (tags["herald.data_hash"], tags["herald.test_hash"]) == (card["hash"], card["test_hash"])
    assert len(tags["herald.lock_hash"]) == 64
    assert tags["herald.environment"].startswith("python ")
    assert tags["herald.machine"].count(", ") >= 2
    used = {one.tags[0].value: one.dataset for one in fitted.run.inputs.dataset_inputs}
    digests = {context: dataset.digest for context, dataset in used.items()}
    assert digests == {"training": card["hash"][:36], "testing": card["test_hash"][:36]}


def test_loss_and_rate_are_logged_by_step(fitted):
    client = client_of(fitted.bench)
    for name in ("train/loss", "train/lr"):
        steps = [point.step for point in client.get_metric_history(fitted.run.info.run_id, name)]
        assert steps == [1, 2, 3, 4]


def test_the_logged_metrics_are_what_the_per_example_table_gives(fitted):
    table = pq.read_table(fitted.artifacts / "per_example.parquet").to_pandas()
    for metric in METRICS:
        table["weighted"] = table[metric] * table["weight"]
        sums = table.groupby("example_id")[["weighted", "weight"]].sum()
        assert fitted.run.data.metrics[metric] == pytest.approx((sums.weighted / sums.weight).mean(), abs=1e-12)
    for department, part in table.groupby("department"):
        logged = fitted.run.data.metrics[f"department/{department}/hr_at_10"]
        assert logged == pytest.approx(part.groupby("example_id").hr_at_10.mean().mean(), abs=1e-12)
        assert fitted.run.data.metrics[f"department/{department}/examples"] == part.example_id.nunique()


def test_the_table_keeps_the_contract(fitted):
    schema = pq.read_schema(fitted.artifacts / "per_example.parquet")
    assert [str(schema.field(name).type) for name in ("example_id", "department", "weight")] == [
        "string",
        "string",
        "double",
    ]
    assert set(schema.names) == {"example_id", "department", "weight", *METRICS}


def test_every_baseline_stands_in_the_same_table(fitted):
    metrics, summary = fitted.run.data.metrics, (fitted.artifacts / "summary.md").read_text()
    for name in ("popularity", "personal frequency", "zero-shot", "tuned"):
        assert f"| {name} |" in summary
    assert {"popularity/hr_at_10", "personal_frequency/mrr", "zero_shot/coverage"} <= metrics.keys()
    assert "fine-tuned: partly: the top 1 of 2 layers" in summary


def test_artifacts_describe_data_and_environment(fitted, snapshot_folder):
    card = json.loads((fitted.artifacts / "data_card.json").read_text())
    of_snapshot = json.loads((snapshot_folder / "data_card.json").read_text())
    assert card == of_snapshot | {
        "cut": {"items": 0.0},
        "unknown": {"items": 0.0},
        "test_hash": fitted.run.data.tags["herald.test_hash"],
    }
    environment = json.loads((fitted.artifacts / "environment.json").read_text())
    assert {"torch", "transformers", "mlflow", "python", "seed", "data_hash"} <= environment.keys()
    assert load_file(fitted.artifacts / "model" / "model.safetensors")
    assert not [path for path in fitted.artifacts.rglob("*") if path.suffix in {".bin", ".pt", ".pkl"}]


def test_the_result_file_leads_to_everything(fitted):
    result = json.loads((fitted.bench.folder / "output" / "result.json").read_text())
    assert (result["schema"], result["status"], result["fire_id"]) == (1, "finished", "fire-7")
    assert result["run_id"] == fitted.run.info.run_id
    assert result["metrics"]["hr_at_10"] == fitted.run.data.metrics["hr_at_10"]
    assert all(Path(path).exists() for path in result["paths"].values())
    assert leftovers(fitted.bench) == {"output"}


def test_the_same_seed_gives_the_same_metrics_and_another_one_others(fitted, tracked, tmp_path):
    again = run_job(tracked.job(), "fit").result.metrics
    other = run_job(tracked.job("seed=1", f"output={tmp_path}/other"), "fit").result.metrics
    first = fitted.finished.result.metrics
    assert {name: again[name] for name in REPEATED} == {name: first[name] for name in REPEATED}
    assert other != again


def test_a_kept_start_changes_no_metric(fitted, tracked, tmp_path):
    first = fitted.finished.result.metrics
    for output in ("cold", "warm"):
        metrics = run_job(
            tracked.job(f"model.cache={tmp_path}/cache", f"output={tmp_path}/{output}"), "fit"
        ).result.metrics
        assert {name: metrics[name] for name in REPEATED} == {name: first[name] for name in REPEATED}


def test_evaluating_the_saved_model_alone_gives_its_metrics_again(fitted, tracked):
    model = fitted.bench.folder / "output" / "model"
    finished = run_job(tracked.job(f"model.folder={model}"), "evaluate")
    first = fitted.finished.result.metrics
    assert finished.result.metrics["hr_at_10"] == pytest.approx(first["hr_at_10"], abs=1e-9)
    beside = {"popularity", "personal frequency", "item neighbours", "ALS", "saved"}
    assert set(finished.compared) == beside | {"popularity new only", "saved new only"}
    run = only_run(tracked)
    assert run.data.tags["herald.command"] == "evaluate"
    assert run.data.tags["herald.test_hash"] == fitted.run.data.tags["herald.test_hash"]
    assert [one.tags[0].value for one in run.inputs.dataset_inputs] == ["testing"]
    assert "model" not in {path.path for path in client_of(tracked).list_artifacts(run.info.run_id)}


def test_a_household_is_recommended_what_its_history_says(fitted, snapshot_folder, capsys):
    model = str(fitted.bench.folder / "output" / "model")
    assert main(["recommend", model, "--user", "7", "--snapshot", str(snapshot_folder), "-k", "4", "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    scores = [product["score"] for product in answer["products"]]
    assert len(scores) == 4
    assert scores == sorted(scores, reverse=True)
    assert main(["recommend", model, "--user", "nobody", "--snapshot", str(snapshot_folder)]) == 2
    assert "knows no user 'nobody'" in capsys.readouterr().err
    assert main(["recommend", model, "milk"]) == 2
    assert "answers --user ID, not a query" in capsys.readouterr().err


def test_every_metric_has_an_interval_whole_and_by_slice(fitted):
    told = json.loads((fitted.artifacts / "intervals.json").read_text())
    logged = fitted.run.data.metrics
    for name in METRICS:
        low, high = told["metrics"][name]
        assert low <= logged[name] <= high
        assert (logged[f"low/{name}"], logged[f"high/{name}"]) == (low, high)
        for department, found in told["slices"]["department"].items():
            assert found[name][0] <= logged[f"department/{department}/{name}"] <= found[name][1]


def test_personal_habits_beat_popularity_in_a_shop_of_habits(fitted):
    compared = fitted.finished.compared
    assert compared["personal frequency"]["ndcg_at_10"] > compared["popularity"]["ndcg_at_10"] + 0.05
    assert compared["tuned"]["ndcg_at_10"] > compared["popularity"]["ndcg_at_10"] + 0.05


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["train.epoch=1"], "unknown key 'train.epoch'"),
        (["data.snapshot=nowhere"], "there is no such snapshot"),
        (["model.folder=nowhere"], "there is no such model folder"),
        ([f"model.sha256={'0' * 64}"], "sha256 is"),
        (["train.layers=9"], "train.layers: 9 is more than the model's 2"),
        (["train.batch=100000"], "are fewer than train.batch = 100000"),
        (["device.kind=cuda"], 'device.kind = "cuda": torch finds none on this machine; it has cpu'),
        (["device.precision=fp16"], 'device.precision = "fp16": the processor does not compute in it; fp32'),
        (["output=job.toml"], "job.toml: exists already"),
        (["threads=100000"], "key 'threads' is 100000: input should be less than or equal to 1024"),
        (["output=job.toml/inside"], "cannot be made"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(bench, monkeypatch, capsys, overrides, said):
    monkeypatch.chdir(bench.folder)
    arguments = [word for override in overrides for word in ("--set", override)]
    assert main(["fit", "job.toml", *arguments]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.startswith("trainer: ")
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert leftovers(bench) == set()
    assert not bench.database.exists()


def test_a_failure_marks_the_run_and_leaves_no_output(tracked, capsys):
    result = tracked.folder / "result.json"
    arguments = ("--set", "train.lr=1e30", "--set", f"result={result}")
    assert main(["fit", str(tracked.path), *arguments]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("trainer: the loss is ")
    run = only_run(tracked)
    assert run.info.status == "FAILED"
    assert "Traceback" in (Path(run.info.artifact_uri.removeprefix("file://")) / "failure.txt").read_text()
    assert leftovers(tracked) == {"result.json"}
    told = json.loads(result.read_text())
    assert (told["status"], told["run_id"]) == ("failed", run.info.run_id)
    assert "a smaller train.lr may help" in told["message"]


def test_a_fit_that_is_stopped_is_killed_and_gone_on_with_by_the_next_try(fitted, tracked, monkeypatch, capsys):
    """The signal arrives between two steps, as it may anywhere; the next try is of another fire, with another output."""
    import trainer.learning.loop

    update = trainer.learning.loop.update

    def stop_at_the_second(*arguments: Any) -> None:
        update(*arguments)
        if len(seen) == 1:
            signal.raise_signal(signal.SIGTERM)
        seen.append(1)

    seen: list[int] = []
    with monkeypatch.context() as patched:
        patched.setattr(trainer.learning.loop, "update", stop_at_the_second)
        assert main(["fit", str(tracked.path), "--set", "tracking.fire_id=first"]) == 143
    stopped = only_run(tracked)
    assert stopped.info.status == "KILLED"
    assert leftovers(tracked) == {".checkpoints"}
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert "the same command goes on from" in capsys.readouterr().err
    again = tracked.job("tracking.fire_id=second", f"output={tracked.folder}/again")
    result = run_job(again, "fit").result
    assert {name: result.metrics[name] for name in REPEATED} == {
        name: fitted.finished.result.metrics[name] for name in REPEATED
    }
    assert f"goes on after step 2, from the checkpoint of run {stopped.info.run_id}" in capsys.readouterr().err
    assert find_run(tracked, result.run_id).data.tags["herald.resumed_from"] == stopped.info.run_id
    told = client_of(tracked).get_metric_history(result.run_id, "train/loss")
    assert [point.step for point in told] == [1, 2, 3, 4]
    assert leftovers(tracked) == {"again"}


def test_stopping_before_the_run_starts_leaves_nothing(bench, monkeypatch):
    import trainer.run

    def stop(*_: Any, **__: Any) -> None:
        raise Stopped(signal.SIGINT)

    monkeypatch.setattr(trainer.run, "start_run", stop)
    assert main(["fit", str(bench.path)]) == 130
    assert leftovers(bench) == set()


def test_a_database_that_is_none_is_told(bench, capsys):
    bench.database.write_text("not a database" * 100)
    assert main(["fit", str(bench.path)]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"trainer: MLflow: {bench.database}: is no SQLite database"
    assert leftovers(bench) == set()


def test_a_server_that_is_away_is_told(bench, capsys):
    arguments = ("--set", "tracking.uri=http://127.0.0.1:9", "--set", "tracking.experiment=x")
    assert main(["fit", str(bench.path), *arguments]) == 1
    assert "trainer: MLflow: " in capsys.readouterr().err
    assert leftovers(bench) == set()


def test_a_deleted_experiment_is_told(tracked, capsys):
    client = client_of(tracked)
    client.delete_experiment(client.create_experiment("next-purchase"))
    assert main(["fit", str(tracked.path)]) == 1
    assert "tracking.experiment: 'next-purchase' was deleted" in capsys.readouterr().err


def test_artifacts_go_where_the_job_says(tracked):
    run_job(tracked.job(f"tracking.artifacts={tracked.folder}/kept"), "fit")
    assert Path(only_run(tracked).info.artifact_uri.removeprefix("file://")).is_relative_to(tracked.folder / "kept")


def test_items_of_one_text_share_its_weight(tracked, raw_folder, snapshot_folder, tmp_path):
    """A text that many items have must not fill everybody's list with them."""
    raw = write_raw(
        tmp_path / "raw", make_rows(), products_table(tuple((i, d, "SAME", None) for i, d, _, _ in PRODUCTS))
    )
    prepare(raw, tmp_path / "snapshot", Options(min_households=2), item_ids=snapshot_folder)
    job = tracked.job(f"data.snapshot={tmp_path}/snapshot", "score.prior=0.0", "train.trips=16")
    compared = run_job(job, "fit").compared
    # One text for all: every item is as good as every other, 10 of 11 are within the first ten.
    assert compared["tuned"]["hr_at_10"] == pytest.approx(10 / 11)


def test_a_rare_text_outranks_one_that_is_shared(tracked, snapshot_folder, tmp_path):
    shared = tuple((i, d, c, t) if i in {3, 4} else (i, d, "SHARED", None) for i, d, c, t in PRODUCTS)
    raw = write_raw(tmp_path / "raw", make_rows(), products_table(shared))
    prepare(raw, tmp_path / "snapshot", Options(min_households=2), item_ids=snapshot_folder)
    job = tracked.job(
        f"data.snapshot={tmp_path}/snapshot", "score.prior=0.0", "score.temperature=1e6", "score.near=0.0"
    )
    compared = run_job(job, "fit").compared["tuned"]
    # With nothing else to tell them apart, the two items of their own stand first and nine share the places after.
    table = pq.read_table(job.output / "per_example.parquet").to_pandas()
    alone = table[table.department == "PRODUCE"]
    assert alone.mrr.min() >= 0.5
    assert compared["hr_at_10"] < 1
