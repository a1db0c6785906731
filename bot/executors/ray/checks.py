"""Whether a Ray cluster takes what Herald's pipelines will submit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bot.domain.checks import Check
from bot.errors import ExecutorAwayError
from bot.executors.cluster_section import ExecutorWants, JobWants
from bot.executors.ray.answers import node_resources
from bot.executors.ray.config import RaySection
from bot.executors.ray.connection import NotDoneError, RayConnection, UnknownJobError

_AWAY = "Check url (the dashboard's, http://head:8265) and token; jobs wait until the cluster can be asked."
_TOO_LARGE = "Ask for less in job.cpus, job.gpus or job.memory; it waits 15 minutes for such a node, and then fails."
_GIGABYTE = 10**9


def check_ray(section: RaySection, wants: ExecutorWants) -> Iterator[Check]:
    ray = RayConnection(section)
    try:
        version = ray.ask("GET", "/api/version").get("ray_version", "of an unknown version")
        yield Check("address", ok=True, said=f"{section.base} answers: Ray {version}")
        nodes = node_resources(ray.ask("GET", "/api/cluster_status"))
    except (ExecutorAwayError, NotDoneError, UnknownJobError) as error:
        yield Check("address", ok=False, said=str(error), remedy=_AWAY)
        return
    for name, job in wants.jobs.items():
        yield _judge_job(name, job, nodes)


def _judge_job(name: str, job: JobWants, nodes: Sequence[Mapping[str, float]]) -> Check:
    what = f"jobs of {name}"
    asked = {"CPU": job.cpus, "GPU": job.gpus, "memory": job.memory}
    wanted = {key: value for key, value in asked.items() if value}
    if not nodes:
        return Check(what, ok=True, said="Ray does not say what its nodes have")
    if any(all(node.get(key, 0) >= value for key, value in wanted.items()) for node in nodes):
        return Check(what, ok=True, said="a node has what they ask for")
    most = ", ".join(_say(key, max(node.get(key, 0) for node in nodes)) for key in wanted)
    said = (
        f"no node has what they ask for, {', '.join(_say(key, value) for key, value in wanted.items())}: at most {most}"
    )
    return Check(what, ok=False, said=said, remedy=_TOO_LARGE)


def _say(key: str, value: float) -> str:
    return f"{value / _GIGABYTE:,.1f} GB" if key == "memory" else f"{value:g} {key}"
