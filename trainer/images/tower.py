"""A frozen image tower: pictures in, a vector each out."""

# Shape suffixes, scoped to this file:
#   B = pictures of a batch, I = pictures, S = pixels a side, C = 3 colours, D = width of a vector

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.errors import ModelError
from trainer.images.lite_folder import find_converted, open_lite, read_card
from trainer.images.loaded_tower import LoadedTower
from trainer.images.pictures import Pixels
from trainer.images.transformers_tower import open_transformers
from trainer.models.device import PROCESSOR, Device
from trainer.models.model_form import copy_files

Vectors = npt.NDArray[np.float32]  # (I, D)
BATCH = 32


class ImageTower(Protocol):
    """What sees pictures, and never learns."""

    @property
    def name(self) -> str:
        """Give what it is, such as efficientnet-lite0."""
        ...

    @property
    def width(self) -> int:
        """Give the numbers of a vector."""
        ...

    @property
    def size(self) -> int:
        """Give the pixels a side of the pictures that it takes."""
        ...

    @property
    def licence(self) -> str:
        """Give under which licence its weights are, as whoever published them says, or that they say none."""
        ...

    @property
    def sha256(self) -> str:
        """Give the digest of its weights' files, one after the other."""
        ...

    def vectors(self, pictures: Iterable[Pixels], *, batch: int = BATCH) -> Vectors:
        """Give the (I, D) vectors of some pictures of (S, S, 3), so many at a time; not of length one."""
        ...

    def save(self, folder: Path) -> None:
        """Write a folder that open_tower reads; it may be there already."""
        ...


class FrozenTower:
    """A network that was loaded, in evaluation mode, on a job's device."""

    def __init__(self, loaded: LoadedTower, device: Device = PROCESSOR) -> None:
        self.loaded, self.device = loaded, device
        loaded.network.eval().requires_grad_(requires_grad=False).to(device.kind)
        self.mean_C = device.put(torch.tensor(loaded.mean))
        self.deviation_C = device.put(torch.tensor(loaded.deviation))
        self.width = self._measure_width()

    @property
    def name(self) -> str:
        """Give what it is."""
        return self.loaded.name

    @property
    def size(self) -> int:
        """Give the pixels a side of the pictures that it takes."""
        return self.loaded.size

    @property
    def licence(self) -> str:
        """Give under which licence its weights are."""
        return self.loaded.licence

    @property
    def sha256(self) -> str:
        """Give the digest of its weights."""
        return self.loaded.sha256

    def vectors(self, pictures: Iterable[Pixels], *, batch: int = BATCH) -> Vectors:
        """Give the (I, D) vectors of some pictures, so many at a time."""
        found = [self._see(np.stack(some)) for some in _batches(pictures, batch)]
        return np.concatenate(found) if found else np.zeros((0, self.width), np.float32)

    def save(self, folder: Path) -> None:
        """Copy what it was loaded from."""
        copy_files(self.loaded.folder, folder, [path.name for path in self.loaded.files])

    def _see(self, pixels_BSSC: npt.NDArray[np.uint8]) -> Vectors:
        # In single precision whatever the job's: it is done once, and what is kept serves jobs on other devices.
        with torch.inference_mode():
            colours = (self.device.put(torch.from_numpy(pixels_BSSC)).float() - self.mean_C) / self.deviation_C
            # Colours stay innermost, as they lie in the pixels: Lite0 takes 0.6 of the time that it would else.
            found: Tensor = self.loaded.run(colours.permute(0, 3, 1, 2))
            return found.cpu().numpy()

    def _measure_width(self) -> int:
        """Try the network with a grey picture; raise ModelError where it gives no vector for it."""
        grey = np.full((1, self.size, self.size, 3), 128, np.uint8)
        where = self.loaded.folder
        try:
            found = self._see(grey)
        except Exception as error:  # noqa: BLE001 - a network that wants something else fails in its own way
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ModelError(f"{where}: sees no picture of {self.size} x {self.size} pixels: {reason}") from None
        if found.ndim != 2 or len(found) != 1 or not np.isfinite(found).all():  # noqa: PLR2004 - pictures and numbers
            raise ModelError(f"{where}: gives no vector of finite numbers for a picture")
        return int(found.shape[1])


def open_tower(source: str | Path, device: Device = PROCESSOR, cache: Path | None = None) -> ImageTower:
    """Load the tower that an installed package (a str) or a folder (a Path) holds; raise ModelError.

    A package's weights are converted to safetensors once, in *cache* (default: the user's). A folder is what `images
    convert` wrote or any image model of transformers with its preprocessor_config.json; safetensors alone are read.
    """
    folder = find_converted(source, cache) if isinstance(source, str) else source
    if not folder.is_dir():
        raise ModelError(f"{folder}: there is no such folder of an image tower")
    return FrozenTower(open_lite(folder) if read_card(folder) is not None else open_transformers(folder), device)


def _batches(pictures: Iterable[Pixels], batch: int) -> Iterator[list[Pixels]]:
    left = iter(pictures)
    while some := list(islice(left, batch)):
        yield some
