"""From a job to the Job object that Kubernetes is given."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from bot.errors import JobError
from bot.executors.kubernetes.config import FROM_HERALD, KubernetesSection, MountSection
from bot.ports import Job

OWNER = "herald/owner"  # an annotation: whose job it is
QUEUE = "kueue.x-k8s.io/queue-name"
CONTAINER = "job"
_LONGEST_VALUE = 63  # characters of a label's


def job_manifest(job: Job, section: KubernetesSection) -> dict[str, Any]:
    """Return the Job object of a job: one pod, tried once, that ends when its time is up.

    Raises:
        JobError: where config does not say where the job's folder is.
    """
    labels = {**section.labels, "app.kubernetes.io/managed-by": "herald", "herald/owner": _label_value(job.owner)}
    queued = {} if section.queue is None else {QUEUE: section.queue}
    spec = {
        "backoffLimit": 0,
        "activeDeadlineSeconds": max(int(job.timeout.total_seconds()), 1),
        "template": {"metadata": {"labels": labels}, "spec": _pod(job, section)},
    }
    if section.keep is not None:
        spec["ttlSecondsAfterFinished"] = int(section.keep.total_seconds())
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job.name,
            "namespace": section.namespace,
            "labels": {**labels, **queued},
            "annotations": {OWNER: job.owner},
        },
        "spec": spec,
    }


def is_ours(found: Mapping[str, Any], job: Job) -> bool:
    """Say whether a Job object is that of a job, and not another Herald's of the same name."""
    annotations = found.get("metadata", {}).get("annotations") or {}
    return bool(annotations.get(OWNER) == job.owner)


def _pod(job: Job, section: KubernetesSection) -> dict[str, Any]:
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "enableServiceLinks": False,
        "automountServiceAccountToken": section.service_account is not None,
        "containers": [_container(job, section)],
    }
    if section.service_account is not None:
        pod["serviceAccountName"] = section.service_account
    if section.pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in section.pull_secrets]
    if section.node_selector:
        pod["nodeSelector"] = dict(section.node_selector)
    if section.tolerations:
        pod["tolerations"] = [each.model_dump(exclude_none=True) for each in section.tolerations]
    if section.priority_class is not None:
        pod["priorityClassName"] = section.priority_class
    if section.mounts:
        pod["volumes"] = [{"name": f"mount-{place}", **_source(each)} for place, each in enumerate(section.mounts)]
    return pod


def _container(job: Job, section: KubernetesSection) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": CONTAINER,
        "image": section.image,
        "command": [_as_it_is(word) for word in job.command],
        "env": [*_variables(job, section)],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    folder = _folder(job, section)
    if folder:
        container["workingDir"] = folder
    if section.pull_policy is not None:
        container["imagePullPolicy"] = section.pull_policy
    wanted = resources_of(job, section)
    if wanted:
        container["resources"] = {"requests": wanted, "limits": dict(wanted)}
    if section.mounts:
        container["volumeMounts"] = [_mounted(place, each) for place, each in enumerate(section.mounts)]
    return container


def resources_of(job: Job, section: KubernetesSection) -> dict[str, str]:
    """Return what a job asks for, in Kubernetes' names and units."""
    wanted = {
        "cpu": job.cpus or section.cpus,
        "memory": job.memory or section.memory,
        section.gpu_resource: job.gpus or section.gpus,
    }
    return {name: str(count) for name, count in wanted.items() if count is not None}


def _variables(job: Job, section: KubernetesSection) -> Iterator[dict[str, Any]]:
    """Yield the job's variables; those that config takes from secrets stand in for plain ones, never for Herald's."""
    for name, value in job.environment.items():
        if name not in section.secrets or name in FROM_HERALD:
            yield {"name": name, "value": _as_it_is(value)}
    for name, place in section.secrets.items():
        if name not in FROM_HERALD:
            secret, _, key = place.partition("/")
            yield {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def _as_it_is(word: str) -> str:
    """Write a word so that Kubernetes, which puts variables in place of `$(NAME)`, leaves it as it is."""
    return word.replace("$", "$$")


def _folder(job: Job, section: KubernetesSection) -> str:
    own = PurePosixPath(str(job.cwd))
    if str(own) == "." and not section.workdir:
        return ""
    folder = PurePosixPath(section.workdir) / own
    if not folder.is_absolute():
        raise JobError(f'job.cwd = "{own}" starts nowhere: the section of its executor has no workdir = "/..."')
    return str(folder)


def _source(mount: MountSection) -> dict[str, Any]:
    if mount.claim is not None:
        return {"persistentVolumeClaim": {"claimName": mount.claim, "readOnly": mount.read_only}}
    if mount.config_map is not None:
        return {"configMap": {"name": mount.config_map}}
    return {"secret": {"secretName": mount.secret}}


def _mounted(place: int, mount: MountSection) -> dict[str, Any]:
    sub_path = {"subPath": mount.sub_path} if mount.sub_path else {}
    return {"name": f"mount-{place}", "mountPath": mount.path, "readOnly": mount.read_only, **sub_path}


def _label_value(text: str) -> str:
    """Return a text as a label can hold it, to be looked for by people."""
    return re.sub(r"[^-A-Za-z0-9_.]", ".", text)[:_LONGEST_VALUE].strip("-_.")
