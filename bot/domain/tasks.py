"""Experiments as tasks: the ticket of its own that a run, or a pipeline, is an experiment for."""

from __future__ import annotations

from collections.abc import Mapping

from bot.domain.objects import ObjectKey, ObjectKind

TASK_TAG = "herald.ticket"  # of a run, set by the team
_OURS = "task-"  # no marker begins so


def ticket_named(tags: Mapping[str, str], configured: str) -> str:
    """Return the ticket that a run names, or else its pipeline; empty where neither does."""
    return tags.get(TASK_TAG, "").strip() or configured


def task_of(service: str, ticket: str) -> ObjectKey:
    """Return the object that a ticket of the team's is to Herald, which comments on it and does nothing else."""
    return ObjectKey(service, ObjectKind.TICKET, f"{_OURS}{ticket}")


def ticket_of(task: ObjectKey) -> str | None:
    """Return what the service calls a task's ticket; None where that is one of Herald's own."""
    is_task = task.kind is ObjectKind.TICKET and task.name.startswith(_OURS)
    return task.name.removeprefix(_OURS) if is_task else None
