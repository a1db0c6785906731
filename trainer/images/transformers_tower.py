"""An image model of transformers in a folder, such as CLIP's, SigLIP's, DINOv2's or ViT's, as a tower."""

# Shape suffixes, scoped to this file:
#   B = pictures of a batch, C = channels, S = pixels a side, T = patches, D = width of a vector

import re
from dataclasses import dataclass
from functools import partial
from json import dumps
from logging import ERROR
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer.data.told_names import shortened
from trainer.errors import ModelError
from trainer.images.loaded_tower import UNSAID, Colours, LoadedTower
from trainer.models.source import INDEX, digest_files, find_weights, read_object
from trainer.models.weight_checks import check_finite

CONFIG = "config.json"
PREPROCESSING = "preprocessor_config.json"
PROCESSING = "processor_config.json"  # where transformers 5 writes the same, as image_processor
README = "README.md"
BESIDE = (CONFIG, PREPROCESSING, PROCESSING, README, "LICENSE", INDEX)

# Of models of pictures and texts the part that sees pictures; of others AutoModel knows which class it is.
PROJECTED = "CLIPVisionModelWithProjection"
CLIP, SIGLIP = "clip", "siglip"
VISION = {CLIP: PROJECTED, SIGLIP: "SiglipVisionModel"}
MORE = ("clip_vision_model", "siglip_vision_model")
RIGHT = "an image model such as clip, siglip, dinov2 or vit is what this reads"
FLAGS = ("do_center_crop", "do_rescale", "do_normalize")
COLOURS = 3
MOST = 4096  # pixels a side
PATCHES = 3  # dimensions of a last state: (B, T, D); of convolutions it is (B, C, S, S)


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What a model wants to see."""

    size: int  # pixels a side
    mean: Colours  # 0 to 255
    deviation: Colours


def open_transformers(folder: Path) -> LoadedTower:
    """Load a folder as transformers wrote it, for the vector of a whole picture; raise ModelError.

    The vector is the projected one where the model has such (CLIP), else what its pooler gives, and where the file has
    no weights for a pooler the state of the first token, or the mean over a map.
    """
    weights = find_weights(folder)
    if not (folder / CONFIG).is_file():
        raise ModelError(f"{folder}: holds no {CONFIG}")
    config = read_object(folder / CONFIG, "a model's configuration")
    wanted = read_preprocessing(folder)
    model, pools = _load(folder, config)
    return LoadedTower(
        name=str(config.get("model_type")),
        network=model,
        run=partial(_run, model, pools=pools),
        size=wanted.size,
        mean=wanted.mean,
        deviation=wanted.deviation,
        licence=_licence(folder / README),
        sha256=digest_files(weights),
        folder=folder,
        files=(*weights, *(path for name in BESIDE if (path := folder / name).is_file())),
    )


def read_preprocessing(folder: Path) -> Preprocessing:
    """Read size, mean and deviation; raise ModelError where they are missing or no such numbers."""
    path = next((path for name in (PREPROCESSING, PROCESSING) if (path := folder / name).is_file()), None)
    if path is None:
        raise ModelError(
            f"{folder}: holds no {PREPROCESSING}, which says at what size and brightness pictures are seen"
        )
    told: Any = read_object(path, "what is done to pictures")
    if path.name == PROCESSING:
        told = told.get("image_processor")
        if not isinstance(told, dict):
            raise ModelError(f"{path}: image_processor is {_shown(told)}: an object that says what is done is right")
    for name in FLAGS:
        if told.get(name) is not None and not isinstance(told[name], bool):
            raise ModelError(f"{path}: {name} is {_shown(told[name])}: true or false is right")
    crops = told.get("do_center_crop", "crop_size" in told)
    size = _side(told.get("crop_size" if crops else "size"))
    if size is None or not 0 < size <= MOST:
        raise ModelError(f"{path}: says no size that is a square of at most {MOST} pixels a side")
    # (x * rescale - mean) / deviation, of x from 0 to 255.
    factor = told.get("rescale_factor", 1 / 255) if told.get("do_rescale", True) else 1.0
    if not (scale := _number(factor) or 0.0) > 0:
        raise ModelError(f"{path}: rescale_factor is {_shown(factor)}: a number above 0 is right")
    normalises = told.get("do_normalize", True)
    mean = _colours(told.get("image_mean") if normalises else [0.0] * 3, scale)
    deviation = _colours(told.get("image_std") if normalises else [1.0] * 3, scale)
    if mean is None or deviation is None or min(deviation) <= 0:
        raise ModelError(
            f"{path}: image_mean and image_std are not three numbers each, of which none of image_std is 0"
        )
    return Preprocessing(size, mean, deviation)


def _side(told: Any) -> int | None:
    """Give the pixels a side of what is written in one of three ways, None for what is no square."""
    if isinstance(told, dict):
        sides = [told[name] for name in ("height", "width", "shortest_edge") if told.get(name) is not None]
        told = sides[0] if sides and all(side == sides[0] for side in sides) else None
    return told if isinstance(told, int) and not isinstance(told, bool) else None


def _number(told: Any) -> float | None:
    """Give what is a finite number, None for all else that JSON has."""
    if isinstance(told, bool) or not isinstance(told, int | float):
        return None
    try:
        return float(told) if isfinite(told) else None
    except OverflowError:  # JSON's whole numbers have no end
        return None


def _colours(told: Any, scale: float) -> Colours | None:
    numbers = [_number(one) for one in told] if isinstance(told, list) else []
    found = [number / scale for number in numbers if number is not None]
    if len(numbers) != COLOURS or len(found) != COLOURS or not all(isfinite(one) for one in found):
        return None
    red, green, blue = found
    return red, green, blue


def _shown(told: Any) -> str:
    return shortened(dumps(told, ensure_ascii=False))


def _load(folder: Path, config: dict[str, Any]) -> tuple[Any, bool]:
    """Give the model, and whether its pooler has weights of its own, or needs none."""
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_MAPPING_NAMES
    from transformers.utils import logging

    logging.set_verbosity(ERROR)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    kind = str(config.get("model_type"))
    if kind not in (*VISION, *MORE, *MODEL_FOR_IMAGE_MAPPING_NAMES):
        raise ModelError(
            f"{folder / CONFIG}: model_type is {shortened(kind)!r}, which sees no picture by itself; {RIGHT}"
        )
    architectures = config.get("architectures")
    projects = isinstance(architectures, list) and PROJECTED in architectures
    loader = getattr(transformers, PROJECTED if projects else VISION.get(kind, "AutoModel"))
    try:
        shape = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        if kind == CLIP:  # which says how wide its projection is for both parts, and may say it for one otherwise
            shape.vision_config.projection_dim = shape.projection_dim
            shape = shape.vision_config
        model, told = loader.from_pretrained(
            folder,
            config=shape.vision_config if kind == SIGLIP else shape,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except Exception as error:  # noqa: BLE001 - a folder may be wrong in every way, and each has its own exception
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{folder}: makes no model: {reason}") from None
    missing = sorted(told["missing_keys"])
    if others := [name for name in missing if "pooler" not in name]:
        raise ModelError(f"{folder}: weight '{others[0]}' is missing")
    check_finite(model.named_parameters(), folder)
    return model, not missing


def _run(model: Any, pixels_BCSS: Tensor, *, pools: bool) -> Tensor:
    found = model(pixel_values=pixels_BCSS)
    projected: Tensor | None = getattr(found, "image_embeds", None)
    if projected is not None:
        return projected
    pooled: Tensor | None = getattr(found, "pooler_output", None)
    if pools and pooled is not None:
        return pooled.flatten(1)
    state: Tensor = found.last_hidden_state
    return state[:, 0] if state.ndim == PATCHES else state.mean((2, 3))


def _licence(readme: Path) -> str:
    """Give what the head of a model's card says."""
    if not readme.is_file():
        return UNSAID
    head = re.match(r"---\n(.*?)\n---", readme.read_text(encoding="utf-8", errors="replace"), re.DOTALL)
    said = re.search(r"^license:[ \t]*(\S+)", head[1], re.MULTILINE) if head else None
    return shortened(said[1].strip("'\"")) if said else UNSAID
