"""Whether each of several processes holds the whole model that they train, or a part of it."""

import sys
from dataclasses import replace

import torch

from trainer.environment import free_memory
from trainer.errors import JobError
from trainer.jobs.schema import AnyJob
from trainer.models.device import CUDA, FP16, Device
from trainer.models.source import find_source
from trainer.tasks.memory_needs import fits_whole


def share_model(job: AnyJob, device: Device) -> Device:
    """Let each process hold a part of the model, where the job says so or a whole one does not fit; raise JobError."""
    wanted, crew = job.device.shard, device.crew
    if crew.is_alone:
        if wanted is True:
            raise JobError(
                "device.shard = true: one process has none to share the model with: torchrun starts several, or"
                ' "auto" or false is right'
            )
        return device
    if wanted == "auto":
        source = find_source(job.model)  # by all: nobody waits for another's download
        # By the first's chip, and said as it says all else: whoever ends meanwhile waits for a word of it.
        if crew.leads:
            wanted = not fits_whole(source, job, _room(device))
            crew.tell(str(wanted))
        else:
            wanted = crew.hear() == str(True)
    if not wanted:
        return device
    if device.precision == FP16:
        raise JobError(
            'device.precision = "fp16": a model of which each process holds a part computes in fp32 or bf16; "fp32" is'
            " right, or device.shard = false where a whole one fits"
        )
    if job.device.compile is True:
        raise JobError(
            "device.compile = true: layers of which each process holds a part are not compiled; "
            '"auto" or false is right, or device.shard = false'
        )
    return replace(device, crew=replace(crew, shards=True), compiles=False)


def _room(device: Device) -> int:
    """Give how many bytes a process has for its model: of a machine's memory its share."""
    if device.kind == CUDA:
        return torch.cuda.mem_get_info()[0]
    free = free_memory()
    return sys.maxsize if free is None else free.size // device.crew.local_size
