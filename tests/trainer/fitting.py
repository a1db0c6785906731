"""A job fitted in this process, and what it came to."""

import json
from pathlib import Path

import torch

from trainer.__main__ import main


def fit(job: Path, *overrides: str) -> int:
    return main(["fit", str(job), *(word for override in overrides for word in ("--set", override))])


def result_of(folder: Path) -> dict:
    return json.loads((folder / "result.json").read_text())


def weights_of(task) -> dict[str, torch.Tensor]:
    if hasattr(task, "encoder"):
        return dict(task.encoder.model.state_dict())
    return {**task.model.model.state_dict(), **{f"head.{k}": v for k, v in task.model.head.state_dict().items()}}
