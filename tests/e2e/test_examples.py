"""Programs that know nothing of Herald are jobs as good as any: their drop is ticketed like any other."""

import importlib.util
import sys
from datetime import UTC, datetime
from pathlib import Path
from shutil import copyfile

import pytest

from bot.app import make_herald
from bot.config.file import load_config
from bot.sandbox import serve

EXAMPLES = Path(__file__).parents[2] / "examples"
HEALTHY, BROKEN = 0, 5  # rows of each picture that are left out

SERVICES = """
[tracker.jira]
url = "{jira}"
email = "{email}"
project = "{project}"
search_lag = "1s"
"""


@pytest.fixture
def sandbox(tmp_path, monkeypatch):
    with serve(tmp_path / "sandbox.db") as running:
        monkeypatch.setenv("HERALD_TRACKER__JIRA__TOKEN", running.api_token)
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        yield running


def run_once(folder: Path, sandbox, example: str, blank_rows: int) -> list[str]:
    """Run one cycle of the example's own configuration, with a tracker added; return what was found."""
    text = (EXAMPLES / example / "config.toml").read_text()
    text = text.replace('"python"', f'"{sys.executable}"').replace('"train.py"', f'"{EXAMPLES / example / "train.py"}"')
    text = text.replace('"{seed}"]', f'"{{seed}}", "--blank-rows", "{blank_rows}"]')
    text = text.replace('title = "Digit recognition"', 'title = "Digit recognition"\ntracker = "jira"')
    text += SERVICES.format(jira=sandbox.jira_cloud_url, email=sandbox.email, project=sandbox.project_key)
    (folder / "config.toml").write_text(text)
    herald = make_herald(load_config(folder / "config.toml"), folder)
    report = herald.cycle("digits").run(datetime.now(UTC))
    assert herald.dispatcher.drain().failures == []
    herald.database.close()
    return [judged.outcome for judged in report.judged]


def log_again(folder: Path, *differences: float) -> None:
    """Log the run that is there once more, as other seeds would have come out: a script's start takes many seconds."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("digits").experiment_id
    (first,) = client.search_runs([experiment])
    for difference in differences:
        run_id = client.create_run(experiment).info.run_id
        client.log_metric(run_id, "test_accuracy", first.data.metrics["test_accuracy"] + difference)
        client.set_terminated(run_id)


@pytest.mark.long
@pytest.mark.parametrize("example", ["keras_job", "sklearn_job"])
def test_the_drop_of_a_plain_script_is_ticketed(example, sandbox, mlflow_file, tmp_path):
    if example == "keras_job" and importlib.util.find_spec("keras") is None:
        pytest.skip("needs keras")
    copyfile(mlflow_file, tmp_path / "mlflow.db")
    found = run_once(tmp_path, sandbox, example, HEALTHY)
    log_again(tmp_path, 0.004, -0.003)
    *before, last = run_once(tmp_path, sandbox, example, BROKEN)
    assert {*found, *before} & {"failed", "invalid", "suspicious", "regressed"} == set()
    assert last == "regressed", "a rerun has shown it again"
    import httpx

    api = httpx.Client(base_url=sandbox.jira_cloud_url, auth=(sandbox.email, sandbox.api_token))
    with api:
        fields = api.get("/rest/api/2/issue/SR-1").json()["fields"]
    assert "Accuracy on unseen digits fell by" in fields["summary"].replace("\u2060", "")
