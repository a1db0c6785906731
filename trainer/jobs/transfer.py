"""What is learnt on one part of the data and scored on another: the section `[transfer]`."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from trainer.jobs.fields import Count, Name, Section, SomeNames

Seed = Annotated[int, Field(ge=0, lt=2**32)]
PLAIN, ADAPTED = "plain", "adapted"  # starts without a source, beside which sources stand
POPULAR = "popularity"  # of next_item: a list by how often items were chosen, without any model
ALONE = (PLAIN, ADAPTED, POPULAR)


class TransferJob(Section):
    """Sets of rows, which of them are learnt from and scored on, and how many rows of a target are learnt beside."""

    by: Name | None = None  # a column: a set a value; of next_item the items' group
    sets: Mapping[Name, Mapping[str, Any]] = Field(default_factory=dict)  # what is other in [data], by a set's name
    sources: SomeNames = ()  # default: all sets
    targets: SomeNames = ()
    largest: Annotated[int, Field(ge=2)] = 3  # of the values of `by`, where none are named
    shots: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(strict=False)] = (0, 100, 1000)
    seeds: Annotated[tuple[Seed, ...], Field(strict=False)] = (0, 1, 2)
    metric: Name | None = None  # auc of relevance, of classes accuracy; ndcg_at_10 of the others
    judged_on: Literal["valid", "test"] = "test"  # valid: as if the test were not there
    leak_check: Literal["leave out", "warn", "refuse"] = "leave out"  # rows of a source that tell a target's test
    least_steps: Count = 30  # of a fit: one on few rows has more epochs
    language: Literal["en", "zh"] = "en"  # of what is printed; pages are in both

    @model_validator(mode="after")
    def _says_what_is_learnt_and_scored(self) -> Self:
        if (self.by is None) == (not self.sets):
            raise ValueError('give either by = "COLUMN" or tables [transfer.sets.NAME]')
        if len(self.sets) == 1:
            raise ValueError(f"[transfer.sets.{next(iter(self.sets))}] is alone: from one set nothing is carried over")
        if list(self.shots) != sorted(set(self.shots)):
            raise ValueError(f"shots = {list(self.shots)}: whole numbers that rise are right, such as [0, 100, 1000]")
        if not self.seeds:
            raise ValueError("seeds = []: at least one is right, such as [0, 1, 2]")
        for key in ("sources", "targets", "seeds"):
            told = getattr(self, key)
            if len(set(told)) < len(told):
                raise ValueError(f"{key} = {list(told)}: the same one twice")
        for name in (*self.sets, *self.sources, *self.targets):
            if name in ALONE:
                raise ValueError(f"{name!r} is what a start without a source is called: another name is right")
        for key in ("sources", "targets"):
            strange = [name for name in getattr(self, key) if self.sets and name not in self.sets]
            if strange:
                raise ValueError(f"{key} names {strange[0]!r}, and the sets are {', '.join(self.sets)}")
        if len(self.sources) == 1 and self.sources == self.targets:
            raise ValueError(f"sources and targets are {self.sources[0]!r} alone: nothing is carried over")
        return self

    @property
    def few(self) -> tuple[int, ...]:
        """Give the numbers of rows that are learnt, without nought, which is scored always."""
        return tuple(shots for shots in self.shots if shots)
