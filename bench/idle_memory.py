"""What memory a Herald takes that has nothing to do: `python bench/idle_memory.py`.

A real `herald serve` watches two pipelines whose runs are in an MLflow of SQLite, or behind a server of MLflow's, with
a tracker, a wiki and a chat configured. A minute after both have been judged its memory is read from the system: RSS,
of which private (what goes away with it), and its threads.

    python bench/idle_memory.py                    # an MLflow database
    python bench/idle_memory.py --server           # a server of MLflow's, which is started
    python bench/idle_memory.py --times 3 --http   # three at once, with pages

Ends with 1 where one takes more than 250 MB.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LARGEST = 250.0  # MB
PIPELINES = ("search", "similar")
RUNS = 8
IDLE_SECONDS = 60.0
LOG_RUNS = """
import sys
from mlflow import MlflowClient
client = MlflowClient(sys.argv[1])
for name in sys.argv[3:]:
    experiment = client.create_experiment(name, artifact_location=f"file://{sys.argv[2]}/artifacts")
    for number in range(%d):
        run = client.create_run(experiment).info.run_id
        client.log_metric(run, "ndcg", 0.30 + 0.001 * (number * 7 %% 5))
        client.set_terminated(run)
"""
CONFIGURATION = """
[mlflow]
tracking_uri = "{uri}"
[tracker.jira]
url = "http://127.0.0.1:1"
project = "SR"
[wiki.confluence]
url = "http://127.0.0.1:1"
space = "SR"
[chat.slack]
kind = "slack"
"""
PIPELINE = """
[pipeline.{name}]
experiment = "{name}"
tracker = "jira"
wiki = "confluence"
chat = "slack"
channel = "C1"
schedule = {{ every = "20s" }}
[pipeline.{name}.metrics.ndcg]
"""


def free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def running(folder: Path, name: str, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    secrets = {f"HERALD_{name}__TOKEN": "x" for name in ("TRACKER__JIRA", "WIKI__CONFLUENCE", "CHAT__SLACK")}
    env = {**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_DISABLE_TELEMETRY": "true"} | secrets
    with (folder / f"{name}.log").open("wb") as said:
        process = subprocess.Popen([sys.executable, *command], cwd=folder, env=env, stdout=said, stderr=said)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def answers(port: int) -> bool:
    with closing(socket.socket()) as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def judged(state: Path) -> bool:
    try:
        with closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True)) as reading:
            return bool(reading.execute("SELECT count(DISTINCT pipeline) FROM runs").fetchone()[0] == len(PIPELINES))
    except sqlite3.OperationalError:  # not there yet, or just written to
        return False


def wait_until(is_so: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise SystemExit(f"nothing came of it in {seconds:.0f} s")
        time.sleep(0.3)


def memory(pid: int) -> dict[str, float]:
    """Return what the system says of a process's memory, in MB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {name.rstrip(":"): int(size) / 1024 for name, size, *_ in map(str.split, lines)}


def measure(times: int, *, server: bool, pages: bool) -> list[float]:
    with tempfile.TemporaryDirectory(prefix="herald-memory-") as place, ExitStack() as beside:
        folder = Path(place)
        uri = f"sqlite:///{folder / 'mlflow.db'}"
        subprocess.run([sys.executable, "-c", LOG_RUNS % RUNS, uri, place, *PIPELINES], check=True, stderr=-3)
        if server:
            port = free_port()
            words = (
                "mlflow",
                "-m",
                "mlflow",
                "server",
                "--backend-store-uri",
                uri,
                "--port",
                str(port),
                "--workers",
                "1",
            )
            beside.enter_context(running(folder, *words))
            wait_until(lambda: answers(port))
            uri = f"http://127.0.0.1:{port}"
        text = CONFIGURATION.format(uri=uri) + "".join(PIPELINE.format(name=name) for name in PIPELINES)
        heralds = []
        for number in range(times):
            home = folder / str(number)
            home.mkdir()
            (home / "config.toml").write_text(text)
            words = ("herald", "-c", "from bot.cli.main import main; main()", "serve")
            more = ("--http", f"127.0.0.1:{free_port()}") if pages else ()
            heralds.append((home, beside.enter_context(running(home, *words, *more))))
        for home, _ in heralds:
            wait_until(lambda home=home: judged(home / "herald.db"))
        time.sleep(IDLE_SECONDS)
        return [told(herald.pid) for _, herald in heralds]


def told(pid: int) -> float:
    found, threads = memory(pid), len(list(Path(f"/proc/{pid}/task").iterdir()))
    private = found["Private_Clean"] + found["Private_Dirty"]
    print(f"RSS {found['Rss']:.0f} MB (PSS {found['Pss']:.0f}, private {private:.0f}), {threads} threads", flush=True)
    return found["Rss"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=1, metavar="N", help="so many at once, each with its own state")
    parser.add_argument("--server", action="store_true", help="read runs from a server of MLflow's")
    parser.add_argument("--http", action="store_true", help="with pages")
    given = parser.parse_args()
    return 1 if max(measure(given.times, server=given.server, pages=given.http)) > LARGEST else 0


if __name__ == "__main__":
    sys.exit(main())
