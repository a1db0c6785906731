"""What a smaller model may lose, what it has to gain, and which one is taken."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trainer.compression.timing import Pace
from trainer.errors import InputError
from trainer.measures.bootstrap import Interval


class GateError(InputError):
    """No candidate passes: nothing is written."""


@dataclass(frozen=True, slots=True)
class LossGate:
    """The allowed loss of a metric, and the least gain in questions a second."""

    metric: str
    max_quality_loss: float  # absolute
    min_speedup: float


@dataclass(frozen=True, slots=True)
class Measured:
    """One model beside the original: what it is worth and what it costs."""

    name: str
    quality: float
    loss: float  # the original's quality less its own, where more is better; above nought it is worse
    loss_between: Interval | None  # 95 %, paired by example; None of the original, and where one cluster is all
    ms_one: float  # of a question alone, its text being read
    ms_batch: float  # of 64 together
    per_second: float  # questions, 64 together
    speedup: float  # of questions a second, over the original
    megabytes: float
    seconds: float = 0.0  # that making it took
    metrics: Mapping[str, float] = field(default_factory=dict)  # all of them, of the rows that choose
    answered: Pace | None = None  # whole answers: with the search, or pairs as `evaluate` scores them


@dataclass(frozen=True, slots=True)
class Refused:
    """A candidate that could not be made."""

    name: str
    reason: str


def passes(one: Measured, gate: LossGate) -> bool:
    """Say whether the interval excludes more than the allowed loss, and the gain is there."""
    if one.loss_between is None or one.loss_between.high > gate.max_quality_loss:
        return False
    return one.speedup >= gate.min_speedup


def choose(candidates: Sequence[Measured], gate: LossGate) -> Measured:
    """Give the cheapest candidate that passes: the quickest, then the smallest; raise GateError where none does."""
    passing = [one for one in candidates if passes(one, gate)]
    if passing:
        return min(passing, key=lambda one: (-one.speedup, one.megabytes, one.name))
    raise GateError(f"compress: no candidate passes the gate: {'; '.join(_why(one, gate) for one in candidates)}")


def _why(one: Measured, gate: LossGate) -> str:
    told = []
    if one.loss_between is None:
        told.append(f"has no interval of its loss of {gate.metric}")
    elif one.loss_between.high > gate.max_quality_loss:
        told.append(
            f"may lose {one.loss_between.high:.4f} of {gate.metric}, above"
            f" compress.max_quality_loss = {gate.max_quality_loss:g}"
        )
    if one.speedup < gate.min_speedup:
        told.append(f"is {one.speedup:.2f} times as quick, below compress.min_speedup = {gate.min_speedup:g}")
    return f"{one.name} {' and '.join(told)}"
