"""Whether the processes of a crew have read the same: on several machines each has its own files."""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from trainer.errors import DataError

if TYPE_CHECKING:
    from trainer.models.crew import Crew
    from trainer.task import Task

READ = ("other data", "another model")


def check_read_alike(task: "Task", crew: "Crew") -> None:
    """Raise DataError in all of them where one has read other data or another model than the first."""
    if crew.is_alone:
        return
    own = digests_of(task)
    if crew.leads:
        crew.tell(" ".join(own))
        first: Sequence[str] = own
    else:
        first = crew.hear().split()
    apart = torch.tensor([mine != theirs for mine, theirs in zip(own, first, strict=True)], dtype=torch.int64)
    for count, what in zip(crew.sum_up(apart).tolist(), READ, strict=True):
        if count:
            raise DataError(
                f"{count} of {crew.size} processes read {what} than the first: all machines have to have the same"
            )


def digests_of(task: "Task") -> tuple[str, str]:
    """Give what stands for the data and for the model that a process has read."""
    model = repr(sorted((name, value) for name, value in task.facts().items()))
    return task.card.hash, hashlib.sha256(model.encode()).hexdigest()
