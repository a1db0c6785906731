"""The job of a pipeline that Herald runs itself: notes that it was started, works a while, and logs a run.

`python -m tests.storm.job FILE`. Speaks to MLflow over plain HTTP, since importing its client takes longer than the job.
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from bot.domain.job_protocol import FIRE_TAG

WORK_SECONDS = 2.0
PATIENCE = 60.0  # seconds, with a server that is away


def ask(path: str, **body: Any) -> Any:
    """Ask MLflow until it answers."""
    address = f"{os.environ['MLFLOW_TRACKING_URI']}/api/2.0/mlflow/{path}"
    data = json.dumps(body).encode()
    until = time.monotonic() + PATIENCE
    while True:
        try:
            request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.3)


def main() -> None:
    fire_id = os.environ["HERALD_FIRE_ID"]
    with Path(sys.argv[1]).open("a", encoding="utf-8") as note:
        note.write(f"{fire_id}\n")
    time.sleep(WORK_SECONDS)
    now = int(time.time() * 1000)
    tags = [{"key": FIRE_TAG, "value": fire_id}]
    run = ask("runs/create", experiment_id=sys.argv[2], start_time=now, run_name=fire_id[:12], tags=tags)["run"]
    run_id = run["info"]["run_id"]
    ask("runs/log-metric", run_id=run_id, key="ndcg", value=0.3, timestamp=now)
    ask("runs/update", run_id=run_id, status="FINISHED", end_time=int(time.time() * 1000))


if __name__ == "__main__":
    main()
