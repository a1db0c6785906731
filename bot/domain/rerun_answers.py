"""What the reruns of a run came to: of each metric that looked bad the cause, with the values that say so."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bot.domain.judge.findings import Outcome


class Cause(StrEnum):
    """What the reruns come to."""

    LUCK = "luck"  # with other seeds it is not there
    SHOWN = "shown"  # with other seeds it is there; of the baseline's recipe nothing is known
    CHANGE = "change"  # and with the baseline's recipe it is not
    OUTSIDE = "outside"  # with the baseline's recipe it is there too: test set, environment or machine
    NOT_YET = "not_yet"


@dataclass(frozen=True, slots=True)
class RerunAnswer:
    """What the reruns say of one finding, with the values that say it."""

    key: str
    cause: Cause
    own: tuple[float, ...] = ()
    baseline: tuple[float, ...] = ()
    outcome: Outcome = Outcome.SUSPICIOUS  # of the finding that was asked about


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What all reruns of one run came to."""

    run_id: str  # that was asked about
    answers: tuple[RerunAnswer, ...]
    failed: int = 0  # reruns that say nothing

    def of(self, metric: str) -> RerunAnswer | None:
        return next((answer for answer in self.answers if answer.key == metric), None)
