"""`herald run` with a job on a real cluster and a real MLflow server: killed, adopted, lost and yet believed."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pytest

from tests.clusters.daemons import wait_for
from tests.storm.tracking import TrackingServer

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
FIT = """
import os, sys, time
from pathlib import Path
import mlflow
folder = Path(sys.argv[1])
(folder / "begun").write_text(os.environ["HERALD_FIRE_ID"])
with mlflow.start_run(tags={"herald.fire_id": os.environ["HERALD_FIRE_ID"]}):
    mlflow.log_metric("ndcg", 0.5 + int(os.environ["HERALD_SEED"]) % 7 / 1000)
    mlflow.log_param("sees_secrets", any("s3cret" in value for value in os.environ.values()))
(folder / "logged").touch()
print("the last line of the job")
time.sleep(float(sys.argv[2]))
sys.exit(int(sys.argv[3]))
"""
CONFIG = """
[mlflow]
tracking_uri = "{uri}"

[executor.cluster]
kind = "{kind}"
look_every = "1s"
workdir = "{folder}"
{more}

[pipeline.nightly]
experiment = "{experiment}"

[pipeline.nightly.metrics.ndcg]

[pipeline.nightly.job]
command = ["{python}", "fit.py", "{folder}", "{seconds}", "{code}"]
executor = "cluster"
timeout = "10m"
retry = 0
{job}
"""


@pytest.fixture(autouse=True)
def only_real(cluster):
    if not cluster.is_real:
        pytest.skip("with stand-ins it would show nothing more than their own tests")


@pytest.fixture(scope="module")
def tracking(tmp_path_factory, mlflow_file):
    folder = tmp_path_factory.mktemp("tracking")
    (folder / "mlflow.db").write_bytes(mlflow_file.read_bytes())
    server = TrackingServer(folder)
    server.start()
    yield server
    server.kill()


class Team:
    """A Herald of a folder of its own, that runs one pipeline on the cluster."""

    def __init__(self, cluster, tracking, folder: Path, *, seconds: float = 0, code: int = 0, job: str = "") -> None:
        self.cluster, self.folder, self.experiment = cluster, folder, folder.name
        (cluster.folder / "fit.py").write_text(FIT)
        for name in ("begun", "logged"):
            (cluster.folder / name).unlink(missing_ok=True)
        ray = cluster.kind == "ray"
        more = f'url = "{cluster.section.base}"' if ray else f'logs = "{cluster.section.logs}"'
        names = {"uri": tracking.uri, "kind": cluster.kind, "folder": cluster.folder, "more": more, "job": job}
        names |= {"python": sys.executable, "seconds": seconds, "code": code, "experiment": self.experiment}
        (folder / "config.toml").write_text(CONFIG.format(**names))
        token = {"HERALD_EXECUTOR__CLUSTER__TOKEN": cluster.section.token.get_secret_value()} if ray else {}
        self.environment = {**os.environ, **token, "HERALD_TRACKER__JIRA__TOKEN": "s3cret", "NO_COLOR": "1"}
        self.uri = tracking.uri

    def herald(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", "from bot.cli.main import app; app()", *words],
            cwd=self.folder,
            env={**self.environment, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def say(self, *words: str) -> str:
        return self.herald(*words).communicate(timeout=240)[0]

    def fires(self) -> list[tuple]:
        with sqlite3.connect(self.folder / "herald.db") as state:
            return state.execute("SELECT fire_id, state, exit_code, executor FROM fires ORDER BY due_at").fetchall()

    def runs(self) -> list:
        client = mlflow.MlflowClient(self.uri)
        experiment = client.get_experiment_by_name(self.experiment)
        return [] if experiment is None else client.search_runs([experiment.experiment_id])

    def has(self, name: str) -> bool:
        return (self.cluster.folder / name).exists()


def test_a_run_on_a_cluster_is_judged_and_its_log_lies_beside_it(cluster, tracking, tmp_path):
    team = Team(cluster, tracking, tmp_path)
    said = team.say("run", "nightly")
    [(fire, state, code, executor)] = team.fires()
    assert (state, code, executor) == ("ended", 0, "cluster"), said
    [run] = team.runs()
    assert run.data.tags["herald.fire_id"] == fire
    assert run.data.params["sees_secrets"] == "False"
    [log] = [each.path for each in mlflow.MlflowClient(tracking.uri).list_artifacts(run.info.run_id) if each.path]
    assert "the last line of the job" in (tmp_path / "jobs" / "nightly" / fire / "log").read_text(), log


def test_a_job_whose_herald_was_killed_is_gone_on_with_by_the_next(cluster, tracking, tmp_path):
    team = Team(cluster, tracking, tmp_path, seconds=8)
    first = team.herald("run", "nightly")
    wait_for(lambda: team.has("begun"), "the job")
    first.send_signal(signal.SIGKILL)
    first.communicate()
    said = team.say("run", "nightly")
    by_fire = [run.data.tags["herald.fire_id"] for run in team.runs()]
    assert len(by_fire) == len(set(by_fire)), said
    assert {fire for fire, *_ in team.fires()} == set(by_fire)
    assert {state for _, state, *_ in team.fires()} == {"ended"}, said


def test_a_job_that_fails_leaves_its_log_in_its_folder_here(cluster, tracking, tmp_path):
    team = Team(cluster, tracking, tmp_path, code=3)
    said = team.say("run", "nightly")
    [(fire, state, code, _)] = team.fires()
    assert (state, code) == ("failed", 3), said
    assert "the last line of the job" in (tmp_path / "jobs" / "nightly" / fire / "log").read_text()


def test_a_job_that_is_lost_after_its_run_was_finished_is_believed(cluster, tracking, tmp_path):
    """Ray's head is killed and started anew; Slurm's node fails."""
    team = Team(cluster, tracking, tmp_path, seconds=60)
    herald = team.herald("run", "nightly")
    wait_for(lambda: team.has("logged"), "the run")
    wait_for(lambda: [run.info.status for run in team.runs()] == ["FINISHED"], "its end")
    time.sleep(2)  # in which Herald looks
    cluster.lose_jobs()
    said = herald.communicate(timeout=240)[0]
    [(_, state, code, _)] = team.fires()
    assert (state, code) == ("ended", None), said
    assert len(team.runs()) == 1


def test_the_doctor_says_what_is_more_than_the_cluster_has(cluster, tracking, tmp_path):
    said = " ".join(Team(cluster, tracking, tmp_path, job="cpus = 64").say("doctor").split())
    says_ray, says_slurm = "no node has what they ask for, 64 CPU: at most 2 CPU", "node configuration is not available"
    assert (says_ray if cluster.kind == "ray" else says_slurm) in said


def test_the_doctor_says_who_is_away(cluster, tracking, tmp_path):
    team = Team(cluster, tracking, tmp_path)
    said = " ".join(team.say("doctor").split())
    assert ("answers: Ray 2.60" if cluster.kind == "ray" else "Slurm would take them") in said
    wrong = {"HERALD_EXECUTOR__CLUSTER__TOKEN": "wrong"} if cluster.kind == "ray" else {"SLURM_CONF": "/nowhere"}
    team.environment |= wrong
    said = " ".join(team.say("doctor").split())
    assert ("refuses who asks (403)" if cluster.kind == "ray" else "Let this host (or the one that ssh names)") in said
