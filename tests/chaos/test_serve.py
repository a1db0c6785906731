"""`herald serve` with real processes: killed at any step, stopped, and told to read its configuration anew."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from bot.domain.fires import FireState
from bot.store import Database, fires

ROOT = Path(__file__).parents[2]
PATIENCE = 60

pytestmark = pytest.mark.slow


def wait_for(what, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.1)
    return found


@pytest.fixture
def started():
    """Start processes that do not outlive the test."""
    begun: list[subprocess.Popen] = []

    def start(*words, cwd=ROOT, log=subprocess.DEVNULL):
        process = subprocess.Popen([sys.executable, *words], cwd=cwd, stdout=log, stderr=log)
        begun.append(process)
        return process

    yield start
    for process in begun:
        process.kill()
        process.wait()


@pytest.mark.parametrize("kills", [3, pytest.param(40, marks=pytest.mark.long)])
def test_killed_at_any_step_every_fire_has_its_job_once(tmp_path, started, kills):
    chance = random.Random(7)
    for _ in range(kills):
        serving = started("-m", "tests.chaos.serving", str(tmp_path), str(chance.randint(1, 60)))
        assert serving.wait(PATIENCE) == -signal.SIGKILL
    serving = started("-m", "tests.chaos.serving", str(tmp_path), "0")
    before = len((tmp_path / "runs").read_text().splitlines())
    wait_for(lambda: len((tmp_path / "runs").read_text().splitlines()) > before + 3)
    serving.send_signal(signal.SIGTERM)
    assert serving.wait(PATIENCE) == 0
    logged = Counter(line.split()[0] for line in (tmp_path / "runs").read_text().splitlines())
    database = Database(f"sqlite:///{tmp_path}/state.db")
    with database.begin() as tx:
        told = {name: fires.of_pipeline(tx, name) for name in ("often", "later")}
    database.close()
    found = [fire for each in told.values() for fire in each]
    assert set(logged.values()) == {1}
    assert {fire.state for fire in found} <= {FireState.ENDED, FireState.DUE}
    assert len({(fire.pipeline, fire.due_at) for fire in found}) == len(found)
    assert {fire.fire_id for fire in found if fire.state is FireState.ENDED} <= set(logged)
    assert all(fire.due_at.timestamp() % 2 == 0 for fire in told["often"])
    assert len(told["often"]) > 2
    assert told["later"]


CONFIG = """
[mlflow]
tracking_uri = "sqlite:///mlflow.db"
[pipeline.long]
experiment = "long"
schedule = { every = "1s" }
[pipeline.long.job]
command = ["sh", "-c", "sleep 300 & sleep 300"]
[pipeline.long.metrics.ndcg]
"""


def test_signals_reload_stop_adopt_and_end_jobs(tmp_path, started):
    config, log = tmp_path / "config.toml", tmp_path / "log"
    config.write_text(CONFIG)
    command = ["-c", "from bot.cli.main import main; main()", "serve", "--config", str(config)]
    with log.open("w") as out:
        herald = started(*command, log=out)
        note = wait_for(lambda: next(iter(tmp_path.glob("jobs/long/*/pid")), None))
        job = psutil.Process(int(note.read_text()))
        tree = wait_for(lambda: [job, *job.children(recursive=True)] if len(job.children(recursive=True)) > 2 else None)
        config.write_text(CONFIG.replace("every", "evry"))
        herald.send_signal(signal.SIGHUP)
        wait_for(lambda: "did you mean 'every'?" in log.read_text())
        config.write_text(
            CONFIG + CONFIG[CONFIG.index("[pipeline.long]") :].replace("long", "new").replace("sleep", "true")
        )
        herald.send_signal(signal.SIGHUP)
        wait_for(lambda: list(tmp_path.glob("jobs/new/*/exit")))
        herald.send_signal(signal.SIGTERM)
        assert herald.wait(PATIENCE) == 0
        assert all(process.is_running() for process in tree)

        herald = started(*command, "--stop-jobs", log=out)
        wait_for(lambda: log.read_text().count("serving") == 2)
        herald.send_signal(signal.SIGTERM)
        assert herald.wait(PATIENCE) == 0
    _, alive = psutil.wait_procs(tree, timeout=5)
    assert alive == []
    assert len(list(tmp_path.glob("jobs/long/*"))) == 1
    assert "Traceback" not in log.read_text(), log.read_text()
    database = Database(f"sqlite:///{tmp_path}/herald.db")
    with database.begin() as tx:
        assert [fire.state for fire in fires.of_pipeline(tx, "long")] == [FireState.STOPPED]
    database.close()
