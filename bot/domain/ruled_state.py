"""What rules that change what is found make of a series, beside what it is without them."""

from __future__ import annotations

from dataclasses import dataclass

from bot.domain.judge.findings import Assessment, SeriesState


@dataclass(frozen=True, slots=True)
class RuledState:
    """How a series stands under rules that change what is found."""

    numbers: tuple[int, ...]  # of those rules
    state: SeriesState


@dataclass(frozen=True, slots=True)
class RuledAssessment:
    """What is said of a run, and what would be said without rules."""

    told: Assessment  # its state is that without rules
    plain: Assessment
    ruled: RuledState | None = None  # None: no rule changes what is found
