"""Runs jobs on a Ray cluster, each under its fire's id as its submission id."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any

from bot.errors import ExecutorAwayError, JobError
from bot.executors.ray.answers import OWNER, RayJob, read_job, status_of
from bot.executors.ray.config import RaySection
from bot.executors.ray.connection import NotDoneError, RayConnection, UnknownJobError
from bot.executors.ray.log_stream import part_from
from bot.executors.submission_notes import SubmissionNote, SubmissionStep, alone, read_note, write_note
from bot.ports import Job, JobState, JobStatus, LogPart, Submission

_GRACE = timedelta(seconds=10)  # in which a job that Ray does not know may turn up, after its submission too
_GRACE_SECONDS = 10  # between asking a job whose time is up to end, and ending it
_STOP_SECONDS = 20.0  # in which Ray ends a job: it asks for 3, and then makes it
_PAUSE_SECONDS = 0.2
_PART = 1_000_000  # bytes of a log


class RayExecutor:
    """Submits jobs to one cluster and finds them again by their names.

    A head that is started anew knows no job of before. So the job's folder says to which life of the cluster it was
    sent: it is never sent to another.
    """

    def __init__(self, section: RaySection, grace: timedelta = _GRACE) -> None:
        self._section = section
        self._ray = RayConnection(section)
        self._grace = grace
        self._unknown_since: dict[str, float] = {}  # by the names of jobs, since Ray first said that it has none such

    def submit(self, job: Job) -> Submission:
        with alone(job.folder, self._section.timeout.total_seconds()):
            note = read_note(job.folder)
            if note is not None and note.is_accepted:
                return Submission.ADOPTED
            life = self._life()
            if note is not None and (self._find(job) is not None or note.cluster != life):
                write_note(job.folder, SubmissionNote(SubmissionStep.ACCEPTED, note.cluster, at=note.at))
                return Submission.ADOPTED
            sent = SubmissionNote(SubmissionStep.SENT, life, at=time.time())
            write_note(job.folder, sent)
            submission = self._send(job)
            write_note(job.folder, SubmissionNote(SubmissionStep.ACCEPTED, life, at=sent.at))
            return submission

    def _life(self) -> str:
        """Return the name that the cluster gave itself when it was started."""
        try:
            return str(self._ray.ask("GET", "/api/version").get("session_name", ""))
        except (NotDoneError, UnknownJobError) as error:
            raise ExecutorAwayError(f"Ray at {self._section.base} does not say which it is: {error}") from None

    def _send(self, job: Job) -> Submission:
        try:
            self._ray.ask("POST", "/api/jobs/", _request(job, self._section))
        except (NotDoneError, UnknownJobError) as error:
            if self._find(job) is not None:
                return Submission.ADOPTED
            is_there = f"submission_id {job.name} already exists" in str(error)  # though it is not shown yet
            if isinstance(error, NotDoneError) and error.is_wrong and not is_there:
                raise JobError(f"job {job.name}: Ray refuses it: {error}") from None
            raise ExecutorAwayError(f"Ray at {self._section.base} did not take job {job.name}: {error}") from None
        return Submission.STARTED

    def look(self, job: Job) -> JobStatus:
        found = self._find(job)
        if found is None:
            return self._unknown(job)
        self._unknown_since.pop(job.name, None)
        return status_of(found, job.timeout)

    def _unknown(self, job: Job) -> JobStatus:
        """Tell of a job that Ray says it has not: that is believed once it has said so again, a while later."""
        since = self._unknown_since.setdefault(job.name, time.monotonic())
        if time.monotonic() - since < self._grace.total_seconds():
            return JobStatus(JobState.RUNNING, said="Ray says that it does not know it, and is asked again.")
        said = "Ray knows it no more: its head was started anew since, or somebody deleted it there."
        return JobStatus(JobState.LOST, said=said)

    def _find(self, job: Job) -> RayJob | None:
        """Return the job; raises JobError where one of its name is another's."""
        try:
            answer = self._ray.ask("GET", f"/api/jobs/{job.name}")
            found = read_job(answer)
        except UnknownJobError:
            return None
        except NotDoneError as error:
            raise ExecutorAwayError(f"Ray at {self._section.base} does not say how its jobs are: {error}") from None
        except (LookupError, TypeError, ValueError):
            raise ExecutorAwayError(f"Ray at {self._section.base} says of a job what is none") from None
        if found.owner != job.owner:
            whose = repr(found.owner) if found.owner else "somebody else"
            raise JobError(f"job {job.name}: Ray has a job of that name already, of {whose}, not of {job.owner!r}")
        return found

    def stop(self, job: Job) -> None:
        until = time.monotonic() + _STOP_SECONDS
        while (found := self._find(job)) is not None and not found.is_over:
            self._ask_to_stop(job)
            if found.status == "PENDING" and time.monotonic() > until - _STOP_SECONDS / 2:
                return  # it ends as soon as it starts
            if time.monotonic() > until:
                raise JobError(f"job {job.name}: lives on: Ray did not end it within {_STOP_SECONDS:g} s")
            time.sleep(_PAUSE_SECONDS)

    def _ask_to_stop(self, job: Job) -> None:
        try:
            self._ray.ask("POST", f"/api/jobs/{job.name}/stop")
        except UnknownJobError:
            return
        except NotDoneError as error:
            raise ExecutorAwayError(f"Ray at {self._section.base} did not stop job {job.name}: {error}") from None

    def log(self, job: Job, offset: int) -> LogPart:
        try:
            with self._ray.stream(f"/api/jobs/{job.name}/logs") as chunks:
                data = part_from(chunks, offset, _PART)
        except UnknownJobError:
            data = b""
        except ValueError as error:
            raise ExecutorAwayError(f"Ray at {self._section.base} gives a log that {error}") from None
        return LogPart(data, offset + len(data))


def _request(job: Job, section: RaySection) -> dict[str, Any]:
    """Write the job as Ray takes it: with what is needed to know it again, and nothing of Herald's own."""
    runtime: dict[str, Any] = {"env_vars": {name: value for name, value in job.environment.items() if "$" not in value}}
    if section.working_dir:
        runtime["working_dir"] = section.working_dir
    if section.image:
        runtime["image_uri"] = section.image
    resources: Mapping[str, float | None] = {
        "entrypoint_num_cpus": job.cpus,
        "entrypoint_num_gpus": job.gpus,
        "entrypoint_memory": job.memory,
    }
    return {
        "submission_id": job.name,
        "entrypoint": entry_point(job, section),
        "runtime_env": runtime,
        "metadata": {OWNER: job.owner, "herald_fire": job.fire_id},
        **{name: value for name, value in resources.items() if value is not None},
    }


def entry_point(job: Job, section: RaySection) -> str:
    """Write the command for a shell.

    What ends it when its time is up takes the place of the shell: so it leads the group that Ray ends with the job.
    Of the environment it sets what holds a `$`: Ray would put something else in its place.
    """
    limit = ("timeout", f"--kill-after={_GRACE_SECONDS}", str(max(math.ceil(job.timeout.total_seconds()), 1)))
    start = PurePosixPath(section.workdir) / job.cwd.as_posix()
    exports = [
        f"export {shlex.quote(name)}={shlex.quote(value)}" for name, value in job.environment.items() if "$" in value
    ]
    moves = [] if start == PurePosixPath() else [f"cd {shlex.quote(str(start))}"]
    return " && ".join((*exports, *moves, f"exec {shlex.join((*limit, *job.command))}"))
