"""Rates and batches are looked for on the valid rows, in nested runs, and the best is fitted as the job says."""

import pytest

from tests.trainer import queries
from tests.trainer.fitting import result_of
from tests.trainer.logs import EVENTS, events_job, write_table
from trainer.__main__ import main
from trainer.jobs.file import load_job
from trainer.search.trials import Trial, best_of, on_valid, with_trial
from trainer.tasks.metric_names import metric_names
from trainer.tasks.on_device import load_on_device

NOT_CHOSEN_BY = {"ms_per_pair", "model_mb", "queries_without_relevant", "train/loss", "train/lr"}

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


@pytest.fixture
def pairs_job(place):
    data = queries.write_rows(place / "pairs.csv", queries.make_rows())
    return queries.write_job(place, "relevance", data, queries.make_bert(place / "bert"))


def runs_of(place):
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{place / 'mlflow.db'}")
    return client.search_runs([client.get_experiment_by_name("relevance").experiment_id])


def test_trials_are_nested_runs_on_the_valid_rows_and_the_best_is_fitted_on_all_that_the_job_says(
    place, pairs_job, capsys
):
    assert main(["search", str(pairs_job), "--trials", "3", "--batches", "32,64", "--metric", "log_loss"]) == 0
    told = capsys.readouterr().out
    runs = runs_of(place)
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    trials = {run.info.run_name: run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id}
    assert sorted(trials) == ["trial 1", "trial 2", "trial 3"]
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert {run.data.params["part"] for run in trials.values()} == {"valid"}
    assert parent.data.params["part"] == "test"
    first = trials["trial 1"].data.params
    assert (first["train.lr"], first["train.batch"]) == ("0.0002", "64")  # what the job itself says
    best = min(trials.values(), key=lambda run: run.data.metrics["log_loss"])
    chosen = ("train.lr", "train.batch", "train.head_lr")
    assert [best.data.params[key] for key in chosen] == [parent.data.params[key] for key in chosen]
    assert parent.data.tags["herald.search"] == "3 trials by log_loss of the valid rows"
    assert result_of(place / "relevance")["run_id"] == parent.info.run_id
    assert f"run {parent.info.run_id}" in told
    assert "trial  train.lr  train.batch  log_loss of the valid rows\n1  0.0002  64  " in told
    job = on_valid(load_job(pairs_job))
    task, _ = load_on_device(job, training=True)
    assert set(metric_names(job, task)) == set(trials["trial 1"].data.metrics) - NOT_CHOSEN_BY


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rates", "1e-3:1e-5"], "--rates 1e-3:1e-5: two rates, the lower first, are right"),
        (["--batches", "16,many"], "--batches 16,many: whole numbers from 2 on are right"),
        (["--set", "train.layers=9"], "train.layers: 9 is more than the model's 2"),
        (["--set", "output=/dev/null/out"], "/dev/null is a file and no folder"),
        (["--trials", "0"], "Invalid value for '--trials'"),
        (["--metric", "acuracy"], "--metric: 'acuracy' is not one of auc, accuracy, precision"),
        (["--metric", "hr_at_10"], "--metric: 'hr_at_10' is not one of auc, accuracy, precision"),
    ],
)
def test_what_cannot_be_searched_is_told_before_anything_is_written(place, pairs_job, capsys, arguments, said):
    assert main(["search", str(pairs_job), *arguments]) == 2
    assert said in capsys.readouterr().err
    assert not (place / "relevance").exists()
    assert not (place / "artifacts").exists()


def test_a_search_of_which_every_trial_fails_says_so_in_the_result_file(place, pairs_job, capsys):
    words = ["--trials", "1", "--rates", "1e28:1e30", "--batches", "64", "--set", f"result={place}/result.json"]
    assert main(["search", str(pairs_job), *words]) == 1
    assert "no trial measured auc; its runs say why" in capsys.readouterr().err
    told = result_of(place)
    (parent,) = [run for run in runs_of(place) if "mlflow.parentRunId" not in run.data.tags]
    assert (told["status"], told["run_id"], parent.info.status) == ("failed", parent.info.run_id, "FAILED")
    assert told["message"] == "TrainingError: search: no trial measured auc; its runs say why"


def test_a_trial_never_sees_the_test(pairs_job, bench, tmp_path):
    assert on_valid(load_job(pairs_job)).part == "valid"
    log = events_job(write_table(tmp_path / "log.csv", EVENTS))
    job = bench.job().model_copy(update={"data": log})
    assert on_valid(job).data.holdout.score_on == "valid"
    with pytest.raises(Exception, match="a snapshot has a test and no valid part to choose on"):
        on_valid(bench.job())


def test_a_rate_carries_the_new_layers_with_it(pairs_job):
    tried = with_trial(load_job(pairs_job), 1e-4, 16).train
    assert (tried.lr, tried.batch, tried.head_lr) == (1e-4, 16, pytest.approx(1e-3))


def test_the_best_is_the_highest_or_of_losses_the_lowest_of_what_was_measured():
    trials = [Trial(1.0, 8, 0.5), Trial(2.0, 8, None), Trial(3.0, 8, 0.7)]
    assert best_of(trials, "auc").lr == 3.0
    assert best_of(trials, "log_loss").lr == 1.0
    with pytest.raises(Exception, match="no trial measured auc; its runs say why"):
        best_of(trials[1:2], "auc")
