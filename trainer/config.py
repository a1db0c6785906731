"""Job file (TOML) -> frozen models."""

import os
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, ValidationError, ValidationInfo, model_validator
from pydantic_core import ErrorDetails

from trainer.data.jobs import HistoriesData, InteractionsData, PairsData
from trainer.errors import JobError
from trainer.sections import PACKAGED, Count, FilePath, Positive, Section, Share, SomeNames

FIRE_ID_VARIABLE = "HERALD_FIRE_ID"
PLAIN_SQLITE = "sqlite:///"
REGISTRY = "models:/"
SOURCES = ("package", "folder", "name", "revision", "registry", "sha256")  # keys that say which model


def _resolve_uri(value: object, info: ValidationInfo) -> object:
    """Read a SQLite file as relative to the job file's folder too, so that one rule holds for the whole file."""
    if not isinstance(value, str):
        return value
    if value.startswith(("http://", "https://", "postgresql", "mysql")):
        return value
    if not value.startswith(PLAIN_SQLITE):
        raise ValueError("not a tracking URI: sqlite:///FILE or http(s)://HOST is right")
    return f"{PLAIN_SQLITE}{Path(info.context or '.', value.removeprefix(PLAIN_SQLITE)).absolute()}"


TrackingUri = Annotated[str, BeforeValidator(_resolve_uri)]


class DataJob(Section):
    kind: Literal["snapshot"] = "snapshot"
    snapshot: FilePath


Part = Literal["train", "valid", "test"]


class ModelJob(Section):
    package: str | None = None  # an installed package that offers get_model_path()
    folder: FilePath | None = None
    name: str | None = None  # on the hub, where there is a network
    revision: Annotated[str, Field(min_length=1)] | None = None  # of `name`: a commit, tag or branch
    registry: Annotated[str, Field(pattern="^models:/.+")] | None = None  # models:/NAME@ALIAS or models:/NAME/VERSION
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = (
        None  # of model.safetensors, or of its shards one after the other
    )
    cache: FilePath | None = None  # keeps what the frozen layers give, for the next run
    max_tokens: Annotated[int, Field(ge=3)] = 24

    @model_validator(mode="after")
    def _names_one_source(self) -> "ModelJob":
        named = [source for source in (self.package, self.folder, self.name, self.registry) if source is not None]
        if len(named) != 1:
            raise ValueError("give either package or folder, or else name or registry")
        if self.revision is not None and self.name is None:
            raise ValueError("revision is of a model that name fetches from the hub")
        return self


class LoraJob(Section):
    """Low-rank adapters beside frozen weights (Hu et al. 2021), folded into the weights when the model is saved."""

    rank: Count = 8
    alpha: Count = 16
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    targets: SomeNames = ()  # names of modules; default: what peft knows for the kind of model


class PairModelJob(ModelJob):
    max_tokens: Annotated[int, Field(ge=4)] = 64  # of both texts together; the longer is cut
    pooling: Literal["auto", "mean", "first", "last"] = "auto"  # last for decoders, mean for others
    lora: LoraJob | None = None


class RetrievalModelJob(ModelJob):
    max_tokens: Annotated[int, Field(ge=3)] = 32


class TrackingJob(Section):
    uri: TrackingUri
    experiment: Annotated[str, Field(min_length=1)]
    artifacts: FilePath | None = None  # where a new experiment keeps its artifacts
    registered: Annotated[str, Field(min_length=1)] | None = None  # the name under which a fit registers its model
    alias: Annotated[str, Field(min_length=1)] | None = None  # moved to the version that a fit registers
    run_name: str | None = None
    fire_id: str | None = None
    tags: dict[str, str] = Field(default_factory=dict)
    params: dict[str, str | int | float | bool] = Field(default_factory=dict)


class ScoreJob(Section):
    """How a household's history ranks the catalogue."""

    bag_items: Count = 10  # items averaged into one vector
    near_items: Count = 50  # items a candidate is compared with one by one
    half_life_days: Positive = 28.0
    power: Positive = 0.75  # damps the weights of what is bought every time
    temperature: Positive = 0.1  # of the averaged vector
    near_temperature: Positive = 0.05
    near: Annotated[float, Field(ge=0)] = 1.0  # weight of the one-by-one comparison
    prior: Annotated[float, Field(ge=0)] = 0.5  # weight of log popularity
    links: Annotated[float, Field(ge=0)] = 0.0  # weight of what the same people chose; 0: texts alone
    link_ridge: Positive = 300.0  # of the regression that learns the links
    factors: Annotated[int, Field(ge=0)] = 64  # of ALS, a scorer beside; 0 leaves it out, which spares the most time
    repeats: bool = True  # false: what the history holds is never recommended


class TrainJob(Section):
    trips: Count = 768  # trips drawn for training, once
    targets: Count = 4  # items drawn from each
    batch: Annotated[int, Field(ge=2)] = 128  # trips a step
    epochs: Count = 1
    lr: Positive = 3e-4
    warmup: Share = 0.1  # share of the steps
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    clip: Positive = 1.0  # largest gradient norm
    layers: Count = 2  # trained, from the top; those below are frozen
    min_history_days: Annotated[int, Field(ge=0)] = 28


class RelevanceTrainJob(Section):
    batch: Annotated[int, Field(ge=2)] = 64  # pairs a step
    epochs: Count = 1
    lr: Positive = 2e-4
    head_lr: Positive = 2e-3  # of the new layer on top
    warmup: Share = 0.1
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    clip: Positive = 1.0
    layers: Count | None = None  # trained, from the top; all by default
    pairs: Count | None = None  # drawn for training, once; all by default
    average: Count = 1  # fits from one start, each in an order of its own, whose weights are averaged
    balance: Literal["none", "weights"] = "weights"  # of classes: each weighs the same in the loss


class RetrievalTrainJob(Section):
    pairs: Count | None = None  # relevant pairs drawn for training, once; all by default
    batch: Annotated[int, Field(ge=2)] = 128  # pairs a step; each is the others' negative
    epochs: Count = 1
    lr: Positive = 2e-4
    warmup: Share = 0.1
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    clip: Positive = 1.0
    layers: Count = 3  # trained, from the top; what those below give is computed once
    temperature: Positive = 0.05
    negatives: Annotated[int, Field(ge=0)] = 1  # hard ones a pair, mined with the untrained model and BM25
    margin: Share = 0.95  # a mined product nearer than this share of the relevant one's cosine may be relevant too


class SearchJob(Section):
    """How a query ranks the catalogue."""

    top: Count = 100  # products taken of either list before they are fused
    weight: Share | None = None  # of the vectors in the fusion, the rest is BM25's; chosen on the valid rows by default


class Job(Section):
    """What every task's job file holds."""

    task: str
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    threads: Count | None = None  # of torch; all cores by default
    output: FilePath  # a folder that does not exist yet
    result: FilePath | None = None  # a copy of the result file, written however the job ends
    tensorboard: bool = False  # event files beside MLflow, in the output folder
    model: ModelJob
    tracking: TrackingJob


class NextItemJob(Job):
    task: Literal["next_item"]
    data: DataJob | InteractionsData | HistoriesData
    score: ScoreJob = ScoreJob()
    train: TrainJob = TrainJob()


class NextItemOfSnapshot(NextItemJob):
    data: DataJob


class NextItemOfInteractions(NextItemJob):
    data: InteractionsData


class NextItemOfHistories(NextItemJob):
    data: HistoriesData


NEXT_ITEM: Mapping[str, type[NextItemJob]] = {  # by `data.kind`
    "snapshot": NextItemOfSnapshot,
    "interactions": NextItemOfInteractions,
    "histories": NextItemOfHistories,
}


class RelevanceJob(Job):
    task: Literal["relevance"]
    data: PairsData
    model: PairModelJob
    train: RelevanceTrainJob = RelevanceTrainJob()
    target: Literal["auto", "binary", "classes", "grades"] = "auto"
    relevant: float | None = None  # the grade from which a product counts as relevant; the middle of the scale
    k: Count = 10  # of nDCG
    part: Part = "test"  # scored


class RetrievalJob(Job):
    task: Literal["retrieval"]
    data: PairsData
    model: RetrievalModelJob
    train: RetrievalTrainJob = RetrievalTrainJob()
    search: SearchJob = SearchJob()
    relevant: float = 1.0  # the label from which a product counts as relevant
    part: Part = "test"  # scored


AnyJob = NextItemJob | RelevanceJob | RetrievalJob
JOBS: Mapping[str, type[AnyJob]] = {  # by `task`, which decides what the rest must be
    "next_item": NextItemJob,
    "relevance": RelevanceJob,
    "retrieval": RetrievalJob,
}


def load_job(path: Path, overrides: Sequence[str] = (), model: str | None = None) -> AnyJob:
    """Read and check a job file, `key=value` overrides applied; raise JobError.

    *model* is a saved folder or an entry of the registry, to stand for whatever model the file names.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise JobError(f"{path}: there is no such job file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise JobError(f"{path}: cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise JobError(f"{path}: not valid TOML: {error}") from None
    raw = _override(raw, overrides, path)
    if model is not None:
        _replace_model(raw, model)
    kind = _job_model(raw, path)
    fire_id = os.environ.get(FIRE_ID_VARIABLE)
    if fire_id and isinstance(tracking := raw.get("tracking"), dict):
        tracking.setdefault("fire_id", fire_id)
    try:
        return kind.model_validate(raw, context=path.absolute().parent)
    except ValidationError as error:
        raise JobError(f"{path}: {'; '.join(_explain(detail, kind) for detail in error.errors())}") from None


def flatten(section: Mapping[str, Any], prefix: str = "") -> dict[str, str | int | float | bool]:
    """Give a nested section as dotted keys, unset ones left out."""
    flat: dict[str, str | int | float | bool] = {}
    for key, value in section.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        elif value is not None:
            flat[prefix + key] = value if isinstance(value, (bool, int, float)) else str(value)
    return flat


def _replace_model(raw: dict[str, Any], model: str) -> None:
    table = raw.get("model")
    kept = {key: value for key, value in table.items() if key not in SOURCES} if isinstance(table, dict) else {}
    registered = model.startswith(REGISTRY)
    raw["model"] = kept | ({"registry": model} if registered else {"folder": str(Path(model).expanduser().absolute())})


def _job_model(raw: Mapping[str, Any], path: Path) -> type[AnyJob]:
    if "task" not in raw:
        raise JobError(f"{path}: key 'task' is missing: one of {', '.join(JOBS)} is right")
    model = JOBS.get(raw["task"]) if isinstance(raw["task"], str) else None
    if model is None:
        raise JobError(f"{path}: key 'task' is {raw['task']!r}: one of {', '.join(JOBS)} is right")
    return _narrow(raw, path) if model is NextItemJob else model


def _narrow(raw: Mapping[str, Any], path: Path) -> type[NextItemJob]:
    """Let `data.kind` decide what the data section must be, so that a mistake in it is told as one of that kind."""
    data = raw.get("data")
    kind = data.get("kind", "snapshot") if isinstance(data, dict) else "snapshot"
    narrow = NEXT_ITEM.get(kind) if isinstance(kind, str) else None
    if narrow is None:
        raise JobError(f"{path}: key 'data.kind' is {kind!r}: one of {', '.join(NEXT_ITEM)} is right")
    return narrow


def _override(raw: dict[str, Any], overrides: Sequence[str], path: Path) -> dict[str, Any]:
    """Apply `key=value` overrides; `task` and `data.kind` go first, since they say which keys hold paths."""
    for override in sorted(overrides, key=lambda text: not text.startswith(("task=", "data.kind="))):
        _apply(raw, override, path)
    return raw


def _apply(raw: dict[str, Any], override: str, path: Path) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise JobError(f"--set {override}: KEY=VALUE is right, such as seed=3 or train.lr=1e-4")
    *parents, last = key.strip().split(".")
    table = raw
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise JobError(f"--set {override}: {parent} is a value, not a section")
    value = _parse_value(text)
    if last in _path_keys(_job_model(raw, path), parents):
        value = _from_here(value if isinstance(value, str) else text)
    table[last] = value


def _from_here(path: str) -> str:
    """Read a path of the command line as relative to the current folder."""
    return path if not path or path.startswith(PACKAGED) else str(Path(path).expanduser().absolute())


def _parse_value(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _path_keys(job: type[Job], parents: Sequence[str]) -> frozenset[str]:
    """Name the keys of a section that hold paths: on the command line these are relative to the current folder."""
    model = _section_model(job, parents)
    if model is None:
        return frozenset()
    return frozenset(name for name, field in model.model_fields.items() if "Path" in str(field.annotation))


def _section_model(job: type[Job], location: Iterable[int | str]) -> type[Section] | None:
    model: type[Section] = job
    for part in location:
        field = model.model_fields.get(str(part))
        section = None if field is None else _one_section(field.annotation)
        if section is None:
            return None
        model = section
    return model


def _one_section(annotation: object) -> type[Section] | None:
    """Give the section an annotation stands for, also where it may be left out."""
    found = [
        kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type) and issubclass(kind, Section)
    ]
    return found[0] if len(found) == 1 else None


def _explain(detail: ErrorDetails, job: type[Job]) -> str:
    """Say in words what one validation error means, naming key, value and what would be right."""
    location, kind = detail["loc"], detail["type"]
    key = ".".join(str(part) for part in location)
    if kind == "extra_forbidden":
        return f"unknown key '{key}'{_suggest(location, job)}"
    if kind == "missing":
        return f"key '{key}' is missing"
    message = detail["msg"].removeprefix("Value error, ")
    where = f"key '{key}'" if key else "the job"
    value = detail["input"]
    shown = "" if isinstance(value, (dict, Section)) else f" is {value!r}"
    return f"{where}{shown}: {message[0].lower()}{message[1:]}"


def _suggest(location: Sequence[int | str], job: type[Job]) -> str:
    model = _section_model(job, location[:-1])
    known = list(model.model_fields) if model else []
    near = get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
    if near:
        return f": did you mean '{near[0]}'?"
    return f": known keys are {', '.join(known)}" if known else ""
