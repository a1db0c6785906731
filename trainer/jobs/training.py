"""How a task is learnt: the section `[train]` of each."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trainer.jobs.fields import Count, Positive, Section, Share
from trainer.jobs.running import EarlyStopJob


class Steps(Section):
    """How a batch is learnt."""

    batch: Annotated[int, Field(ge=2)] = 128  # rows a step: pairs, or trips; of retrieval each is the others' negative
    accumulate: Count = 1  # parts that a batch is computed in, one after the other, and learnt together

    @model_validator(mode="after")
    def _has_rows_for_each_part(self) -> Self:
        if self.accumulate > self.batch:
            raise ValueError(f"accumulate = {self.accumulate} parts are more than batch = {self.batch} rows")
        return self


class TrainJob(Steps):
    trips: Count = 768  # trips drawn for training, once
    targets: Count = 4  # items drawn from each
    epochs: Count = 1
    lr: Positive = 3e-4
    warmup: Share = 0.1  # share of the steps
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    clip: Positive = 1.0  # largest gradient norm
    layers: Count = 2  # trained, from the top; those below are frozen
    min_history_days: Annotated[int, Field(ge=0)] = 28


class RelevanceTrainJob(Steps):
    batch: Annotated[int, Field(ge=2)] = 64
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
    early_stop: EarlyStopJob | None = None  # without it every step is made

    @model_validator(mode="after")
    def _stops_one_fit(self) -> "RelevanceTrainJob":
        if self.early_stop is not None and self.average > 1:
            raise ValueError("average and early_stop do not go together: fits that ended apart have no mean")
        return self


class RetrievalTrainJob(Steps):
    pairs: Count | None = None  # relevant pairs drawn for training, once; all by default
    epochs: Count = 1
    lr: Positive = 2e-4
    warmup: Share = 0.1
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    clip: Positive = 1.0
    layers: Count = 3  # trained, from the top; what those below give is computed once
    temperature: Positive = 0.05
    negatives: Annotated[int, Field(ge=0)] = 1  # hard ones a pair, mined with the untrained model and BM25
    early_stop: EarlyStopJob | None = None  # without it every step is made
    margin: Share = 0.95  # a mined product nearer than this share of the relevant one's cosine may be relevant too
