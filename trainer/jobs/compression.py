"""What of a tuned model is made smaller, and what it may lose by it."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from trainer.jobs.fields import Count, Name, Positive, Section

CandidateName = Literal["onnx", "int8", "static_int8", "static", "asymmetric", "half", "pruned"]


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class RecoveryJob(Section):
    """How a model that was cut learns to answer as the whole one does."""

    rows: Count = 16_000  # of the train rows' texts or pairs, drawn where there are more
    epochs: Count = 2
    batch: Count = 32
    lr: Positive = 3e-4


Kept = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class CompressJob(Section):
    """Candidates, and the gate that one of them has to pass."""

    candidates: Annotated[tuple[CandidateName, ...], BeforeValidator(_one_or_more), Field(strict=False)] = ()  # all
    metric: Name | None = None  # that may not be lost; ndcg_at_10 of retrieval, auc or accuracy of relevance
    max_quality_loss: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.01  # of the metric, by its interval's end
    min_speedup: Positive = 1.5  # times the questions a second of the original, 64 at a time
    judged_on: Literal["valid", "test"] = "valid"  # the rows that choose; the choice is scored on `part`
    dimensions: Count = 256  # of a static student's vectors, at most the model's own
    epochs: Count = 10  # of a student's lessons, each text once in each
    lr: Positive = 3e-3  # of a student
    heads: Kept = 0.5  # share that a pruned model keeps of its layers' heads
    layers: Kept = 0.67  # share that a pruned model keeps of the layers
    recovery: RecoveryJob = RecoveryJob()  # of a model with half the layers, or a pruned one
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
