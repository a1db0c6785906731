"""A Herald that has loaded nothing yet: many pipelines begin at once, and what their threads need is there before them."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox import RunningSandbox, serve
from tests.watching.bench import BAD, GOOD, Bench

ROOT = Path(__file__).parents[2]
PIPELINES = 20
PATIENCE = 240  # seconds, on a machine with much else to do
_MOST_LINES = 1000
# What threads import themselves, written down when the process ends.
_WATCHED = """
import atexit, json, sys, threading
met = []
def hear(event, details):
    if event == "import" and threading.get_ident() != threading.main_thread().ident:
        met.append((threading.current_thread().name, details[0]))
sys.addaudithook(hear)
atexit.register(lambda: json.dump([each for each in met if each[1] in sys.modules], open("met", "w")))
"""
_TOGETHER = """
import sys, threading, time
from bot.services.mlflow.run_store import MlflowRunStore
from bot.services.mlflow.config import MlflowSection

def look(number):
    found.append([each.name for each in MlflowRunStore(MlflowSection(tracking_uri=sys.argv[1])).experiments(("search",))])

found = []
threads = [threading.Thread(target=look, args=(number,)) for number in range(6)]
for thread in threads:
    thread.start()
    time.sleep(0.3)
for thread in threads:
    thread.join()
assert found == [["search"]] * 6, found
"""


@pytest.mark.slow
def test_threads_that_are_the_first_to_read_runs_all_read_them(bench: Bench):
    bench.log(GOOD, bench.now())
    subprocess.run([sys.executable, "-c", _TOGETHER, bench.uri], cwd=ROOT, timeout=PATIENCE, check=True)


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[RunningSandbox]:
    with serve(tmp_path / "sandbox.db") as running:
        yield running


def configure(bench: Bench, sandbox: RunningSandbox) -> tuple[str, dict[str, str]]:
    """Return a configuration of many pipelines that watch one experiment and tell every service, and its secrets."""
    where = (
        ("jira", "cloud", "slack"),
        ("jiradc", "dc", "hook"),
        ("trello", "cloud", "slack"),
    )
    text = f"""
[mlflow]
tracking_uri = "{bench.uri}"
[tracker.jira]
url = "{sandbox.jira_cloud_url}"
email = "{sandbox.email}"
project = "{sandbox.project_key}"
[tracker.jiradc]
url = "{sandbox.jira_datacenter_url}"
deployment = "datacenter"
project = "{sandbox.project_key}"
[tracker.trello]
kind = "trello"
url = "{sandbox.trello_url}"
board = "{sandbox.board_id}"
[wiki.cloud]
url = "{sandbox.confluence_cloud_url}"
email = "{sandbox.email}"
space = "{sandbox.space_key}"
[wiki.dc]
url = "{sandbox.confluence_datacenter_url}"
deployment = "datacenter"
space = "{sandbox.space_key}"
[chat.slack]
kind = "slack"
url = "{sandbox.slack_url}"
charts = true
replies = true
[chat.hook]
kind = "webhook"
[dead_man]
every = "1s"
[digest]
schedule = {{ every = "1s" }}
chat = "slack"
channel = "{sandbox.channel_id}"
wiki = "cloud"
"""
    for number in range(PIPELINES):
        told = ""
        if number < len(where):
            tracker, wiki, chat = where[number]
            channel = sandbox.channel_id if chat == "slack" else "#quality"
            told = f'tracker = "{tracker}"\nwiki = "{wiki}"\nchat = "{chat}"\nchannel = "{channel}"\n'
        text += f"""
[pipeline.p{number}]
experiment = "search"
{told}schedule = {{ every = "5s" }}
[pipeline.p{number}.metrics.ndcg]
"""
    secrets = {
        "HERALD_TRACKER__JIRA__TOKEN": sandbox.api_token,
        "HERALD_TRACKER__JIRADC__TOKEN": sandbox.bearer_token,
        "HERALD_TRACKER__TRELLO__KEY": sandbox.trello_key,
        "HERALD_TRACKER__TRELLO__TOKEN": sandbox.trello_token,
        "HERALD_WIKI__CLOUD__TOKEN": sandbox.api_token,
        "HERALD_WIKI__DC__TOKEN": sandbox.bearer_token,
        "HERALD_CHAT__SLACK__TOKEN": sandbox.slack_token,
        "HERALD_CHAT__HOOK__WEBHOOK_URL": sandbox.slack_webhook_url,
        "HERALD_DEAD_MAN__URL": f"{sandbox.slack_url}api.test",
    }
    return text, secrets


def count(state: Path, query: str) -> Any:
    try:
        with sqlite3.connect(f"file:{state}?mode=ro", uri=True) as reading:
            return reading.execute(query).fetchone()[0]
    except sqlite3.OperationalError:  # not there yet, or just written to
        return 0


@pytest.mark.slow
def test_twenty_pipelines_that_begin_at_once_are_all_judged_and_one_thread_imports_all_before_they_do(
    bench: Bench, sandbox: RunningSandbox, tmp_path: Path
):
    bench.log_row([GOOD] * 4 + [BAD] * 2, bench.now() - timedelta(hours=1))
    add_artifacts(bench)
    text, secrets = configure(bench, sandbox)
    (tmp_path / "config.toml").write_text(text)
    code = f"{_WATCHED}\nfrom bot.cli.main import main; main()"
    state = tmp_path / "herald.db"
    with (tmp_path / "log").open("w") as log:
        herald = subprocess.Popen(
            [sys.executable, "-c", code, "serve", "--config", str(tmp_path / "config.toml")],
            cwd=tmp_path,
            env={**os.environ, **secrets, "PYTHONPATH": str(ROOT)},
            stderr=log,
        )
        try:
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline and herald.poll() is None:
                judged = count(state, "SELECT count(DISTINCT pipeline) FROM runs")
                owed = count(
                    state, "SELECT count(*) FROM outbox WHERE state != 'delivered' AND kind NOT LIKE '%digest%'"
                )
                if judged == PIPELINES and not owed:
                    break
                time.sleep(0.3)
            herald.send_signal(signal.SIGTERM)
            assert herald.wait(60) == 0
        finally:
            herald.kill()
            herald.wait()
    told = (tmp_path / "log").read_text()
    assert (judged, owed) == (PIPELINES, 0), told[-3000:]
    assert count(state, "SELECT count(*) FROM outbox WHERE kind NOT LIKE '%digest%'") > 20
    met = json.loads((tmp_path / "met").read_text())
    assert {thread for thread, _ in met} == {"loading"}
    assert "matplotlib.figure" in {name for _, name in met}  # once there was something to draw
    assert "pandas" not in {name for _, name in met}
    assert "error" not in told
    assert len(told.splitlines()) < _MOST_LINES


def add_artifacts(bench: Bench) -> None:
    """Give the newest run a data card and a per-example table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (newest, *_) = bench.mlflow.search_runs([bench.experiment("search")], order_by=["attributes.end_time DESC"])
    card, table = bench.folder / "data_card.json", bench.folder / "per_example.parquet"
    card.write_text('{"rows": 3}')
    pq.write_table(pa.table({"example_id": ["a", "b", "c"], "ndcg": [0.2, 0.3, 0.2]}), table)
    for path in (card, table):
        bench.mlflow.log_artifact(newest.info.run_id, str(path))
