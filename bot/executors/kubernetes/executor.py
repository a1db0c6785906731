"""Runs jobs on Kubernetes: each a Job object by the name of its fire, so that there can never be two."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from bot.errors import ExecutorAwayError, JobError
from bot.executors.kubernetes.config import KubernetesSection
from bot.executors.kubernetes.connection import CONFLICT, FORBIDDEN, NOT_FOUND, KubernetesAnswer, KubernetesConnection
from bot.executors.kubernetes.manifests import CONTAINER, is_ours, job_manifest
from bot.executors.kubernetes.queues import why_it_waits, why_no_queue
from bot.executors.kubernetes.standing import is_queued, never_started, read_standing, untold
from bot.executors.submission_notes import SubmissionNote, SubmissionStep, alone, read_note, write_note
from bot.ports import Job, JobState, JobStatus, LogPart, Submission

_PART = 1_000_000  # bytes of a log
_PATIENCE = 30.0  # seconds for which another Herald may be about to submit the same
_REMEMBERED = 3600.0  # seconds for which a cluster surely has the Job object of a job that it took: `keep` is no less


class KubernetesExecutor:
    """A namespace in which jobs run.

    A Job object may be gone when Herald comes back: the job's folder says that it was sent, and then it is not again.
    """

    def __init__(self, section: KubernetesSection) -> None:
        self._section = section
        self._cluster = KubernetesConnection(section)
        self._jobs = f"/apis/batch/v1/namespaces/{section.namespace}/jobs"
        self._core = f"/api/v1/namespaces/{section.namespace}"

    def submit(self, job: Job) -> Submission:
        with alone(job.folder, _PATIENCE):
            note = read_note(job.folder)
            if note is not None and note.is_accepted:
                return Submission.ADOPTED
            made = job_manifest(job, self._section)
            is_forgotten = note is not None and abs(time.time() - note.at) > _REMEMBERED
            sent = note or SubmissionNote(SubmissionStep.SENT, at=time.time())
            write_note(job.folder, sent)
            submission = Submission.ADOPTED if is_forgotten else self._send(job, made)
            write_note(job.folder, replace(sent, step=SubmissionStep.ACCEPTED))
            return submission

    def _send(self, job: Job, made: Mapping[str, Any]) -> Submission:
        no_queue = why_no_queue(self._cluster, self._section)
        if no_queue:
            return self._adopt(job, no_queue)
        answer = self._cluster.ask("POST", self._jobs, body=made)
        if answer.is_well and _is_job(answer.body, job):
            return Submission.STARTED
        if answer.is_well or (answer.status == CONFLICT and answer.body.get("reason") != "AlreadyExists"):
            raise ExecutorAwayError(f"{self._cluster.place} does not say what became of the job: {answer.said}")
        if answer.status == CONFLICT and self._find(job) is None:  # it is not shown yet, or was deleted in between
            raise ExecutorAwayError(f"{self._cluster.place} has the job and does not show it: {answer.said}")
        return self._adopt(job, f"{self._cluster.place} refuses the job: {answer.said}")

    def _adopt(self, job: Job, refusal: str) -> Submission:
        """Take a job that is there already for ours; where there is none, what was asked is refused for good."""
        found = self._find(job)
        if found is None:
            raise JobError(f"{refusal} (namespace {self._section.namespace})", said=refusal)
        if not is_ours(found.body, job):
            said = f"there is a job {job.name} in namespace {self._section.namespace}, which is not of {job.owner}"
            advice = "each Herald on a cluster needs an instance of its own in config, and somebody else another name"
            raise JobError(f"{said}: {advice}", said=said)
        return Submission.ADOPTED

    def look(self, job: Job) -> JobStatus:
        found = self._find(job)
        if found is None or not is_ours(found.body, job):
            return JobStatus(JobState.LOST, said=f"{self._cluster.place} knows no job {job.name} (any more).")
        pods = self._pods(job)
        note = read_note(job.folder)
        has_begun = note is not None and note.step is SubmissionStep.BEGUN
        with self._understood():
            if is_queued(found.body):
                return self._in_queue(job, found)
            name = untold(found.body, pods)
            events = self._events(name) if name else []
            reading = read_standing(found.body, pods, events, found.at, self._section.start_within, has_begun=has_begun)
        if reading.has_begun and note is not None and not has_begun:
            write_note(job.folder, replace(note, step=SubmissionStep.BEGUN))
        if reading.is_hopeless:
            self._delete(job, found)
        return reading.status

    def _in_queue(self, job: Job, found: KubernetesAnswer) -> JobStatus:
        """Tell of a job that Kueue holds back: for as long as that takes, unless its queue could never give so much."""
        waits = why_it_waits(self._cluster, self._section, str(found.body["metadata"]["uid"]))
        said = f"It waits for its queue: {waits.said}." if waits.said else "It waits for its queue."
        made = found.body["metadata"].get("creationTimestamp")
        is_late = found.at - datetime.fromisoformat(str(made)) > self._section.start_within if made else False
        if not (waits.is_hopeless and is_late):
            return JobStatus(JobState.QUEUED, said=said)
        self._delete(job, found)
        return JobStatus(JobState.ENDED, None, said=never_started(said, self._section.start_within))

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """Take an answer that has not the shape of Kubernetes' own for none."""
        try:
            yield
        except (LookupError, TypeError, ValueError, AttributeError):
            raise ExecutorAwayError(f"{self._cluster.place} says of a job what Kubernetes does not") from None

    def stop(self, job: Job) -> None:
        found = self._find(job)
        if found is not None and is_ours(found.body, job):
            self._delete(job, found)

    def log(self, job: Job, offset: int) -> LogPart:
        """Return a part of the pod's log; where its node has begun a new file, from the beginning of that."""
        pods = self._pods(job)
        if not pods:
            return LogPart(b"", offset)
        newest = max(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))
        path = f"{self._core}/pods/{newest['metadata']['name']}/log"
        limit = offset + _PART
        data = self._cluster.text(path, {"container": CONTAINER, "limitBytes": str(limit)}, limit)
        if len(data) < offset:
            return LogPart(data, len(data)) if data else LogPart(b"", offset)
        return LogPart(data[offset:], len(data))

    def _find(self, job: Job) -> KubernetesAnswer | None:
        """Return the Job object; None where the cluster says that there is none of its name."""
        answer = self._cluster.ask("GET", f"{self._jobs}/{job.name}")
        if answer.is_well and _is_job(answer.body, job):
            return answer
        with self._understood():
            named = (answer.body.get("details") or {}).get("name")
        if answer.status == NOT_FOUND and answer.body.get("reason") == "NotFound" and named == job.name:
            return None
        raise ExecutorAwayError(f"{self._cluster.place} does not say how the job stands: {answer.said}")

    def _delete(self, job: Job, found: KubernetesAnswer) -> None:
        """Delete a job with its pod, the one that was seen and no later one of its name."""
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Foreground",
            "preconditions": {"uid": found.body["metadata"]["uid"]},
        }
        answer = self._cluster.ask("DELETE", f"{self._jobs}/{job.name}", body=body)
        if answer.status == FORBIDDEN:
            raise JobError(f"job {job.name} lives on: {self._cluster.place} does not let it be ended: {answer.said}")
        if not answer.is_well and answer.status not in {NOT_FOUND, CONFLICT}:
            raise ExecutorAwayError(f"{self._cluster.place} does not say whether the job ends: {answer.said}")

    def _pods(self, job: Job) -> list[Mapping[str, Any]]:
        query = {"labelSelector": f"batch.kubernetes.io/job-name={job.name}"}
        answer = self._cluster.ask("GET", f"{self._core}/pods", query)
        if not answer.is_well or answer.body.get("kind") != "PodList":
            raise ExecutorAwayError(f"{self._cluster.place} does not show the job's pod: {answer.said}")
        return answer.items

    def _events(self, name: str) -> list[Mapping[str, Any]]:
        """Return what was noted of a job or a pod; nothing where Herald may not see it."""
        return self._cluster.all_of(f"{self._core}/events", {"fieldSelector": f"involvedObject.name={name}"})


def _is_job(body: Mapping[str, Any], job: Job) -> bool:
    metadata = body.get("metadata")
    if not isinstance(metadata, Mapping):
        return False
    return body.get("kind") == "Job" and metadata.get("name") == job.name and bool(metadata.get("uid"))
