"""Whether a job asks for more than there is: than a quota of its namespace lets it have, or than any node has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from bot.executors.kubernetes.config import KubernetesSection
from bot.executors.kubernetes.connection import KubernetesConnection
from bot.executors.kubernetes.manifests import resources_of
from bot.ports import Job


def what_is_too_much(cluster: KubernetesConnection, section: KubernetesSection, job: Job) -> str:
    """Say what a job asks for beyond what it could ever get, as far as Herald may see; else nothing.

    Raises:
        ExecutorAwayError: where the cluster cannot be asked.
    """
    wanted = resources_of(job, section)
    quotas = cluster.all_of(f"/api/v1/namespaces/{section.namespace}/resourcequotas")
    for quota in quotas:
        for name, most in ((quota.get("spec") or {}).get("hard") or {}).items():
            kind, _, resource = name.partition(".") if name.startswith(("requests.", "limits.")) else ("", "", name)
            if _number(wanted.get(resource)) > _number(most, Decimal("inf")):
                what = f"{kind} of {resource}" if kind else resource
                said = f"asks for {wanted[resource]} {resource}, and the quota {quota['metadata']['name']!r}"
                return f"{said} of namespace {section.namespace} gives {most} ({what})"
    nodes = cluster.all_of("/api/v1/nodes")
    fitting = [node for node in nodes if _bears(node, section.node_selector)]
    if nodes and not fitting:
        return f"no node bears {dict(section.node_selector)}, which node_selector names"
    for name, count in wanted.items():
        most = max((room for node in fitting for room in _room(node, name)), default=Decimal(0))
        if nodes and _number(count) > most:
            return f"asks for {count} {name}, and no node has more than {most:f}"
    return ""


def _bears(node: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    own = node["metadata"].get("labels") or {}
    return all(own.get(name) == value for name, value in labels.items())


def _room(node: Mapping[str, Any], resource: str) -> Iterator[Decimal]:
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    if resource in allocatable:
        yield _number(allocatable[resource])


def _number(quantity: object, otherwise: Decimal = Decimal(0)) -> Decimal:
    from kubernetes.utils.quantity import parse_quantity

    try:
        return otherwise if quantity is None else Decimal(parse_quantity(quantity))  # type: ignore[no-untyped-call]
    except ValueError:
        return otherwise
