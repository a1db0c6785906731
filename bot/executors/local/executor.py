"""Runs jobs as processes of this machine, each with a keeper of its own: they outlive Herald, and end as a whole."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from bot.errors import JobError
from bot.executors.job_logs import make_room, part_of
from bot.executors.local import keeper, processes
from bot.ports import Job, JobState, JobStatus, LogPart, Submission
from bot.runtime.own_environment import environment_for_others
from bot.runtime.private_files import create_file, make_folder

_GRACE_SECONDS = 10.0  # between asking a job to end and ending it
_KEEPER_SECONDS = 15.0  # that a keeper may need beyond that
_LONGEST_NOTE = 32  # characters of a number
_START_SECONDS = 2.0  # in which another Herald's look at the lock is over, or its start is to be seen
_PAUSE_SECONDS = 0.02
_BETWEEN_SEARCHES = 5.0  # seconds between looks whether a job lost its keeper
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")
_PARTING_SECONDS = 1.0  # that a keeper needs to end after its job
_PARTED: list[subprocess.Popen[bytes]] = []  # keepers of jobs that have ended, to be buried


class LocalExecutor:
    """Starts jobs on this machine and finds them again by their folders.

    A job lives as long as somebody holds the lock on its file `lock`: its keeper, or what that started. The lock is
    seen from other containers that share the folder, where process numbers and signals do not reach.
    """

    def __init__(self) -> None:
        self._keepers: dict[str, subprocess.Popen[bytes]] = {}  # those of this process, by fire
        self._searched: dict[str, float] = {}  # when processes without a keeper were last looked for, by fire
        self._next_processor = 0

    def submit(self, job: Job) -> Submission:
        self._bury()
        if (job.folder / "claimed").exists():
            return Submission.ADOPTED
        try:
            make_folder(job.folder)
            lock = _take_lock(job.folder)
        except OSError as error:
            raise JobError(f"job {job.fire_id}: {job.folder} cannot be used: {error.strerror or error}") from error
        if lock is None:
            return Submission.ADOPTED
        try:
            self._keepers[job.fire_id] = subprocess.Popen(
                [*self._keeper(job, lock), *job.command],
                cwd=job.cwd,
                env=_environment(job),
                pass_fds=(lock,),
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            raise JobError(f"job {job.fire_id}: cannot be started in {job.cwd}: {error.strerror or error}") from error
        finally:
            os.close(lock)
        return Submission.STARTED

    def _keeper(self, job: Job, lock: int) -> list[str]:
        """Return the command of the job's keeper, up to the job's own."""
        cpus = ",".join(str(cpu) for cpu in self._processors(job.cpus)) if job.cpus else "-"
        return [
            *(sys.executable, "-I", "-S", keeper.__file__, str(job.folder.resolve()), str(lock)),
            *(str(job.timeout.total_seconds()), str(_GRACE_SECONDS), str(job.memory or "-"), cpus),
        ]

    def _bury(self) -> None:
        """Take note of keepers that have ended since; one may outlive its command by what that left behind."""
        self._keepers = {fire: keeper for fire, keeper in self._keepers.items() if keeper.poll() is None}
        _PARTED[:] = [keeper for keeper in _PARTED if keeper.poll() is None]

    def _part_with_keeper(self, job: Job) -> None:
        """Let the keeper of a job that has ended go, or go on with what the job left behind."""
        keeper = self._keepers.pop(job.fire_id, None)
        if keeper is None:
            return
        try:
            keeper.wait(_PARTING_SECONDS)
        except subprocess.TimeoutExpired:
            _PARTED.append(keeper)

    def _processors(self, wanted: int) -> list[int]:
        """Choose processors in turn, so that jobs that run at once share as few as possible."""
        ours = sorted(os.sched_getaffinity(0))
        first = self._next_processor
        self._next_processor += wanted
        return sorted({ours[(first + number) % len(ours)] for number in range(wanted)})

    def look(self, job: Job) -> JobStatus:
        self._bury()
        status = _noted(job)
        if status is not None:
            self._part_with_keeper(job)
            return status
        if _lives(job):
            self._end_if_nobody_keeps_it(job)
            if job.log_limit is not None:
                make_room(job.folder / "log", job.log_limit)
            return JobStatus(JobState.RUNNING)
        return _noted(job, is_gone=True) or JobStatus(JobState.LOST)

    def _end_if_nobody_keeps_it(self, job: Job) -> None:
        """End a job whose keeper was killed, or that never had one, when its time is up."""
        now = time.monotonic()
        is_begun = (job.folder / "pid").exists()
        if not is_begun or now - self._searched.get(job.fire_id, 0.0) < _BETWEEN_SEARCHES or _is_kept(job):
            return
        self._searched[job.fire_id] = now
        found = _processes(job)
        if max(map(processes.age, found), default=0.0) > job.timeout.total_seconds():
            create_file(job.folder / "timeout")
            processes.end(found, _GRACE_SECONDS)

    def stop(self, job: Job) -> None:
        if not _lives(job):
            return
        create_file(job.folder / "stop")  # its keeper looks for it
        if _is_kept(job) or not (found := _processes(job)):
            _wait_for_end(job)
            found = _processes(job)
        processes.end(found, _GRACE_SECONDS)
        if _lives(job):
            raise JobError(
                f"job {job.fire_id}: lives on, in another container or on another machine that shares {job.folder}; "
                "end it there"
            )

    def log(self, job: Job, offset: int) -> LogPart:
        return part_of(job.folder / "log", offset)


def _take_lock(folder: Path) -> int | None:
    """Open and lock the file that says that the job lives; None where the job was started before, or is just now."""
    path = folder / "lock"
    create_file(path)
    descriptor = os.open(path, os.O_RDWR)
    patience = time.monotonic() + _START_SECONDS
    while not (folder / "claimed").exists() and time.monotonic() < patience:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # somebody looks at it, or starts the job
            time.sleep(_PAUSE_SECONDS)
        except OSError:
            os.close(descriptor)
            raise
        else:
            if not (folder / "claimed").exists():
                return descriptor
    os.close(descriptor)
    return None


def _noted(job: Job, *, is_gone: bool = False) -> JobStatus | None:
    """Return how the job ended, as its keeper noted it; None where nothing is noted.

    That its time was up is noted before it is ended, so that counts only of a job that *is_gone*.
    """
    timed_out = (job.folder / "timeout").exists()
    exit_code = _read_number(job.folder / "exit")
    if exit_code is None and not (timed_out and is_gone):
        return None
    return JobStatus(JobState.ENDED, exit_code, timed_out=timed_out)


def _lives(job: Job) -> bool:
    """Say whether anything of the job lives; one that an older Herald started has no lock, and is known by its name."""
    lock = job.folder / "lock"
    return processes.is_locked(lock) if lock.exists() else bool(_processes(job))


def _is_kept(job: Job) -> bool:
    """Say whether the job's keeper is seen to be alive."""
    return processes.holds(_read_number(job.folder / "pid"), job.folder / "lock")


def _processes(job: Job) -> list[psutil.Process]:
    """Return the job's processes, those that can be seen from here."""
    lock, leader = job.folder / "lock", _read_number(job.folder / "pid")
    if not lock.exists():
        return processes.of_old_job(leader, job.fire_id)
    return processes.with_theirs(processes.holders(lock), leader)


def _wait_for_end(job: Job) -> None:
    patience = time.monotonic() + _GRACE_SECONDS + _KEEPER_SECONDS
    while _lives(job) and time.monotonic() < patience:
        time.sleep(_PAUSE_SECONDS)


def _environment(job: Job) -> dict[str, str]:
    """Pass on what a program needs to run, MLflow's own settings, and what config names; no secret of Herald's."""
    inherited = {name: os.environ[name] for name in _KEPT if name in os.environ}
    given = environment_for_others()
    inherited |= {name: value for name, value in given.items() if name.startswith(("MLFLOW_", "OMP_", "PYTHON"))}
    if job.cpus is not None:
        inherited["OMP_NUM_THREADS"] = str(min(job.cpus, len(os.sched_getaffinity(0))))
    return {**inherited, **job.environment}


def _read_number(path: Path) -> int | None:
    """Read a keeper's note; None where there is none, and where a job has put something else in its place."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as note:
            return int(note.read(_LONGEST_NOTE))
    except (OSError, ValueError):
        return None
