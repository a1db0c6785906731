"""What Ray says of a job, and what that means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from bot.ports import JobState, JobStatus

OWNER = "herald_owner"  # of a job's metadata
_TIMED_OUT = (124, 137)  # as timeout(1) ends: asked to, and made to
_NEVER_RAN = ("RUNTIME_ENV_SETUP_FAILURE", "JOB_SUPERVISOR_ACTOR_START_TIMEOUT", "JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE")
_NOT_SENT_OUT = "Failed to start supervisor actor"
_LONGEST = 300  # characters of what it said


@dataclass(frozen=True, slots=True)
class RayJob:
    status: str
    message: str = ""
    error_type: str = ""
    exit_code: int | None = None
    lasted: timedelta | None = None  # from its submission to its end
    owner: str = ""

    @property
    def is_over(self) -> bool:
        return self.status in {"SUCCEEDED", "FAILED", "STOPPED"}


def read_job(answer: Mapping[str, Any]) -> RayJob:
    """Read a job; raises LookupError, TypeError or ValueError where the answer is of another kind."""
    begun, ended, code = answer.get("start_time"), answer.get("end_time"), answer.get("driver_exit_code")
    return RayJob(
        status=str(answer["status"]),
        message=str(answer.get("message") or ""),
        error_type=str(answer.get("error_type") or ""),
        exit_code=None if code is None else int(code),
        lasted=timedelta(milliseconds=ended - begun) if begun and ended else None,
        owner=str((answer.get("metadata") or {}).get(OWNER, "")),
    )


def status_of(job: RayJob, timeout: timedelta) -> JobStatus:
    """Say how a job stands.

    FAILED without an exit code tells only that Ray lost sight of it, say as its head went: it may have come to an end.
    """
    match job.status:
        case "PENDING":
            return JobStatus(JobState.QUEUED, said=f"Ray: {_in_short(job.message)}" if job.message else "")
        case "RUNNING":
            return JobStatus(JobState.RUNNING)
        case "SUCCEEDED":
            return JobStatus(JobState.ENDED, 0)
        case "STOPPED":
            return JobStatus(JobState.ENDED, said="It was stopped on Ray.")
        case "FAILED" if job.exit_code is not None:
            is_late = job.exit_code in _TIMED_OUT and job.lasted is not None and job.lasted >= timeout
            code = job.exit_code if job.exit_code >= 0 else 128 - job.exit_code
            return JobStatus(JobState.ENDED, code, timed_out=is_late)
        case "FAILED" if job.error_type in _NEVER_RAN or job.message.startswith(_NOT_SENT_OUT):
            return JobStatus(JobState.ENDED, said=f"Ray did not start it: {_in_short(job.message)}")
        case "FAILED":
            return JobStatus(JobState.LOST, said=f"Ray lost sight of it: {_in_short(job.message)}")
        case other:
            return JobStatus(JobState.RUNNING, said=f"Ray says of it {other[:_LONGEST]!r}, which Herald does not know.")


def _in_short(message: str) -> str:
    """Take the first line of what Ray said, and the last of the traceback that follows, where there is one."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    if not lines:
        return "it does not say why"
    first = lines[0][:_LONGEST]
    return f"{first} ({lines[-1][:_LONGEST]})" if any("Traceback" in line for line in lines) else first


def refusal_in(text: str) -> str:
    """Return what a traceback comes to: its last line that says what went wrong."""
    lines = [line.strip() for line in text.splitlines() if line.strip(" .\t")]
    return (lines[-1] if lines else "it does not say why")[:_LONGEST]


def node_resources(answer: Mapping[str, Any]) -> list[Mapping[str, float]]:
    """Read what each kind of node has; nothing where the cluster does not tell."""
    try:
        return [dict(kind) for kind, _ in answer["data"]["clusterStatus"]["loadMetricsReport"]["nodeTypes"]]
    except (LookupError, TypeError, ValueError):
        return []
