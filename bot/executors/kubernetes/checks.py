"""What the doctor asks of a cluster: whether it answers, what Herald may do there, and whether it takes its jobs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from bot.domain.checks import Check
from bot.errors import ExecutorAwayError, JobError
from bot.executors.cluster_section import ExecutorWants, JobWants
from bot.executors.kubernetes.config import KubernetesSection
from bot.executors.kubernetes.connection import NOT_FOUND, KubernetesConnection
from bot.executors.kubernetes.manifests import job_manifest
from bot.executors.kubernetes.queues import why_no_queue
from bot.executors.kubernetes.room import what_is_too_much
from bot.ports import Job

_RIGHTS = (  # verb, group, resource
    *((verb, "batch", "jobs") for verb in ("create", "get", "list", "delete")),
    *((verb, "", "pods") for verb in ("get", "list")),
    ("get", "", "pods/log"),
)
_USEFUL = (("list", "", "events", "why a pod does not start, such as a quota, is told from them"),)
_ROLE = "docs/executors.md has a Role that gives what Herald needs."
_NAME = "herald-doctor"


def check_kubernetes(section: KubernetesSection, wants: ExecutorWants) -> Iterator[Check]:
    """Look at a cluster without making anything there: jobs are only tried (dryRun=All)."""
    cluster = KubernetesConnection(section)
    try:
        missing = [right for right in _RIGHTS if not _may(cluster, section, *right)]
        yield Check("answers", ok=True, said=f"{cluster.place}, namespace {section.namespace}")
        yield from _say_rights(cluster, section, missing)
        no_queue = why_no_queue(cluster, section)
        if no_queue:
            yield Check("queue", ok=False, said=no_queue, remedy="Name a LocalQueue of that namespace, or make it.")
        if _RIGHTS[0] not in missing:
            for pipeline, job in wants.jobs.items():
                yield _try_job(cluster, section, pipeline, job)
    except ExecutorAwayError as error:
        remedy = "Jobs that run there are waited for; none is started until it answers."
        yield Check("answers", ok=False, said=str(error), remedy=remedy)


def _may(cluster: KubernetesConnection, section: KubernetesSection, verb: str, group: str, resource: str) -> bool:
    kind, _, part = resource.partition("/")
    wanted = {"namespace": section.namespace, "verb": verb, "group": group, "resource": kind}
    if part:
        wanted["subresource"] = part
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": wanted},
    }
    answer = cluster.ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body=body)
    if not answer.is_well:
        raise ExecutorAwayError(f"{cluster.place} does not say what Herald may do: {answer.said}")
    return bool((answer.body.get("status") or {}).get("allowed"))


def _say_rights(
    cluster: KubernetesConnection, section: KubernetesSection, missing: list[tuple[str, str, str]]
) -> Iterator[Check]:
    if len(missing) == len(_RIGHTS):  # a server does not tell who has no rights there whether it is there
        said = (
            f"Herald may do nothing in namespace {section.namespace}: it is not there, or its account has no role in it"
        )
        yield Check("namespace", ok=False, said=said, remedy=f"Make it, or name another. {_ROLE}")
        return
    for verb, _, resource in missing:
        said = f"Herald may not {verb} {resource} in namespace {section.namespace}"
        yield Check("rights", ok=False, said=said, remedy=_ROLE)
    if not missing:
        yield Check("rights", ok=True, said="jobs can be made, seen and ended, and their logs read")
    for verb, group, resource, why in _USEFUL:
        if not _may(cluster, section, verb, group, resource):
            said = f"Herald may not {verb} {resource} in namespace {section.namespace}: {why}"
            yield Check("rights", ok=True, said=said, remedy=_ROLE)


def _try_job(cluster: KubernetesConnection, section: KubernetesSection, pipeline: str, wanted: JobWants) -> Check:
    """Ask whether the cluster would take a pipeline's job; it makes none."""
    name = f"job of {pipeline}"
    job = Job(
        fire_id=_NAME,
        command=wanted.command,
        folder=Path(),
        cwd=Path(wanted.cwd),
        environment={},
        timeout=timedelta(hours=1),
        memory=wanted.memory,
        cpus=wanted.cpus,
        gpus=wanted.gpus,
        owner=_NAME,
    )
    try:
        body = job_manifest(job, section)
    except JobError as error:
        return Check(name, ok=False, said=str(error), remedy="Say in config where the image has it.")
    tried = cluster.ask("POST", f"/apis/batch/v1/namespaces/{section.namespace}/jobs", {"dryRun": "All"}, body)
    if tried.status == NOT_FOUND:
        said = f"there is no namespace {section.namespace}: {tried.said}"
        return Check(name, ok=False, said=said, remedy="Make it, or name another.")
    if not tried.is_well:
        return Check(name, ok=False, said=f"would be refused: {tried.said}", remedy="Mend what it says, here or there.")
    too_much = what_is_too_much(cluster, section, job)
    if too_much:
        return Check(name, ok=False, said=too_much, remedy="Ask for less, or have the cluster give more.")
    return Check(name, ok=True, said="would be taken")
