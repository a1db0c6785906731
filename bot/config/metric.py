"""What config says of one metric: how its changes are judged, where it has to stay, and what people call it."""

from __future__ import annotations

import math
from typing import Annotated, Self

from pydantic import Field, model_validator

from bot.config.values import Effect, Within, Words
from bot.domain.policy import Direction, MetricLimit, MetricPolicy, MinEffect
from bot.sections import Language, Section


class MetricSection(Section):
    direction: Direction = Direction.UP
    min_effect: Effect = MinEffect(0.02)
    lower: float = float("-inf")
    upper: float = float("inf")
    prior_spread: Annotated[float, Field(gt=0, le=1)] | None = None
    optional: bool = False  # only some runs log it: one without it is not told
    name: dict[Language, Words] = Field(default_factory=dict)  # as the team calls it
    why: dict[Language, Words] = Field(default_factory=dict)  # why it matters, in a sentence
    unit: Words = ""
    min: Annotated[float, Field(allow_inf_nan=False)] | None = None  # below is too little, whatever the noise
    max: Annotated[float, Field(allow_inf_nan=False)] | None = None  # above is too much
    within: Within | None = None  # both ends, or a share of the release, else of the accepted runs
    breaches: Annotated[int, Field(ge=1, le=10)] = 2  # runs in a row beyond a limit before that is told

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if not self.model_fields_set:  # most of thousands say nothing
            return self
        if self.lower >= self.upper:
            raise ValueError(f"lower ({self.lower:g}) should be below upper ({self.upper:g})")
        if self.within is not None and (self.min is not None or self.max is not None):
            raise ValueError("should have either within, or min and max")
        low, high = self._ends
        if low >= high:
            raise ValueError(f"min ({low:g}) should be below max ({high:g})")
        fits = {"min": self.lower < low <= self.upper, "max": self.lower <= high < self.upper}
        for key, end in (("min", low), ("max", high)):
            if math.isfinite(end) and not fits[key]:
                valid = f"values from {self.lower:g} (lower) to {self.upper:g} (upper)"
                raise ValueError(f"{self._named(key)} ({end:g}) says nothing: only {valid} are valid at all")
        self._asks_of_a_limit_alone()
        return self

    @property
    def _ends(self) -> tuple[float, float]:
        if isinstance(self.within, tuple):
            return self.within
        return -math.inf if self.min is None else self.min, math.inf if self.max is None else self.max

    def _named(self, key: str) -> str:
        return key if self.within is None else "within"

    def _asks_of_a_limit_alone(self) -> None:
        """Refuse keys that change nothing: of a limit where there is none, of judging where nothing is judged."""
        if not self.has_limit and "breaches" in self.model_fields_set:
            raise ValueError(f"breaches ({self.breaches}) needs a limit that can be broken: max, min or within")
        for key in () if self.is_judged else ("min_effect", "prior_spread"):
            if key in self.model_fields_set:
                raise ValueError(
                    f"{key} says nothing of a metric that is held against its limits alone: "
                    'add direction = "up" or "down", and its changes are judged too'
                )

    @property
    def has_limit(self) -> bool:
        return self.within is not None or self.min is not None or self.max is not None

    @property
    def is_judged(self) -> bool:
        """Say whether changes are judged: of a metric with a limit only where its direction is named too."""
        return not self.has_limit or "direction" in self.model_fields_set

    def policy(self, name: str) -> MetricPolicy:
        return MetricPolicy(
            name, self.direction, self.min_effect, self.lower, self.upper, self.prior_spread, self.optional
        )

    def limit(self, name: str) -> MetricLimit | None:
        """Return where the metric has to stay; None where it may go anywhere."""
        if not self.has_limit:
            return None
        share = self.within if isinstance(self.within, float) else None
        return MetricLimit(self.policy(name), *self._ends, share, self.breaches)
