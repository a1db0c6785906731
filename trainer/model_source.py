"""Where a model comes from: a package, a folder, the hub, the registry; safetensors only."""

import hashlib
import json
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.errors import ModelError

if TYPE_CHECKING:
    from trainer.config import ModelJob

WEIGHTS = "model.safetensors"
SHARDS = "model-*.safetensors"
NEEDED = ("config.json", "tokenizer.json")
PICKLES = ("pytorch_model.bin", "model.pt", "model.pkl")
FETCHED = ("*.safetensors", "*.json", "tokenizer*", "*.txt")


@dataclass(frozen=True, slots=True)
class ModelSource:
    folder: Path
    digest: str  # sha256 of model.safetensors, or of its shards in order
    config: dict[str, Any]

    @property
    def kind(self) -> str:
        return str(self.config.get("model_type"))


def find_source(job: "ModelJob", *, shards: bool = False) -> ModelSource:
    """Find the model's folder and check it without loading it; raise ModelError."""
    folder = _folder(job)
    if not folder.is_dir():
        raise ModelError(f"{folder}: there is no such model folder")
    weights = [folder / WEIGHTS] if (folder / WEIGHTS).is_file() else sorted(folder.glob(SHARDS)) if shards else []
    if not weights:
        pickles = [name for name in PICKLES if (folder / name).exists()]
        instead = f"; {pickles[0]} is not read, it may run code" if pickles else ""
        raise ModelError(f"{folder}: holds no {WEIGHTS}{instead}")
    for name in NEEDED:
        if not (folder / name).is_file():
            raise ModelError(f"{folder}: holds no {name}")
    digest = _digest(weights)
    if job.sha256 is not None and digest != job.sha256:
        raise ModelError(f"{weights[0]}: sha256 is {digest[:12]}..., not {job.sha256[:12]}... as the job file says")
    return ModelSource(folder, digest, _read_config(folder / "config.json"))


def _folder(job: "ModelJob") -> Path:
    if job.folder is not None:
        return job.folder
    if job.package is not None:
        return _package_folder(job.package)
    if job.name is not None:
        return _hub_folder(job.name)
    raise ModelError(f"model.registry: {job.registry} is fetched by the commands fit, evaluate and recommend alone")


def _package_folder(package: str) -> Path:
    try:
        module = import_module(package.replace("-", "_"))
    except ImportError:
        raise ModelError(f"model.package: {package!r} is not installed") from None
    locate = getattr(module, "get_model_path", None)
    if locate is None:
        raise ModelError(f"model.package: {package!r} offers no get_model_path()")
    return Path(locate())


def _hub_folder(name: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=list(FETCHED)))
    except Exception as error:  # noqa: BLE001 - the hub's client raises a dozen kinds for a name it cannot fetch
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"model.name: {name!r} cannot be fetched from the hub: {reason}") from None


def _digest(weights: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in weights:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(config, dict):
        raise ModelError(f"{path}: not a model's configuration")
    return config
