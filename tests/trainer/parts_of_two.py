"""Fits of one of two processes, each of which holds a part of the model; what they came to is written down.

Started by torchrun with the folder of a `cases.json`: a list of [name, job file, overrides, precision].
"""

import json
import os
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from tests.trainer.fitting import weights_of
from trainer.cli.launchers import launched_place
from trainer.errors import Dismissed
from trainer.jobs.file import load_job
from trainer.learning.checkpoints import NoCheckpoints
from trainer.models.crew import Crew, joined
from trainer.models.device import PROCESSOR
from trainer.models.shards import own_part
from trainer.tasks.loading import load_task


def fit_case(folder: Path, crew: Crew, name: str, path: str, overrides: list[str], precision: str) -> None:
    device = replace(PROCESSOR, precision=precision, crew=replace(crew, shards=True))
    task = load_task(load_job(Path(path), overrides), training=True, device=device)
    model = task.encoder.model if hasattr(task, "encoder") else task.model.model
    held = sum(own_part(one).numel() for one in model.parameters())
    (folder / f"{name}.{crew.rank}.json").write_text(json.dumps(held / sum(one.numel() for one in model.parameters())))
    told = []
    with suppress(Dismissed):
        task.fit(told.append, NoCheckpoints())
        save_file(
            {one: tensor.contiguous() for one, tensor in weights_of(task).items()}, folder / f"{name}.safetensors"
        )
        (folder / f"{name}.json").write_text(json.dumps([one.loss for one in told]))


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    place = launched_place()
    crew = Crew(place.rank, place.size, place.local_rank, place.local_size)
    with joined(crew):
        for case in json.loads((folder / "cases.json").read_text()):
            fit_case(folder, crew, *case)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    sys.stdout.flush()
    os._exit(0)
