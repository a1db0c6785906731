"""How a job runs: on what it computes, and when it is kept to be gone on with."""

from typing import Annotated, Literal

from pydantic import Field

from trainer.jobs.fields import Count, FilePath, Positive, Section


class CheckpointJob(Section):
    """When a fit writes down where it stands, so that one that was killed goes on from there."""

    every: Positive = 5.0  # minutes; and when the fit is told to stop
    keep: Annotated[int, Field(ge=0)] = 2  # the last so many; 0: none are written
    folder: FilePath | None = None  # default: `.checkpoints` beside the output


class DeviceJob(Section):
    """What a job computes on; the rest of the file is the same everywhere."""

    kind: Literal["auto", "cpu", "cuda", "mps"] = "auto"  # auto: a GPU where torch finds one
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"  # bf16 on CUDA from Ampere on, fp16 before; else fp32
    compile: Literal["auto"] | bool = "auto"  # the layers that are trained; auto: on CUDA, where torch can
    shard: Literal["auto"] | bool = "auto"  # of several processes each holds a part; auto: where a whole one won't fit


PROCESSOR_ALONE = DeviceJob(kind="cpu", precision="fp32", compile=False)


class ExplainJob(Section):
    """Why answers were given; kept beside the metrics."""

    worst: Annotated[int, Field(ge=0, le=20)] = 0  # examples of relevance or retrieval; none by default


class EarlyStopJob(Section):
    """When a training ends before its last step: the loss of the valid rows falls no more."""

    looks: Count = 4  # at the valid rows, an epoch
    patience: Count = 3  # looks that may bring nothing lower; the weights of the lowest are kept
