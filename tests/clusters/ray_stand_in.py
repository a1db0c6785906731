"""What Ray's dashboard answered when it was asked, over jobs that are processes here: for tests that may not take long."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from threading import Lock

import psutil
from pydantic import SecretStr
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from bot.executors.ray.config import RaySection
from bot.executors.ray.executor import RayExecutor
from tests.clusters.daemons import kill

TOKEN = "a-token-of-these-tests"
EXISTS = """Traceback (most recent call last):
  File ".../ray/dashboard/modules/job/job_head.py", line 134, in _raise_error
    raise RuntimeError(f"Request failed with status code {status}: {error_text}.")
RuntimeError: Request failed with status code 400: Traceback (most recent call last):
  File ".../ray/dashboard/modules/job/job_manager.py", line 553, in submit_job
    raise ValueError(
ValueError: Job with submission_id NAME already exists. Please use a different submission_id.
.
"""
WAITS = "Job has not started yet. It may be waiting for resources (CPUs, GPUs, memory, custom resources) to become available."
TEXT = "text/plain; charset=utf-8"


@dataclass
class Started:
    submitted: dict
    log: Path
    begun: float
    process: subprocess.Popen[bytes] | None = None  # None while there is no room
    stopped: bool = False
    ended: float | None = None


@dataclass
class RayStandIn:
    kind = "ray"
    is_real = False
    cpus: int = 2
    jobs: dict[str, Started] = field(default_factory=dict)
    token: str = TOKEN
    busy: str = ""  # what Retry-After says while it takes nothing
    unmade: str = ""  # why the environment of a job cannot be made
    broken: str = ""  # how the next submission is cut off: before it is carried out, or after

    def __post_init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ray"))
        self._lock = Lock()
        self.server = HTTPServer(port=0)
        self.server.start()
        self.section = RaySection(url=self.server.url_for("/"), token=SecretStr(TOKEN), workdir=str(self.folder))

    def start(self) -> None:
        """Start the head, which knows nothing of those before it."""
        self.jobs, self.session = {}, f"session_{uuid.uuid4()}"
        self.server.clear()
        self.server.expect_request(re.compile("/.*")).respond_with_handler(self._answer)
        if not self.server.is_running():
            self.server.start()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Let nobody reach the head, which goes on."""
        self.server.stop()
        yield
        self.server.start()

    def lose(self, name: str) -> None:
        """End a job that nobody knows any more."""
        _end(self.jobs.pop(name))

    def kill(self) -> None:
        self.server.stop()
        for job in self.jobs.values():
            _end(job)

    def end(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def executor(self) -> RayExecutor:
        return RayExecutor(self.section, timedelta(seconds=0.1))

    def _answer(self, request: Request) -> Response:
        token = request.headers.get("Authorization")
        if token is None:
            return Response("Unauthorized: Missing authentication token", 401, content_type=TEXT)
        if self.busy:
            return Response("Too many requests", 429, {"Retry-After": self.busy}, content_type=TEXT)
        if token != f"Bearer {self.token}":
            return Response("Forbidden: Invalid authentication token", 403, content_type=TEXT)
        with self._lock:
            self._use_room()
            match request.method, request.path.strip("/").split("/")[1:]:
                case "GET", ["version"]:
                    return _json({"version": "4", "ray_version": "2.60.0", "session_name": self.session})
                case "GET", ["cluster_status"]:
                    nodes = [[{"CPU": float(self.cpus), "memory": 2e9}, 1]]
                    return _json({"data": {"clusterStatus": {"loadMetricsReport": {"nodeTypes": nodes}}}})
                case "POST", ["jobs"]:
                    return self._submit(request.get_json())
                case _, ["jobs", name, *rest]:
                    return self._of_job(name, rest)
        return Response("404: Not Found", 404, content_type=TEXT)

    def _submit(self, body: dict) -> Response:
        name, broken, self.broken = body["submission_id"], self.broken, ""
        if broken == "before":
            return Response("502 Bad Gateway", 502, content_type=TEXT)
        if name in self.jobs:
            return Response(EXISTS.replace("NAME", name), 500, content_type=TEXT)
        self.jobs[name] = Started(body, self.folder / f"job-driver-{name}.log", time.time())
        self._use_room()
        if broken == "after":
            return Response("502 Bad Gateway", 502, content_type=TEXT)
        return _json({"job_id": name, "submission_id": name})

    def _use_room(self) -> None:
        """Start what there is room for."""
        for job in self.jobs.values():
            if job.process is not None and job.process.poll() is not None and job.ended is None:
                job.ended = time.time()
        for name, job in self.jobs.items():
            taken = sum(
                each.submitted.get("entrypoint_num_cpus", 0)
                for each in self.jobs.values()
                if each.process is not None and each.process.poll() is None
            )
            if job.process is None and taken + job.submitted.get("entrypoint_num_cpus", 0) <= self.cpus:
                self._begin(name, job)

    def _begin(self, name: str, job: Started) -> None:
        with job.log.open("ab") as log:
            log.write(f"Running entrypoint for job {name}: {job.submitted['entrypoint']}\n".encode())
            log.flush()
            job.process = subprocess.Popen(
                job.submitted["entrypoint"],
                shell=True,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={"PATH": os.environ["PATH"], **_expanded(job.submitted["runtime_env"]["env_vars"])},
            )

    def _of_job(self, name: str, rest: list[str]) -> Response:
        job = self.jobs.get(name)
        if job is None:
            return Response(f"Job {name} does not exist", 404, content_type=TEXT)
        match rest:
            case ["logs"]:
                return _json({"logs": job.log.read_text(errors="replace") if job.log.exists() else ""})
            case ["stop"]:
                job.stopped = job.stopped or (job.process is not None and job.process.poll() is None)
                _end(job)
                return _json({"stopped": job.stopped})
        if self.unmade:
            failed = {"status": "FAILED", "error_type": "RUNTIME_ENV_SETUP_FAILURE", "message": self.unmade}
            return _json(_described(job) | failed | {"driver_exit_code": None})
        return _json(_described(job))


def _json(body: object) -> Response:
    return Response(json.dumps(body), content_type="application/json; charset=utf-8")


def _described(job: Started) -> dict:
    code = None if job.process is None else job.process.poll()
    status, message, kind = "RUNNING", "Job is currently running.", None
    if job.process is None:
        status, message = "PENDING", WAITS
    elif job.stopped:
        status, message, code = "STOPPED", "Job was intentionally stopped.", None
    elif code == 0:
        status, message = "SUCCEEDED", "Job finished successfully."
    elif code is not None:
        status, kind = "FAILED", "JOB_ENTRYPOINT_COMMAND_ERROR"
        message = (
            f"Job entrypoint command failed with exit code {code}, last available logs (truncated to 20,000 chars):\n"
        )
    return {
        "type": "SUBMISSION",
        "submission_id": job.submitted["submission_id"],
        "status": status,
        "message": message,
        "error_type": kind,
        "start_time": int(job.begun * 1000),
        "end_time": None if job.ended is None else int(job.ended * 1000),
        "metadata": job.submitted["metadata"],
        "driver_exit_code": code,
    }


def _expanded(variables: dict[str, str]) -> dict[str, str]:
    """Put the node's own variables in the place of their names, as Ray does."""
    return {name: re.sub(r"\$\{[A-Z0-9_]+\}", "", os.path.expandvars(value)) for name, value in variables.items()}


def _end(job: Started) -> None:
    if job.process is not None:
        with suppress(psutil.Error):
            leader = psutil.Process(job.process.pid)
            kill([leader, *leader.children(recursive=True)])
        job.process.wait()
