"""What a job file may say: a frozen model a section."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from trainer.jobs.adaptation import AdaptJob
from trainer.jobs.compression import CompressJob
from trainer.jobs.data import HistoriesData, InteractionsData, PairsData
from trainer.jobs.fields import Count, FilePath, PackageName, Positive, Section, Share, SomeNames
from trainer.jobs.images import ImagesJob
from trainer.jobs.labelling import LabelJob
from trainer.jobs.registry_names import check_alias, check_keys, check_registered
from trainer.jobs.running import CheckpointJob, DeviceJob, ExplainJob
from trainer.jobs.training import RelevanceTrainJob, RetrievalTrainJob, TrainJob
from trainer.jobs.transfer import TransferJob

PLAIN_SQLITE = "sqlite:///"
# Sections and keys that decide none of a run's numbers.
BESIDE = {"output", "result", "tracking", "checkpoint", "device", "compress", "explain", "label", "transfer"}


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
    package: PackageName | None = None  # an installed one that offers get_model_path()
    folder: FilePath | None = None
    name: str | None = None  # on the hub, where there is a network
    revision: Annotated[str, Field(min_length=1)] | None = None  # of `name`: a commit, tag or branch
    registry: Annotated[str, Field(pattern="^models:/.+")] | None = None  # models:/NAME@ALIAS or models:/NAME/VERSION
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = (
        None  # of model.safetensors, or of its shards one after the other
    )
    cache: FilePath | None = None  # keeps what the frozen layers give, for the next run
    max_tokens: Annotated[int, Field(ge=3)] = 24
    pooling: Literal["auto", "mean", "first", "last"] = (
        "auto"  # what its folder says; else last for decoders, mean for others
    )

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
    lora: LoraJob | None = None


class RetrievalModelJob(ModelJob):
    max_tokens: Annotated[int, Field(ge=3)] = 32
    images: ImagesJob | None = None  # without it texts alone are searched


class TrackingJob(Section):
    uri: TrackingUri
    experiment: Annotated[str, Field(min_length=1, max_length=500)]
    artifacts: FilePath | None = None  # where a new experiment keeps its artifacts
    registered: Annotated[str, AfterValidator(check_registered)] | None = None  # under which a fit registers its model
    alias: Annotated[str, AfterValidator(check_alias)] | None = None  # moved to the version that a fit registers
    run_name: str | None = None
    fire_id: str | None = None
    tags: Annotated[dict[str, str], AfterValidator(check_keys)] = Field(default_factory=dict)
    params: Annotated[dict[str, str | int | float | bool], AfterValidator(check_keys)] = Field(default_factory=dict)


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
    link_items: Count = 16_000  # that have links, the most frequent: their square is inverted, 8 bytes each, 2 GB
    factors: Annotated[int, Field(ge=0)] = 64  # of ALS, a scorer beside; 0 leaves it out, which spares the most time
    repeats: bool = True  # false: what the history holds is never recommended


class MixJob(Section):
    """What a user repeats and what it may like next, weighed against one another by a small network."""

    spans: Count = 4  # of a split in time: the last so many spans of what is learned from are rehearsed
    days: Positive = 28.0  # of each
    trips: Count = 800  # drawn of each, the users' first in it; otherwise of everybody's last
    others: Count = 60  # texts a trip is held against, beside what it bought and what the history holds
    hidden: Count = 16  # width of the network
    batch: Annotated[int, Field(ge=2)] = 64  # trips a step
    epochs: Count = 8
    lr: Positive = 1e-2
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    explore: Annotated[float, Field(ge=0)] = 0.5  # weight of ranking what is new to the user among itself
    link_ridge: Positive = 300.0  # of the regression that learns what goes with what
    link_texts: Count = 5000  # that have such links, the most frequent: 8 bytes a pair of them


class SearchJob(Section):
    """How a query ranks the catalogue."""

    top: Count = 100  # products taken of either list before they are fused
    weight: Share | None = None  # of the vectors in the fusion, the rest is BM25's; chosen on the valid rows by default


class SlicesJob(Section):
    """Which slices have metrics and intervals of their own; the per-example table holds all."""

    smallest: Count = 10  # examples
    most: Count = 50  # of a column, the largest


class Job(Section):
    """What every task's job file holds."""

    task: str
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None  # of torch; all cores by default
    output: FilePath  # a folder that does not exist yet
    result: FilePath | None = None  # a copy of the result file, written however the job ends
    tensorboard: bool = False  # event files beside MLflow, in the output folder
    cluster: Literal["query", "user", "product"] | None = None  # what intervals draw whole; default: the split's unit
    slices: SlicesJob = SlicesJob()
    checkpoint: CheckpointJob = CheckpointJob()
    device: DeviceJob = DeviceJob()
    transfer: TransferJob | None = None
    adapt: AdaptJob | None = None  # without it the task is learnt from the model as it came
    model: ModelJob
    tracking: TrackingJob


class NextItemJob(Job):
    task: Literal["next_item"]
    cluster: Literal["user"] | None = None
    data: DataJob | InteractionsData | HistoriesData
    score: ScoreJob = ScoreJob()
    train: TrainJob = TrainJob()
    mix: MixJob | None = None  # without it texts alone score


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


class PairJob(Job):
    """What the tasks over judged pairs have in common."""

    data: PairsData
    compress: CompressJob = CompressJob()
    explain: ExplainJob = ExplainJob()
    nothing_relevant: Literal["leave out", "zero"] = (
        "leave out"  # a query without a relevant product, as trec_eval: zero
    )

    @model_validator(mode="after")
    def _knows_what_it_clusters_by(self) -> "PairJob":
        if self.cluster == "user" and self.data.columns.user is None:
            raise ValueError('cluster = "user" needs data.columns.user')
        return self

    @property
    def unit(self) -> Literal["query", "user", "product"]:
        """Give what is independent of one another: what was told, or what the split keeps together."""
        return self.cluster or ("user" if self.data.split.by == "user" else "query")


class RelevanceJob(PairJob):
    task: Literal["relevance"]
    model: PairModelJob
    train: RelevanceTrainJob = RelevanceTrainJob()
    label: LabelJob = LabelJob()
    target: Literal["auto", "binary", "classes", "grades"] = "auto"
    relevant: float | None = None  # the grade from which a product counts as relevant; the middle of the scale
    k: Count = 10  # of nDCG
    part: Part = "test"  # scored

    @model_validator(mode="after")
    def _reads_no_pictures(self) -> "RelevanceJob":
        if self.data.has_pictures:
            raise ValueError(
                "data.columns.image and data.products.image are for the task retrieval with [model.images]"
            )
        return self


class RetrievalJob(PairJob):
    task: Literal["retrieval"]
    cluster: Literal["query", "user"] | None = None
    model: RetrievalModelJob
    train: RetrievalTrainJob = RetrievalTrainJob()
    search: SearchJob = SearchJob()
    relevant: float = 1.0  # the label from which a product counts as relevant
    part: Part = "test"  # scored

    @model_validator(mode="after")
    def _names_pictures_and_their_tower(self) -> "RetrievalJob":
        if self.data.has_pictures != (self.model.images is not None):
            raise ValueError("data.columns.image (or data.products.image) and [model.images] go together")
        if self.model.images is not None and self.explain.worst:
            raise ValueError(
                "explain.worst says which words put a product first, and with [model.images] its picture may have:"
                " leave one of them out"
            )
        return self


AnyJob = NextItemJob | RelevanceJob | RetrievalJob
JOBS: Mapping[str, type[AnyJob]] = {  # by `task`, which decides what the rest must be
    "next_item": NextItemJob,
    "relevance": RelevanceJob,
    "retrieval": RetrievalJob,
}


def flatten(section: Mapping[str, Any], prefix: str = "") -> dict[str, str | int | float | bool]:
    """Give a nested section as dotted keys, unset ones left out."""
    flat: dict[str, str | int | float | bool] = {}
    for key, value in section.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        elif value is not None:
            flat[prefix + key] = value if isinstance(value, (bool, int, float)) else str(value)
    return flat
