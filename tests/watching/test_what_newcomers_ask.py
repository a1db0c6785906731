"""What `herald init` and `herald doctor` ask an MLflow that has been in use: trials, odd names, thousands of runs."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from bot.cli.main import app
from bot.ports import Selection
from bot.services.mlflow.checks import RunsWanted, check_mlflow
from bot.services.mlflow.config import MlflowSection
from bot.services.mlflow.run_store import MlflowRunStore
from tests.watching.many_runs import Written, milliseconds, write

TRIALS = 25  # more than are looked at for the names of metrics
NOW = datetime.now(UTC)


def doctored(uri, store, experiment, metric):
    wanted = RunsWanted("search", experiment, (experiment,), Selection(), {metric: False}, None, False, True)
    return {each.name: each for each in check_mlflow(MlflowSection(tracking_uri=uri), [wanted], store, NOW)}


@pytest.fixture
def tuned(bench):
    """An experiment whose last run has more trials inside it than are looked at at first."""
    parent = bench.log(0.3, NOW - timedelta(hours=2))
    for _ in range(TRIALS):
        run_id = bench.log(None, NOW - timedelta(hours=1), tags={"mlflow.parentRunId": parent})
        bench.mlflow.log_metric(run_id, "trial_loss", 1.0)
    return bench


def test_the_doctor_sees_the_runs_behind_their_trials(tuned):
    store = MlflowRunStore(MlflowSection(tracking_uri=tuned.uri))
    said = doctored(tuned.uri, store, "search", "trial_loss")["metrics of search"]
    assert not said.ok
    assert "none of the 1 newest runs has trial_loss; they have ndcg" in said.said


@pytest.mark.parametrize("name", ["search", "'; DROP TABLE runs; [a]*? 名字 🚀"])
def test_init_offers_the_metrics_of_the_runs_that_will_be_judged(tuned, tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tuned.mlflow.rename_experiment(tuned.experiment("search"), name)
    answers = ("ndcg", "", "", "", "none", "none", "none")
    asked = ["init", "--mlflow", tuned.uri, "--experiment", name, "--every", "1h", "--no-replay"]
    done = CliRunner().invoke(app, asked, input="\n".join(answers) + "\n")
    assert "What its newest runs have logged: ndcg\n" in done.output
    (pipeline,) = tomllib.loads((tmp_path / "config.toml").read_text())["pipeline"].values()
    assert pipeline["experiment"] == name


def test_a_dry_run_says_that_nobody_is_configured_who_could_be_told_of_a_fall(bench, tmp_path):
    bench.log_row([0.3] * 10 + [0.2] * 2, NOW - timedelta(hours=1))
    (tmp_path / "config.toml").write_text(
        f'[mlflow]\ntracking_uri = "{bench.uri}"\n[pipeline.search]\nexperiment = "search"\n'
        '[pipeline.search.metrics.ndcg]\ndirection = "up"\n'
    )
    said = CliRunner().invoke(app, ["run", "search", "--dry-run", "--config", str(tmp_path / "config.toml")]).output
    assert "regressed" in said
    assert "whatever was found, as no tracker, wiki or chat is configured" in " ".join(said.split())


def test_the_doctor_reads_few_of_thousands_of_runs_to_say_which_was_the_last(bench):
    experiment_id = bench.experiment("search")
    times = [milliseconds(NOW - timedelta(minutes=30 * k)) for k in range(1, 2001)]
    write(bench.uri, [Written(experiment_id, end, end - 60_000, {"ndcg": 0.3}) for end in times])
    late = Written(experiment_id, milliseconds(NOW - timedelta(minutes=10)), milliseconds(NOW - timedelta(days=30)))
    write(bench.uri, [late])
    store = Counting(MlflowSection(tracking_uri=bench.uri))
    said = doctored(bench.uri, store, "search", "ndcg")["runs of search"]
    assert said.said.startswith(f"the last, {late.run_id[:8]}, ended 10\xa0min")
    assert store.given < 10


class Counting(MlflowRunStore):
    """Counts the runs that it gives to who asks for all since a moment."""

    given = 0

    def runs_since(self, *asked):
        for run in super().runs_since(*asked):
            self.given += 1
            yield run
