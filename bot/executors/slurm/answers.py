"""What Slurm says of jobs, and what that means."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterable
from dataclasses import dataclass

from bot.ports import JobState, JobStatus

FIELDS = "JobID:|,State:|,Reason:|,exit_code:|,Comment:|"  # of squeue, in this order
ACCOUNTED = "JobIDRaw,State,ExitCode,Comment"  # of sacct, likewise
_WAITING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT"}
_AT_WORK = {"RUNNING", "COMPLETING", "RESIZING", "SIGNALING", "STAGE_OUT", "STOPPED", "SUSPENDED"}
_LOST = {  # by no doing of the job's, or not by its own end
    "TIMEOUT": "its time was up",
    "DEADLINE": "its deadline came",
    "OUT_OF_MEMORY": "it took more memory than it asked for",
    "NODE_FAIL": "its node failed",
    "PREEMPTED": "another job took its place",
    "BOOT_FAIL": "its node did not start",
    "LAUNCH_FAILED": "its node could not launch it",
    "RECONFIG_FAIL": "its node could not be made ready",
    "REVOKED": "another cluster of the federation took it",
}
_TIMED_OUT = {"TIMEOUT", "DEADLINE"}
_HOPELESS = {  # reasons that no wait mends: the job asks for what it may not have, or a partition never has
    *("PartitionNodeLimit", "PartitionTimeLimit", "PartitionConfig", "BadConstraints", "AccountNotAllowed"),
    *("InvalidAccount", "InvalidQOS", "QOSNotAllowed", "QosNotAllowed"),
}
_OF_ONE_JOB = re.compile(
    r"(Assoc|QOS)(Max|Min)\w*(PerJob\w*|PerNode\w*|NotSatisfied)"
)  # likewise, by a limit of accounting
_OF_COURSE = {"", "None", "Priority", "Resources"}  # reasons that wait for nobody's help
_ITS_OWN, _RAISED = {"", "None", "NonZeroExitCode"}, "RaisedSignal"  # of a job that ended by itself
_TAGGED = "herald:"
_OF_SIGNALS = 128  # as shells add to a signal
_OF_SLURM = 32  # from here on, signals are Slurm's own numbers


@dataclass(frozen=True, slots=True)
class SlurmJob:
    number: int
    state: str
    reason: str = ""
    exit_code: int | None = None
    comment: str = ""

    @property
    def is_over(self) -> bool:
        return self.state not in _WAITING | _AT_WORK

    @property
    def is_hopeless(self) -> bool:
        """Say whether it waits for what never comes."""
        return self.state in _WAITING and (self.reason in _HOPELESS or _OF_ONE_JOB.fullmatch(self.reason) is not None)

    def is_of(self, owner: str) -> bool:
        """Say whether it is this Herald's; what accounting keeps has no comment."""
        return self.comment in {"", "(null)", comment_of(owner)}


def comment_of(owner: str) -> str:
    return f"{_TAGGED}{owner}"


def read_queue(text: str) -> list[SlurmJob]:
    """Read what squeue says."""
    jobs = []
    for number, state, reason, code, comment in _rows(text, 5):
        jobs.append(SlurmJob(int(number), state, reason, _read_code(code), comment))
    return sorted(jobs, key=lambda job: job.number)


def read_accounts(text: str) -> list[SlurmJob]:
    """Read what sacct says: states such as `CANCELLED by 1000`."""
    jobs = []
    for number, state, code, comment in _rows(text, 4):
        jobs.append(SlurmJob(int(number), state.partition(" ")[0], "", _read_code(code), comment))
    return sorted(jobs, key=lambda job: job.number)


def _rows(text: str, count: int) -> Iterable[list[str]]:
    for line in text.splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) >= count and fields[0].isdigit():
            yield fields[:count]


def _read_code(text: str) -> int | None:
    """Read an exit code as shells say it: `3:0` is a code and a signal, 768 both in one as wait(2) has it."""
    try:
        code, _, of_signal = text.partition(":")
        if of_signal:
            return 128 + int(of_signal) if int(of_signal) else int(code)
        found = os.waitstatus_to_exitcode(int(code) & 0xFFFF)
    except ValueError:  # no end of a program
        return None
    return found if found >= 0 else 128 - found


def _signal_of(job: SlurmJob) -> str | None:
    """Name the signal that ended a job: Slurm calls that a failed launch too, for which it has numbers of its own."""
    if job.reason not in {*_ITS_OWN, "JobLaunchFailure"} and not job.reason.startswith(_RAISED):
        return None
    number = (job.exit_code or 0) - _OF_SIGNALS
    try:
        return signal.Signals(number).name if 0 < number < _OF_SLURM else None
    except ValueError:
        return None


def status_of(job: SlurmJob) -> JobStatus:
    """Say how a job stands."""
    if job.state in _WAITING:
        needs_help = job.reason not in _OF_COURSE
        return JobStatus(JobState.QUEUED, said=f"Slurm lets it wait: {job.reason}" if needs_help else "")
    if job.state in _AT_WORK:
        return JobStatus(JobState.RUNNING, said="" if job.state != "SUSPENDED" else "Slurm has suspended it.")
    if job.state in _LOST:
        said = f"Slurm ended it: {_LOST[job.state]} ({job.state})."
        return JobStatus(JobState.LOST, timed_out=job.state in _TIMED_OUT, said=said)
    if job.state == "COMPLETED":
        return JobStatus(JobState.ENDED, 0)
    if job.state == "CANCELLED":
        return JobStatus(JobState.ENDED, said="It was cancelled on Slurm.")
    if job.state == "FAILED":
        if (raised := _signal_of(job)) is not None:
            return JobStatus(JobState.ENDED, job.exit_code, said=f"It was ended by a signal: {raised}.")
        if job.reason in _ITS_OWN or job.reason.startswith(_RAISED):
            return JobStatus(JobState.ENDED, job.exit_code)
        return JobStatus(JobState.ENDED, said=f"Slurm did not run it to an end: {job.reason}")
    return JobStatus(JobState.RUNNING, said=f"Slurm says of it {job.state[:60]!r}, which Herald does not know.")
