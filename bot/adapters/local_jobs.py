"""Runs jobs as processes of this machine, in groups of their own, so that they outlive Herald and end as a whole."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from bot.errors import JobError
from bot.ports import Job, JobState, JobStatus

# Only the first shell to claim the folder runs the command, so that starting twice is harmless. It writes down who it
# is and how its command ended, so that a Herald started later can tell.
_WRAPPER = """
mkdir "$0/claimed" 2> /dev/null || exit 0
echo $$ > "$0/pid.part" && mv "$0/pid.part" "$0/pid"
"$@" > "$0/log" 2>&1 < /dev/null
echo $? > "$0/exit.part" && mv "$0/exit.part" "$0/exit"
"""
_CLOCK_TICKS = 2.0  # seconds between a process's start and its note that still mean the same process
_GRACE_SECONDS = 10.0  # between asking a job to end and ending it
_TIMEOUT_MARK = "timeout"
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")


class LocalExecutor:
    """Starts jobs on this machine and finds them again by their folders."""

    def __init__(self) -> None:
        self._shells: dict[str, subprocess.Popen[bytes]] = {}  # those of this process, by fire

    def start(self, job: Job) -> None:
        if (job.folder / "claimed").exists():
            return
        try:
            job.folder.mkdir(parents=True, exist_ok=True)
            self._shells[job.fire_id] = subprocess.Popen(
                ["/bin/sh", "-c", _WRAPPER, str(job.folder.resolve()), *job.command],
                cwd=job.cwd,
                env=_environment(job),
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            raise JobError(f"job {job.fire_id}: cannot be started in {job.cwd}: {error}") from error

    def poll(self, job: Job) -> JobStatus:
        shell = self._shells.get(job.fire_id)
        shell_ended = shell is None or shell.poll() is not None
        timed_out = (job.folder / _TIMEOUT_MARK).exists()
        process = _living(job)
        if process is not None and time.time() - process.create_time() > job.timeout.total_seconds():
            (job.folder / _TIMEOUT_MARK).touch()
            self.stop(job)
            return JobStatus(JobState.ENDED, _read_number(job.folder / "exit"), timed_out=True)
        if process is not None or not shell_ended or _is_being_claimed(job):
            return JobStatus(JobState.RUNNING)
        exit_code = _read_number(job.folder / "exit")
        ended = exit_code is not None or timed_out
        return JobStatus(JobState.ENDED if ended else JobState.LOST, exit_code, timed_out=timed_out)

    def stop(self, job: Job) -> None:
        process = _living(job)
        if process is None:
            return
        with suppress(psutil.NoSuchProcess):
            tree = [process, *process.children(recursive=True)]
            _signal_all(process.pid, tree, signal.SIGTERM)
            _, alive = psutil.wait_procs(tree, timeout=_GRACE_SECONDS)
            _signal_all(process.pid, alive, signal.SIGKILL)
            psutil.wait_procs(alive, timeout=_GRACE_SECONDS)

    def log_path(self, job: Job) -> Path:
        path = job.folder / "log"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return path


def _environment(job: Job) -> dict[str, str]:
    """Pass on what a program needs to run, MLflow's own settings, and what config names; no secret of Herald's."""
    inherited = {name: os.environ[name] for name in _KEPT if name in os.environ}
    inherited |= {name: value for name, value in os.environ.items() if name.startswith(("MLFLOW_", "OMP_", "PYTHON"))}
    return {**inherited, **job.environment}


def _signal_all(group: int, tree: Sequence[psutil.Process], number: signal.Signals) -> None:
    """Send a signal to a group of processes, and to those of the tree that left the group."""
    with suppress(ProcessLookupError):
        os.killpg(group, number)
    for process in tree:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _living(job: Job) -> psutil.Process | None:
    """Return the job's shell if it is alive; a process that took over its number does not count."""
    note = job.folder / "pid"
    pid = _read_number(note)
    if pid is None:
        return None
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE or process.create_time() > note.stat().st_mtime + _CLOCK_TICKS:
            return None
    except psutil.NoSuchProcess:
        return None
    return process


def _is_being_claimed(job: Job) -> bool:
    """Say whether a shell has claimed the folder just now and not yet written who it is."""
    try:
        age = time.time() - (job.folder / "claimed").stat().st_mtime
    except FileNotFoundError:
        return False
    return not (job.folder / "pid").exists() and age < _GRACE_SECONDS


def _read_number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except FileNotFoundError:
        return None
    return int(text) if text.lstrip("-").isdigit() else None
