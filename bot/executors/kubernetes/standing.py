"""How a job stands, read off what Kubernetes says of its Job object, its pod and what happened to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from bot.executors.kubernetes.connection import in_a_line
from bot.executors.kubernetes.manifests import CONTAINER
from bot.ports import JobState, JobStatus

Seen: TypeAlias = Mapping[str, Any]

_IMAGE_PATIENCE = timedelta(minutes=3)  # a registry may be away for a while
_NO_IMAGE = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
)
_NOT_MADE = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
_TAKEN = frozenset(  # of a pod that its node or the scheduler took away
    {
        *("Evicted", "NodeLost", "Terminated", "Shutdown", "NodeShutdown", "Preempting", "Preempted"),
        *("PreemptionByScheduler", "DeletionByTaintManager", "EvictionByEvictionAPI", "DeletionByPodGC"),
        *("TerminationByKubelet", "NodeAffinity", "UnexpectedAdmissionError"),
    }
)
_OUT_OF_MEMORY = "OOMKilled"
_ENDING = frozenset({"SuccessCriteriaMet", "FailureTarget"})  # conditions of a job that waits for its pod to be gone


@dataclass(frozen=True, slots=True)
class PodReading:
    status: JobStatus
    is_hopeless: bool = False  # it has not started and will not, so it has to be ended
    has_begun: bool = False  # its pod was seen at work, or is counted as having been


def is_queued(job: Seen) -> bool:
    """Say whether a job is held back, by Kueue or by a person: it has no pod, or none any more."""
    over = {each.get("type") for each in _conditions(job) if each.get("status") == "True"}
    is_ending = bool(job.get("metadata", {}).get("deletionTimestamp")) or bool(_ENDING & over)
    return bool(job.get("spec", {}).get("suspend")) and not is_ending and over.isdisjoint({"Complete", "Failed"})


def never_started(said: str, waited: timedelta) -> str:
    """Say that a job is given up which has not started within its time."""
    return f"It did not start within {waited} (start_within). {said}".rstrip()


def read_standing(
    job: Seen, pods: Sequence[Seen], events: Sequence[Seen], now: datetime, patience: timedelta, *, has_begun: bool
) -> PodReading:
    """Tell how a job stands that is not held back.

    *patience* is how long its pod may take to start; *has_begun* says that it was seen at work before.
    """
    pod = _newest_of(job, pods)
    conditions = {each.get("type"): each for each in _conditions(job) if each.get("status") == "True"}
    if "Complete" in conditions:
        return PodReading(JobStatus(JobState.ENDED, 0))
    if "Failed" in conditions:
        return PodReading(_failed(conditions["Failed"], pod))
    if job.get("metadata", {}).get("deletionTimestamp") or _ENDING & conditions.keys():
        return PodReading(JobStatus(JobState.RUNNING, said="it is being ended"), has_begun=has_begun)
    has_begun = has_begun or _is_counted(job, "ready", "succeeded", "failed", "terminating")
    if pod is None:
        if has_begun or _is_counted(job, "active"):
            said = "Kubernetes shows no pod of it, though it had one"
            return PodReading(JobStatus(JobState.RUNNING, said=said), has_begun=has_begun)
        return _unmade(job, events, now, patience)
    phase = pod.get("status", {}).get("phase", "Pending")
    if phase == "Pending" and not has_begun:
        return _pending(pod, events, now, patience)
    said = "its node does not answer" if phase == "Unknown" else ""
    return PodReading(JobStatus(JobState.RUNNING, said=said), has_begun=True)


def _is_counted(job: Seen, *counts: str) -> bool:
    """Say whether a job's own counts have a pod of it, those that it has not added up yet included."""
    status = job.get("status", {})
    uncounted = status.get("uncountedTerminatedPods") or {}
    return any(status.get(each) for each in counts) or any(uncounted.values())


def untold(job: Seen, pods: Sequence[Seen]) -> str:
    """Return the name of what has not come about and does not say why: only its events do; empty where all is told."""
    pod = _newest_of(job, pods)
    if job.get("spec", {}).get("suspend") or _conditions(job):
        return ""
    if pod is None:
        return str(job["metadata"]["name"])
    is_told = pod.get("status", {}).get("phase") != "Pending" or _unscheduled(pod) is not None
    return "" if is_told else str(pod["metadata"]["name"])


def _newest_of(job: Seen, pods: Sequence[Seen]) -> Seen | None:
    """Return the job's own pod, the latest where there were several; one of an older job of its name is none."""
    uid = job.get("metadata", {}).get("uid")
    own = [pod for pod in pods if any(each.get("uid") == uid for each in pod["metadata"].get("ownerReferences") or [])]
    return max(own, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")), default=None)


def _failed(condition: Seen, pod: Seen | None) -> JobStatus:
    """Tell why a job failed; what was taken away is lost, and so is what nobody can tell."""
    if condition.get("reason") == "DeadlineExceeded":
        return JobStatus(JobState.ENDED, None, timed_out=True, said="Kubernetes ended it: its time was up.")
    taken = None if pod is None else _taken(pod)
    if taken is not None:
        return JobStatus(JobState.LOST, said=taken)
    ended = None if pod is None else _terminated(pod)
    if ended is None:
        said = _with_words("Kubernetes says that it failed, and has no pod of it that could tell how", condition)
        return JobStatus(JobState.LOST, said=said)
    code, reason = ended.get("exitCode"), ended.get("reason")
    if reason == _OUT_OF_MEMORY:
        limit = _limit(pod, "memory") if pod is not None else ""
        said = (
            f"Kubernetes ended it: it took more memory than it may{f' ({limit} bytes)' if limit else ''} (OOMKilled)."
        )
        return JobStatus(JobState.ENDED, code, said=said)
    if reason in {"ContainerCannotRun", "StartError"}:
        said = _with_words("Kubernetes could not start its command", ended)
        return JobStatus(JobState.ENDED, code, said=said)
    return JobStatus(JobState.ENDED, code)


def _taken(pod: Seen) -> str | None:
    """Say who took a pod away; None where nobody did."""
    status = pod.get("status", {})
    if status.get("reason") == "Evicted":
        return _with_words("Its pod was evicted from its node", status)
    for each in status.get("conditions") or []:
        if each.get("type") == "DisruptionTarget" and each.get("status") == "True":
            return _with_words(f"Kubernetes took its pod away ({each.get('reason')})", each)
    reason = str(status.get("reason") or "")
    if reason in _TAKEN or reason.startswith("OutOf"):
        return _with_words(f"Its node took its pod away ({reason})", status)
    return None


def _pending(pod: Seen, events: Sequence[Seen], now: datetime, patience: timedelta) -> PodReading:
    waited = now - _time(pod["metadata"].get("creationTimestamp"), now)
    waiting = _waiting(pod)
    reason = waiting.get("reason", "")
    if reason in _NO_IMAGE:
        image = str(pod.get("spec", {}).get("containers", [{}])[0].get("image", ""))
        said = _with_words(f"Its image cannot be had: {image} ({reason})", waiting)
        return _given_up(said, is_hopeless=waited > _IMAGE_PATIENCE or reason == "InvalidImageName")
    if reason in _NOT_MADE:
        said = _with_words(f"Its container cannot be made ({reason})", waiting)
        return _given_up(said, is_hopeless=waited > _IMAGE_PATIENCE)
    unscheduled = _unscheduled(pod)
    if unscheduled is not None:
        said = _with_words("No node has room for it", unscheduled)
    else:
        said = _latest(events, {"FailedMount", "FailedAttachVolume", "Failed", "FailedCreatePodSandBox"})
    return _given_up(said, is_hopeless=waited > patience, waited=patience)


def _unmade(job: Seen, events: Sequence[Seen], now: datetime, patience: timedelta) -> PodReading:
    """Tell of a job that has no pod: one was forbidden, or is about to come."""
    begun = job.get("status", {}).get("startTime") or job["metadata"].get("creationTimestamp")
    failed = _latest(events, {"FailedCreate"})
    said = f"Its pod is not let in: {failed}" if failed else ""
    return _given_up(said, is_hopeless=now - _time(begun, now) > patience, waited=patience)


def _given_up(said: str, *, is_hopeless: bool, waited: timedelta | None = None) -> PodReading:
    """Tell of a job that has not started: it waits on, or is given up."""
    if not is_hopeless:
        return PodReading(JobStatus(JobState.QUEUED, said=said))
    if waited is not None:
        said = never_started(said, waited)
    return PodReading(JobStatus(JobState.ENDED, None, said=said), is_hopeless=True)


def _conditions(job: Seen) -> list[Seen]:
    return job.get("status", {}).get("conditions") or []


def _of_container(pod: Seen) -> Iterator[Seen]:
    for each in pod.get("status", {}).get("containerStatuses") or []:
        if each.get("name") == CONTAINER:
            yield each.get("state") or {}


def _terminated(pod: Seen) -> Seen | None:
    return next((state["terminated"] for state in _of_container(pod) if state.get("terminated")), None)


def _waiting(pod: Seen) -> Seen:
    return next((state["waiting"] for state in _of_container(pod) if state.get("waiting")), {})


def _unscheduled(pod: Seen) -> Seen | None:
    for each in pod.get("status", {}).get("conditions") or []:
        if each.get("type") == "PodScheduled" and each.get("status") == "False":
            return each  # type: ignore[no-any-return]
    return None


def _limit(pod: Seen, resource: str) -> str:
    for each in pod.get("spec", {}).get("containers") or []:
        if each.get("name") == CONTAINER:
            return str(((each.get("resources") or {}).get("limits") or {}).get(resource, ""))
    return ""


def _latest(events: Sequence[Seen], reasons: set[str]) -> str:
    """Return the words of the last warning for one of some reasons."""
    found = [each for each in events if each.get("reason") in reasons]
    last = max(found, key=lambda each: str(each.get("lastTimestamp") or each.get("eventTime") or ""), default={})
    return in_a_line(str(last.get("message") or ""))


def _with_words(sentence: str, of: Seen) -> str:
    words = in_a_line(str(of.get("message") or "")).rstrip(".")
    return f"{sentence}: {words}." if words else f"{sentence}."


def _time(text: object, otherwise: datetime) -> datetime:
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC)
    except ValueError:
        return otherwise
