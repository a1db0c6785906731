"""What a model that was fitted with pictures is saved with: the two maps, and the catalogue's pictures in the space."""

# Shape suffixes, scoped to this file:
#   P = distinct pictures, I = products of the catalogue, S = size of the space

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from trainer.data.json_texts import parse_json
from trainer.errors import ModelError
from trainer.models.picture_search import NO_PICTURE, PictureSearch, make_picture_engine
from trainer.models.picture_space import PictureSpace

Vectors = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

SETTINGS, TENSORS = "pictures.json", "pictures.safetensors"
SPACE, PICTURES, PLACES = "space.", "pictures", "places"


@dataclass(frozen=True, slots=True)
class PictureSettings:
    """What is said beside the tensors."""

    size: int  # of the space
    weight: float  # of the pictures in the fusion, the rest is the texts'
    tower: str  # what saw the pictures
    tower_sha256: str
    tower_licence: str
    temperature: float


@dataclass(frozen=True, slots=True)
class SavedPictures:
    """A space, and the catalogue's pictures in it."""

    settings: PictureSettings
    space: PictureSpace
    unit_PS: Vectors
    place_I: Ints  # among the pictures, NO_PICTURE where a product has none

    def search(self, has_text_I: Mask) -> PictureSearch:
        """Index the pictures of the catalogue the model was saved with."""
        if len(has_text_I) != len(self.place_I):
            raise ModelError(f"{TENSORS}: is of {len(self.place_I)} products, the catalogue of {len(has_text_I)}")
        return PictureSearch(
            make_picture_engine(self.unit_PS, self.place_I, has_text_I), self.space, self.settings.weight
        )


def save_pictures(saved: SavedPictures, folder: Path) -> None:
    """Write settings and tensors beside the encoder."""
    (folder / SETTINGS).write_text(json.dumps(asdict(saved.settings), indent=2) + "\n", encoding="utf-8")
    tensors = {f"{SPACE}{name}": tensor.contiguous() for name, tensor in saved.space.state_dict().items()}
    tensors |= {PICTURES: torch.from_numpy(saved.unit_PS), PLACES: torch.from_numpy(saved.place_I)}
    (folder / TENSORS).write_bytes(save(tensors))


def load_pictures(folder: Path) -> SavedPictures | None:
    """Read what `fit` wrote; None where a model knows no pictures. Raise ModelError where it is damaged."""
    path = folder / SETTINGS
    if not path.exists():
        return None
    try:
        settings = PictureSettings(**parse_json(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{path}: not settings this version can read: {str(error).splitlines()[0]}") from None
    path = folder / TENSORS
    try:
        tensors = load_file(path)
        pictures, places = tensors.pop(PICTURES).numpy(), tensors.pop(PLACES).numpy()
        state = {name.removeprefix(SPACE): tensor for name, tensor in tensors.items()}
        space = PictureSpace(state["text.weight"].shape[1], state["picture.weight"].shape[1], settings.size)
        space.load_state_dict(state)
    except (OSError, KeyError, IndexError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{path}: holds no pictures that can be read: {str(error).splitlines()[0]}") from None
    whole = pictures.ndim == 2 and places.ndim == 1 and pictures.shape[1] == settings.size  # noqa: PLR2004 - a matrix
    if not whole or (len(places) and not NO_PICTURE <= places.min() <= places.max() < len(pictures)):
        raise ModelError(f"{path}: pictures and their products do not fit each other: the model is damaged")
    if not all(np.isfinite(one).all() for one in (pictures, *(tensor.numpy() for tensor in state.values()))):
        raise ModelError(f"{path}: holds vectors that are no numbers: the model is damaged")
    return SavedPictures(settings, space.requires_grad_(requires_grad=False), pictures, places)
