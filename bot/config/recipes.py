"""How config sets a job for one rerun: arguments, environment and the tree it works in, filled from a run."""

from __future__ import annotations

import re
from typing import ClassVar, Self

from pydantic import model_validator

from bot.domain.recipes import Recipe
from bot.sections import Section


class RecipeSection(Section):
    """What is set otherwise for a rerun; `{commit}`, `{params.NAME}` and so on are those of the run it is set to."""

    places: ClassVar[tuple[str, ...]] = ()  # beside those that every recipe has

    arguments: tuple[str, ...] = ()  # after the command's own
    environment: dict[str, str] = {}
    cwd: str = ""

    @property
    def texts(self) -> tuple[str, ...]:
        return (*self.arguments, *self.environment.values(), self.cwd)

    @property
    def all_texts(self) -> tuple[str, ...]:
        """Return what sets something, and what is filled beside it."""
        return self.texts

    @property
    def recipe(self) -> Recipe:
        """What is set, before a run has filled it."""
        return Recipe("", self.arguments, self.environment, self.cwd)

    @property
    def lacking(self) -> str:
        """Say what a section that sets nothing should have."""
        return "should set something to what it was: arguments, environment or cwd"

    @model_validator(mode="after")
    def _sets_something(self) -> Self:
        if not any(self.texts):
            raise ValueError(self.lacking)
        own = "".join(f"|{place}" for place in self.places)
        for text in self.all_texts:
            for place in re.findall(r"\{([^{}]*)\}", text):
                if not re.fullmatch(rf"seed|fire_id|run_id|commit|(params|tags)\..+{own}", place):
                    more = "".join(f"{{{each}}}, " for each in self.places)
                    raise ValueError(
                        f"{{{place}}} in {text!r} is no place to fill: should be {more}{{run_id}}, {{commit}}, "
                        "{params.NAME}, {tags.NAME}, {seed} or {fire_id}"
                    )
        return self
