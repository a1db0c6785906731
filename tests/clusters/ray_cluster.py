"""A real Ray of one node, whose head can be killed and started anew."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import httpx
import psutil
import pytest
from pydantic import SecretStr

from bot.executors.ray.config import RaySection
from bot.executors.ray.executor import RayExecutor
from tests.clusters.daemons import PATIENCE, came, free_ports, kill, named_in, with_children

TOKEN = "a-token-of-these-tests-0123456789abcdef"
TRIES = 3
BOTH = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")


class RayCluster:
    kind = "ray"
    is_real = True

    def __init__(self) -> None:
        if importlib.util.find_spec("ray") is None:
            pytest.skip("ray is not installed: make ray does that")
        self.folder = Path(tempfile.mkdtemp(prefix="ray"))  # sockets lie in it: their paths may not be long
        (self.folder / "token").write_text(TOKEN)
        self._gcs, self._dashboard, self._agent = free_ports(3)
        self.section = RaySection(
            url=f"http://127.0.0.1:{self._dashboard}", token=SecretStr(TOKEN), workdir=str(self.folder)
        )

    def start(self) -> None:
        """Start a head, up to three times: on a busy machine a part of it may give another up that comes late."""
        for _ in range(TRIES):
            done = self._start_once()
            if done.returncode == 0 and came(self._takes_jobs, patience=PATIENCE / 2):
                return
            self.kill()
        raise AssertionError("no agent of Ray's takes jobs: " + done.stdout + done.stderr)

    def _start_once(self) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--disable-usage-stats"]
        command += ["--port", str(self._gcs), "--dashboard-host", "127.0.0.1"]
        command += ["--dashboard-port", str(self._dashboard), "--dashboard-agent-listen-port", str(self._agent)]
        command += ["--num-cpus", "2", "--num-gpus", "0", "--object-store-memory", "100000000"]
        calm = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.folder / "token"),
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        kept = {name: os.environ[name] for name in BOTH if name in os.environ}
        return subprocess.run(
            [*command, "--temp-dir", str(self.folder / "t")],
            env={**kept, **calm},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def _takes_jobs(self) -> bool:
        """Submit a job of no importance: the dashboard answers long before an agent is there to take one."""
        probe = {"submission_id": f"probe-{uuid.uuid4().hex}", "entrypoint": "true"}
        try:
            own = {"Authorization": f"Bearer {TOKEN}"}
            answer = httpx.post(f"http://127.0.0.1:{self._dashboard}/api/jobs/", headers=own, json=probe, timeout=30)
        except httpx.TransportError:
            return False
        return answer.status_code == 200

    def executor(self) -> RayExecutor:
        """Return what a Herald has that was just started."""
        return RayExecutor(self.section)

    def kill(self) -> None:
        """End the head and all that serves it at once, as a machine does that loses its power; not the jobs."""
        kill(each for each in with_children(named_in(self.folder / "t")) if _is_of_ray(each))

    def lose_jobs(self) -> None:
        """Kill the head, and start another that knows no job."""
        self.kill()
        self.start()

    def end(self) -> None:
        kill(with_children(named_in(self.folder)))
        shutil.rmtree(self.folder, ignore_errors=True)


def _is_of_ray(process) -> bool:
    try:
        words = process.cmdline()
    except psutil.Error:
        return False
    return any("ray" in word for word in words[:2]) or words[:1] == ["ray::IDLE"]
