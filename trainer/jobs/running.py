"""How a job runs, which decides none of its numbers: when it is kept to be gone on with."""

from typing import Annotated

from pydantic import Field

from trainer.jobs.fields import FilePath, Positive, Section


class CheckpointJob(Section):
    """When a fit writes down where it stands, so that one that was killed goes on from there."""

    every: Positive = 5.0  # minutes; and when the fit is told to stop
    keep: Annotated[int, Field(ge=0)] = 2  # the last so many; 0: none are written
    folder: FilePath | None = None  # default: `.checkpoints` beside the output
