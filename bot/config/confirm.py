"""What config says of reruns: how many, of what, and how the baseline's recipe is set."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from bot.config.recipes import RecipeSection
from bot.domain.recipes import BASELINE, Plan, Recipe
from bot.sections import Section


class BaselineSection(RecipeSection):
    """How a job is set to what the newest accepted run was made with; `{commit}`, `{params.NAME}` and so on are its."""

    @property
    def recipe(self) -> Recipe:
        return Recipe(BASELINE, self.arguments, self.environment, self.cwd)


class ConfirmSection(Section):
    reruns: Annotated[int, Field(ge=0, le=5)] = 0
    budget: Annotated[int, Field(ge=1, le=20)] | None = None  # of reruns in all, where fewer could not tell
    baseline: BaselineSection | None = None  # by which the accepted recipe is made again too

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not self.reruns and (self.budget is not None or self.baseline is not None):
            key = "budget" if self.budget is not None else "baseline"
            raise ValueError(f"{key} needs reruns: set reruns = 1 or more")
        if self.plan.budget < self._least:
            of_both = " of both recipes" if self.baseline is not None else ""
            raise ValueError(f"budget ({self.budget}) should be at least the {self._least} reruns{of_both}")
        return self

    @property
    def _least(self) -> int:
        return self.reruns + (1 if self.baseline is not None else 0)

    @property
    def plan(self) -> Plan:
        """Return what may be rerun: by default half as many more as were asked for, and as many of the baseline's."""
        more = (self.reruns * 3 + 1) // 2
        usual = more * (2 if self.baseline is not None else 1)
        return Plan(self.reruns, usual if self.budget is None else self.budget, self.baseline is not None)
