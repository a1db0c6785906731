"""What can be made of a tuned model, and what each task gives to compare."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from trainer.compression.timing import Ask
from trainer.measures.bootstrap import Interval

ORIGINAL = "original"
LESS_IS_BETTER = frozenset({"rmse", "calibration_error", "log_loss", "brier", "squared_error"})


class Candidate(StrEnum):
    """The models that are tried, by the name that the job file has."""

    ONNX = "onnx"  # the same numbers, by onnxruntime
    INT8 = "int8"  # weights of 8 bits, activations scaled as they come
    STATIC_INT8 = "static_int8"  # the same, activations scaled by what samples have shown
    STATIC = "static"  # a vector a token
    ASYMMETRIC = "asymmetric"  # products by the model, queries by a vector a token
    HALF = "half"  # half of the layers, taught by the whole
    PRUNED = "pruned"  # without the layers and heads that matter least, taught by the whole


@dataclass(frozen=True, slots=True)
class Scored:
    """A model on the rows that choose."""

    metrics: Mapping[str, float]
    ask: Ask  # from texts to vectors or judgements
    answer: Ask  # whole: the search included, or pairs grouped by length
    megabytes: float


class Compressible(Protocol):
    """A tuned model with its data: what can be made of it, and how that compares."""

    candidates: tuple[Candidate, ...]  # that the task knows
    metric: str  # that is not to be lost where the job file names none
    questions: int  # to be timed with
    answers_at_once: int  # of them, where whole answers are timed

    def original(self) -> Scored:
        """Score the model as it is."""
        ...

    def make(self, candidate: Candidate, folder: Path) -> Scored:
        """Make a candidate, write its folder as `fit` would, and score it; raise ModelError where it cannot be."""
        ...

    def lose(self, candidate: Candidate, metric: str) -> tuple[float, Interval | None]:
        """Give what a candidate that was made loses of a metric, and the interval, paired with the original."""
        ...
