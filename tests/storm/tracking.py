"""A real MLflow server, and the hand that logs runs to it while the storm is on."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import httpx

from tests.storm.house import JOB, METRIC

_START_SECONDS = 90
_GOOD, _FALLEN, _IMPOSSIBLE = 0.30, 0.24, 1.5
_FIRST_GOOD = 5


class Says(StrEnum):
    """What a run is to say."""

    GOOD = "good"
    FALLEN = "fallen"
    IMPOSSIBLE = "impossible"  # a value out of bounds
    POISONED = "poisoned"  # good, with an artifact that cannot be read
    FAILED = "failed"  # it never got to its end: nobody's business where a pipeline only watches


@dataclass(frozen=True)
class Planned:
    """The runs of one pipeline, in order, and how many incidents people must hear of."""

    pipeline: str
    runs: tuple[Says, ...]
    filed: int


def plan_runs(seed: int, pipeline: str, count: int, *, poison: bool = True) -> Planned:
    """Draw falls that two runs or more confirm, recoveries, single dips, impossible values, poison, and failures."""
    chance = random.Random(f"{seed}:{pipeline}")
    runs, filed = [Says.GOOD] * _FIRST_GOOD, 0
    while len(runs) < count:
        match chance.choice((Says.FALLEN, Says.FALLEN, Says.FALLEN, Says.IMPOSSIBLE, Says.GOOD)):
            case Says.FALLEN:
                runs += [Says.FALLEN] * chance.randint(2, 4)
                filed += 1
            case Says.IMPOSSIBLE:
                runs += [Says.IMPOSSIBLE] * chance.randint(1, 2)
                filed += 1
            case _:
                runs += [Says.FALLEN]  # a dip that does not come again
        rare = Says.POISONED if poison else Says.GOOD
        runs += [chance.choice((Says.GOOD, Says.GOOD, Says.GOOD, rare)) for _ in range(chance.randint(3, 4))]
        if chance.random() < 0.3:
            runs.append(Says.FAILED)
    return Planned(pipeline, tuple(runs), filed)


class TrackingServer:
    """`mlflow server` as a process of its own, that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--port", str(self._port), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{self._folder / 'mlflow.db'}"]
        command += ["--artifacts-destination", str(self._folder / "artifacts")]
        calm = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        log = self._folder / "mlflow.log"
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                command, stdout=out, stderr=out, env={**os.environ, **calm}, start_new_session=True
            )
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(httpx.TransportError):
                if httpx.get(f"{self.uri}/health").status_code == 200:
                    return
            time.sleep(0.2)
        raise RuntimeError(f"MLflow did not start:\n{log.read_text()[-2000:]}")

    def kill(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def restart(self) -> None:
        self.kill()
        self.start()


@dataclass
class Writer:
    """Logs runs, one after the other; knows how to wait while the server is away."""

    server: TrackingServer
    planned: Sequence[Planned]
    seconds: float  # over which they are spread
    hand: threading.Lock = field(default_factory=threading.Lock)  # held while a run is logged
    logged: int = 0
    finished: list[str] = field(default_factory=list)  # ids of those that ended well

    def __post_init__(self) -> None:
        os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}
        from mlflow import MlflowClient

        self._client: Any = MlflowClient(tracking_uri=self.server.uri)
        names = (*(each.pipeline for each in self.planned), JOB)
        self.experiments = {name: str(self._client.create_experiment(name)) for name in names}
        self._left = self._in_turn()

    @property
    def total(self) -> int:
        return sum(len(each.runs) for each in self.planned)

    def write(self, hurry: threading.Event) -> None:
        """Log all of them, one of each pipeline in turn, at an even pace until told to hurry."""
        pause = self.seconds / max(self.total, 1)
        for pipeline, number, says in self._left:
            began = time.monotonic()
            with self.hand:
                self._log(pipeline, number, says)
            self.logged += 1
            hurry.wait(max(0.0, pause - (time.monotonic() - began)))

    def _in_turn(self) -> Iterator[tuple[str, int, Says]]:
        longest = max((len(each.runs) for each in self.planned), default=0)
        for number in range(longest):
            yield from ((each.pipeline, number, each.runs[number]) for each in self.planned if number < len(each.runs))

    def _log(self, pipeline: str, number: int, says: Says) -> None:
        now = int(time.time() * 1000)
        run = self._client.create_run(self.experiments[pipeline], start_time=now, run_name=f"{pipeline}-{number:03d}")
        run_id = str(run.info.run_id)
        value = {Says.FALLEN: _FALLEN, Says.IMPOSSIBLE: _IMPOSSIBLE}.get(says, _GOOD)
        self._client.log_metric(run_id, METRIC, value + 0.001 * ((number * 7) % 5 - 2))
        self._client.log_param(run_id, "seed", str(number))
        card = (
            '{"catalogue_size": 1000, "rows_in": 10' if says is Says.POISONED else json.dumps({"catalogue_size": 1000})
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "data_card.json"
            path.write_text(card)
            self._client.log_artifact(run_id, str(path))
        status = "FAILED" if says is Says.FAILED else "FINISHED"
        self._client.set_terminated(run_id, status, int(time.time() * 1000))
        if status == "FINISHED":
            self.finished.append(run_id)
