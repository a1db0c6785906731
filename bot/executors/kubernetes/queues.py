"""Kueue's queues: whether the one that config names is there."""

from __future__ import annotations

from bot.executors.kubernetes.config import KubernetesSection
from bot.executors.kubernetes.connection import NOT_FOUND, KubernetesConnection

_GROUP = "kueue.x-k8s.io"


def why_no_queue(cluster: KubernetesConnection, section: KubernetesSection) -> str:
    """Say that the queue of config is not there; nothing where it is, where there is to be none, or Herald may not see.

    Raises:
        ExecutorAwayError: where the cluster cannot be asked.
    """
    if section.queue is None:
        return ""
    groups = cluster.ask("GET", "/apis").body.get("groups") or []
    kueue = next((each for each in groups if each.get("name") == _GROUP), None)
    if kueue is None:
        return f"{cluster.place} has no Kueue, whose queue {section.queue!r} config names" if groups else ""
    version = kueue["preferredVersion"]["groupVersion"]
    found = cluster.ask("GET", f"/apis/{version}/namespaces/{section.namespace}/localqueues/{section.queue}")
    if found.status != NOT_FOUND:
        return ""
    return f"{cluster.place} has no queue {section.queue!r} in namespace {section.namespace}"
