"""Runs jobs as processes of this machine, in groups of their own, so that they outlive Herald and end as a whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from bot.errors import JobError
from bot.job_logs import make_room
from bot.ports import Job, JobState, JobStatus

# Only the first shell to claim the folder runs the command, so that starting twice is harmless. It writes down who it
# is and how its command ended, so that a Herald started later can tell.
_WRAPPER = """
mkdir "$0/claimed" 2> /dev/null || exit 0
echo $$ > "$0/pid.part" && mv "$0/pid.part" "$0/pid"
"$@" > "$0/log" 2>&1 < /dev/null
echo $? > "$0/exit.part" && mv "$0/exit.part" "$0/exit"
"""
# Becomes that shell, with the limits that config sets: bytes a process (or -), then processors (or -).
_LIMITER = """
import os, resource, sys
memory, cpus = sys.argv[1:3]
if memory != "-":
    resource.setrlimit(resource.RLIMIT_DATA, (int(memory), int(memory)))
if cpus != "-":
    os.sched_setaffinity(0, [int(cpu) for cpu in cpus.split(",")])
os.execv("/bin/sh", ["/bin/sh", "-c", *sys.argv[3:]])
"""
_CLOCK_TICKS = 2.0  # seconds between a process's start and its note that still mean the same process
_GRACE_SECONDS = 10.0  # between asking a job to end and ending it
_TIMEOUT_MARK = "timeout"
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")


class LocalExecutor:
    """Starts jobs on this machine and finds them again by their folders."""

    def __init__(self) -> None:
        self._shells: dict[str, subprocess.Popen[bytes]] = {}  # those of this process, by fire
        self._next_processor = 0

    def start(self, job: Job) -> None:
        if (job.folder / "claimed").exists():
            return
        try:
            job.folder.mkdir(parents=True, exist_ok=True)
            self._shells[job.fire_id] = subprocess.Popen(
                [*self._limited(job), _WRAPPER, str(job.folder.resolve()), *job.command],
                cwd=job.cwd,
                env=_environment(job),
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            raise JobError(f"job {job.fire_id}: cannot be started in {job.cwd}: {error.strerror or error}") from error

    def _limited(self, job: Job) -> list[str]:
        """Return the shell's command, behind what sets the job's limits."""
        if job.memory is None and job.cpus is None:
            return ["/bin/sh", "-c"]
        cpus = ",".join(str(cpu) for cpu in self._processors(job.cpus)) if job.cpus else "-"
        return [sys.executable, "-I", "-S", "-c", _LIMITER, str(job.memory or "-"), cpus]

    def _processors(self, wanted: int) -> list[int]:
        """Choose processors in turn, so that jobs that run at once share as few as possible."""
        ours = sorted(os.sched_getaffinity(0))
        first = self._next_processor
        self._next_processor += wanted
        return sorted({ours[(first + number) % len(ours)] for number in range(wanted)})

    def poll(self, job: Job) -> JobStatus:
        shell = self._shells.get(job.fire_id)
        shell_ended = shell is None or shell.poll() is not None
        timed_out = (job.folder / _TIMEOUT_MARK).exists()
        exit_code = _read_number(job.folder / "exit")
        lives = _living(job) is not None or (exit_code is None and _orphaned_group(job) is not None)
        if lives and time.time() - (job.folder / "pid").stat().st_mtime > job.timeout.total_seconds():
            (job.folder / _TIMEOUT_MARK).touch()
            self.stop(job)
            return JobStatus(JobState.ENDED, _read_number(job.folder / "exit"), timed_out=True)
        if lives and job.log_limit is not None:
            make_room(job.folder / "log", job.log_limit)
        if lives or not shell_ended or _is_being_claimed(job):
            return JobStatus(JobState.RUNNING)
        exit_code = _read_number(job.folder / "exit")
        ended = exit_code is not None or timed_out
        return JobStatus(JobState.ENDED if ended else JobState.LOST, exit_code, timed_out=timed_out)

    def stop(self, job: Job) -> None:
        shell = _living(job)
        group = shell.pid if shell is not None else _orphaned_group(job)
        if group is None:
            return
        with suppress(psutil.NoSuchProcess):
            tree = _members(group) if shell is None else [shell, *shell.children(recursive=True)]
            _signal_all(group, tree, signal.SIGTERM)
            _, alive = psutil.wait_procs(tree, timeout=_GRACE_SECONDS)
            _signal_all(group, alive, signal.SIGKILL)
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
    if job.cpus is not None:
        inherited["OMP_NUM_THREADS"] = str(min(job.cpus, len(os.sched_getaffinity(0))))
    return {**inherited, **job.environment}


def _members(group: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(ProcessLookupError):
            if os.getpgid(process.pid) == group:
                found.append(process)
    return found


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


def _orphaned_group(job: Job) -> int | None:
    """Return the process group of a job whose shell was killed and whose command lives on.

    Its number is given to no other process while the group has members, so none of that number lives.
    """
    pid = _read_number(job.folder / "pid")
    if pid is None or psutil.pid_exists(pid):
        return None
    try:
        os.killpg(pid, 0)
    except (ProcessLookupError, PermissionError):
        return None
    return pid


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
