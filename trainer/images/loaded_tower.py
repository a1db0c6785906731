"""An image tower as it was read from a folder: its network, and what it wants to see."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

Colours = tuple[float, float, float]  # red, green, blue
UNSAID = "not said"


@dataclass(frozen=True, slots=True)
class LoadedTower:
    """A network with its numbers; not on any device yet."""

    name: str
    network: torch.nn.Module
    run: Callable[[Tensor], Tensor]  # (B, 3, S, S) pixels, mean and deviation applied, to (B, D) vectors
    size: int  # pixels a side
    mean: Colours  # 0 to 255
    deviation: Colours
    licence: str
    sha256: str  # of the weights' files, one after the other
    folder: Path
    files: tuple[Path, ...]  # what of the folder makes the tower
