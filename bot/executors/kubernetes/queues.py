"""Kueue's queues: whether the one that config names is there, and why a job waits in it."""

from __future__ import annotations

from dataclasses import dataclass

from bot.executors.kubernetes.config import KubernetesSection
from bot.executors.kubernetes.connection import NOT_FOUND, KubernetesConnection, in_a_line

_GROUP = "kueue.x-k8s.io"
_BEYOND, _WITHIN = ("> maximum capacity", "unavailable in ClusterQueue"), "insufficient unused quota"


@dataclass(frozen=True, slots=True)
class QueueWait:
    said: str = ""  # by Kueue; empty where it does not say, or Herald may not see it
    is_hopeless: bool = False  # no flavor of the queue ever has so much


def why_it_waits(cluster: KubernetesConnection, section: KubernetesSection, uid: str) -> QueueWait:
    """Tell what Kueue says of a job that it holds back, by the condition of the job's Workload (QuotaReserved).

    Raises:
        ExecutorAwayError: where the cluster cannot be asked.
    """
    version = _version(cluster) if section.queue is not None else ""
    if not version:
        return QueueWait()
    path = f"/apis/{version}/namespaces/{section.namespace}/workloads"
    for workload in cluster.all_of(path, {"labelSelector": f"{_GROUP}/job-uid={uid}"}):
        for each in (workload.get("status") or {}).get("conditions") or []:
            if each.get("type") == "QuotaReserved" and each.get("status") == "False":
                said = in_a_line(str(each.get("message") or "")).rstrip(".")
                return QueueWait(said, any(words in said for words in _BEYOND) and _WITHIN not in said)
    return QueueWait()


def _version(cluster: KubernetesConnection) -> str | None:
    """Return the version of Kueue's API; empty where there is no Kueue, None where the cluster does not say."""
    groups = cluster.ask("GET", "/apis").body.get("groups") or []
    kueue = next((each for each in groups if each.get("name") == _GROUP), None)
    return str(kueue["preferredVersion"]["groupVersion"]) if kueue is not None else "" if groups else None


def why_no_queue(cluster: KubernetesConnection, section: KubernetesSection) -> str:
    """Say that the queue of config is not there; nothing where it is, where there is to be none, or Herald may not see.

    Raises:
        ExecutorAwayError: where the cluster cannot be asked.
    """
    if section.queue is None:
        return ""
    version = _version(cluster)
    if not version:
        return "" if version is None else f"{cluster.place} has no Kueue, whose queue {section.queue!r} config names"
    found = cluster.ask("GET", f"/apis/{version}/namespaces/{section.namespace}/localqueues/{section.queue}")
    if found.status != NOT_FOUND:
        return ""
    return f"{cluster.place} has no queue {section.queue!r} in namespace {section.namespace}"
