"""Serves MLflow's own pages over the demo's database, so that the report's links lead somewhere."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_GRACE_SECONDS = 10


@contextmanager
def mlflow_pages(folder: Path, port: int) -> Iterator[str]:
    """Run `mlflow server` over the folder's database until the block ends; yields its address."""
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", "sqlite:///mlflow.db"]
    command += ["--artifacts-destination", "artifacts", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HERALD_")},
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # its job workers would outlive it
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    with (folder / "mlflow-server.log").open("wb") as log:
        server = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            _end(server)


def _end(server: subprocess.Popen[bytes]) -> None:
    """End the server with its workers."""
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
    try:
        server.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()
