"""Where a model comes from: a package, a folder, the hub, the registry; safetensors only."""

import hashlib
from dataclasses import dataclass
from importlib import import_module
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.data.json_texts import parse_json
from trainer.errors import ModelError
from trainer.models.hub import fetch_from_hub
from trainer.models.model_form import FORM, ModelForm, form_facts, read_form, weight_files

if TYPE_CHECKING:
    from trainer.jobs.schema import ModelJob

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"  # of weights in several files
NEEDED = ("config.json", "tokenizer.json")
MADE_BY = {
    "tokenizer.json": ", which transformers' AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER) writes"
}
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model's folder, checked but not loaded."""

    folder: Path
    weights: tuple[Path, ...]  # model.safetensors, or its shards in order
    digest: str  # sha256 of the weights, one file after the other
    config: dict[str, Any]
    commit: str | None = None  # of a model that came from the hub

    @property
    def kind(self) -> str:
        """Give the family of the model, such as bert."""
        return str(self.config.get("model_type"))

    def facts(self) -> dict[str, str]:
        """Say which model it is, for whoever reads the run later."""
        read = {f"model.{name.partition('.')[0]}": digest_files((self.folder / name,)) for name in NEEDED}
        return {"model.digest": self.digest, **read} | (
            {"model.commit": self.commit} if self.commit is not None else {}
        )


def find_source(job: "ModelJob") -> ModelSource:
    """Find the model's folder and check it without loading it; raise ModelError."""
    found = fetch_from_hub(job.name, job.revision) if job.name is not None else None
    folder = _folder(job) if found is None else found.folder
    if not folder.is_dir():
        raise ModelError(f"{folder}: there is no such model folder")
    weights = find_weights(folder)
    for name in NEEDED:
        if not (folder / name).is_file():
            raise ModelError(f"{folder}: holds no {name}{MADE_BY.get(name, '')}")
    digest = digest_files(weights)
    if job.sha256 is not None and digest != job.sha256:
        raise ModelError(f"{weights[0]}: sha256 is {digest[:12]}..., not {job.sha256[:12]}... as the job file says")
    config = read_object(folder / "config.json", "a model's configuration")
    return ModelSource(folder, weights, digest, config, None if found is None else found.commit)


def reading_facts(source: ModelSource, form: ModelForm, max_tokens: int, pooling: str) -> dict[str, str | int]:
    """Say which model it is, in what form, and how it reads."""
    read: dict[str, str | int] = {
        "model.kind": source.kind,
        "model.max_tokens": max_tokens,
        "model.pooled_by": pooling,
    }
    return {**source.facts(), **form_facts(form), **read}


def count_parameters(source: ModelSource) -> int:
    """Count the model's numbers without reading them; none of a graph, nor of a file that is damaged: loading tells."""
    from safetensors import SafetensorError, safe_open

    total = 0
    for path in source.weights:
        try:
            with safe_open(path, "numpy") as opened:
                total += sum(prod(opened.get_slice(name).get_shape()) for name in opened.keys())  # noqa: SIM118
        except (OSError, SafetensorError):
            return 0
    return total


def _folder(job: "ModelJob") -> Path:
    if job.folder is not None:
        return job.folder
    if job.package is not None:
        return _package_folder(job.package)
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


def find_weights(folder: Path) -> tuple[Path, ...]:
    """Give the files of a folder that hold its weights, in order; raise ModelError where they are not safetensors."""
    if (folder / FORM).is_file():
        return weight_files(folder, read_form(folder))
    if (folder / WEIGHTS).is_file():
        return (folder / WEIGHTS,)
    if (folder / INDEX).is_file():
        return _find_shards(folder)
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
    instead = f"; {pickles[0]} is not read, it may run code" if pickles else ""
    raise ModelError(f"{folder}: holds no {WEIGHTS}{instead}")


def _find_shards(folder: Path) -> tuple[Path, ...]:
    places = read_object(folder / INDEX, "an index of weights").get("weight_map")
    if not isinstance(places, dict) or not places or not all(isinstance(name, str) for name in places.values()):
        raise ModelError(f"{folder / INDEX}: has no weight_map from weights to files")
    shards = tuple(folder / name for name in sorted(set(places.values())))
    for path in shards:
        if path.parent != folder or not path.is_file():
            raise ModelError(f"{folder}: holds no {path.name}, where {INDEX} says that weights are")
    return shards


def digest_files(weights: tuple[Path, ...]) -> str:
    """Give the sha256 of some files, one after the other."""
    digest = hashlib.sha256()
    for path in weights:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def read_object(path: Path, what: str) -> dict[str, Any]:
    """Read a JSON object; raise ModelError for anything else, which is not *what*."""
    try:
        found = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(found, dict):
        raise ModelError(f"{path}: not {what}")
    return found


def not_saved(folder: Path, *wanted: str) -> ModelError:
    """Give the error for a folder that holds no model of ours, with where it lies if that is next to it."""
    *others, last = wanted
    missing = f"neither {', '.join(others)} nor {last}" if others else f"no {last}"
    below = folder / "model"  # of an output folder
    there = f": {below}" if any((below / name).is_file() for name in wanted) else ""
    return ModelError(f"{folder}: holds {missing}; a model that `fit` saved does{there}")
