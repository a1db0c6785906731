"""Runs jobs on a Slurm cluster, each under its fire's id as its name."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

from bot.errors import ExecutorAwayError, JobError
from bot.executors.job_logs import part_of
from bot.executors.slurm.answers import (
    ACCOUNTED,
    FIELDS,
    SlurmJob,
    read_accounts,
    read_queue,
    status_of,
)
from bot.executors.slurm.batch import batch_script, log_file, options_of
from bot.executors.slurm.commands import SlurmCommands
from bot.executors.slurm.config import SlurmSection
from bot.executors.submission_notes import SubmissionNote, SubmissionStep, alone, read_note, write_note
from bot.ports import Job, JobState, JobStatus, LogPart, Submission

_NO_ACCOUNTS = "accounting storage is disabled"
_REMEMBERED = 120.0  # seconds for which Slurm surely knows a job that is over, without accounting: MinJobAge is 300
_FAR_BACK = "now-60days"  # in which a job may have ended while Herald was down
_PATIENCE_SECONDS = 3600.0  # with a reason to wait that never passes: somebody may be about to change a partition
_STOP_SECONDS = 60.0  # in which Slurm ends a job: KillWait is 30
_PAUSE_SECONDS = 0.3
_PART = 1_000_000  # bytes of a log


class SlurmExecutor:
    """Submits jobs to one cluster and finds them again by their names.

    Slurm takes two jobs of one name. So it is asked for the name before each submission, sbatch holds a lock in the
    job's folder as long as it lives, and a second job of a name, should there be one, may not start beside the first.
    """

    def __init__(self, section: SlurmSection) -> None:
        self._section = section
        self._slurm = SlurmCommands(section)

    def submit(self, job: Job) -> Submission:
        with alone(job.folder, self._section.timeout.total_seconds()) as lock:
            note = read_note(job.folder)
            if note is not None and note.is_accepted:
                return Submission.ADOPTED
            found = self._find(job)
            is_forgotten = note is not None and not self._would_be_known(note)
            if found is not None or is_forgotten:
                name = "" if found is None else str(found.number)
                write_note(job.folder, SubmissionNote(SubmissionStep.ACCEPTED, name=name, at=note.at if note else 0.0))
                return Submission.ADOPTED
            sent = SubmissionNote(SubmissionStep.SENT, at=time.time())
            write_note(job.folder, sent)
            number = self._send(job, lock)
            write_note(job.folder, SubmissionNote(SubmissionStep.ACCEPTED, name=number, at=sent.at))
            return Submission.STARTED

    def _would_be_known(self, note: SubmissionNote) -> bool:
        """Say whether Slurm would still know a job that was sent when the note says, had it come to an end since."""
        return abs(time.time() - note.at) < _REMEMBERED or self._accounts("--starttime=now") is not None

    def _send(self, job: Job, lock: int) -> str:
        said = self._slurm.run(
            "sbatch", *options_of(job, self._section), given=batch_script(job, self._section), keeps=lock
        )
        number = said.out.strip().partition(";")[0]
        if said.code or not number.isdigit():
            raise JobError(f"job {job.name}: Slurm refuses it: {said.why}")
        return number

    def look(self, job: Job) -> JobStatus:
        found = self._find(job)
        if found is None:
            return JobStatus(JobState.LOST, said="Slurm knows it no more.")
        note = read_note(job.folder)
        if found.is_hopeless and note is not None and note.at and time.time() - note.at > _PATIENCE_SECONDS:
            self._cancel(found)
            said = f"Slurm let it wait for an hour and would never start it: {found.reason}."
            return JobStatus(JobState.ENDED, said=said)
        return status_of(found)

    def _find(self, job: Job) -> SlurmJob | None:
        """Return the job of a name: the first that was submitted; a second one is cancelled before it starts."""
        ours = self._queued(job)
        for other in ours[1:]:
            if not other.is_over:
                self._slurm.run("scancel", str(other.number))
        if ours:
            return ours[0]
        known = self._accounts(f"--name={job.name}", f"--starttime={_FAR_BACK}")
        return next((each for each in known or () if each.is_of(job.owner)), None)

    def _queued(self, job: Job) -> list[SlurmJob]:
        said = self._slurm.run(
            "squeue", "--noheader", "--states=all", "--me", f"--name={job.name}", f"--Format={FIELDS}"
        )
        if said.code:
            raise ExecutorAwayError(f"Slurm: squeue says: {said.why}")
        return [each for each in read_queue(said.out) if each.is_of(job.owner)]

    def _accounts(self, *which: str) -> list[SlurmJob] | None:
        """Ask accounting; None where the cluster has none."""
        said = self._slurm.run("sacct", "--allocations", "--noheader", "--parsable2", f"--format={ACCOUNTED}", *which)
        if said.code and _NO_ACCOUNTS in said.err.lower():
            return None
        if said.code:
            raise ExecutorAwayError(f"Slurm: sacct says: {said.why}")
        return read_accounts(said.out)

    def stop(self, job: Job) -> None:
        until = time.monotonic() + _STOP_SECONDS
        is_asked = False
        while (found := self._find(job)) is not None and not found.is_over:
            if not is_asked:
                self._cancel(found)
                is_asked = True
            if time.monotonic() > until:
                raise JobError(f"job {job.name}: lives on: Slurm did not end it within {_STOP_SECONDS:g} s")
            time.sleep(_PAUSE_SECONDS)

    def _cancel(self, found: SlurmJob) -> None:
        said = self._slurm.run("scancel", str(found.number))
        if said.code and "already comp" not in said.err.lower() and "invalid job id" not in said.err.lower():
            raise ExecutorAwayError(f"Slurm: scancel says: {said.why}")

    def log(self, job: Job, offset: int) -> LogPart:
        path = log_file(job, self._section)
        if path is None:
            return LogPart(b"", offset)
        if not self._section.ssh:
            return part_of(Path(path), offset)
        data = self._slurm.read("sh", "-c", f"tail -c +{offset + 1} {shlex.quote(str(path))} | head -c {_PART}").stdout
        return LogPart(data, offset + len(data))
