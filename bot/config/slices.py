"""What config says of examples and their parts: which parts are looked at, which examples are shown."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from bot.config.values import Effect
from bot.domain.policy import MinEffect
from bot.sections import Section
from bot.text.masking import NAMED, read_mask

Pair = tuple[Annotated[str, Field(min_length=1)], Annotated[str, Field(min_length=1)]]
_MOST_PAIRS = 8


class SlicesSection(Section):
    columns: tuple[str, ...] = ()  # text columns of the per-example table, each by itself; beside judge.slice_by
    nested: tuple[Pair, ...] = ()  # [WIDER, FINER]: the wider by itself, and the finer within it
    crossed: tuple[Pair, ...] = ()  # both by themselves, and every combination of the two
    min_effect: Effect = MinEffect(0.1)  # changes of a slice up to this size are never told

    @model_validator(mode="after")
    def _pairs_make_sense(self) -> Self:
        pairs = (*self.nested, *self.crossed)
        for pair in pairs:
            if pair[0] == pair[1]:
                raise ValueError(f"{list(pair)} should name two different columns")
        twice = sorted(
            {" x ".join(sorted(pair)) for pair in pairs if sum(set(pair) == set(each) for each in pairs) > 1}
        )
        if twice:
            raise ValueError(f"nested and crossed name {twice[0]} twice; once is enough")
        if len(pairs) > _MOST_PAIRS:
            raise ValueError(f"nested and crossed hold {len(pairs)} pairs of columns; at most {_MOST_PAIRS}")
        return self

    @property
    def by_themselves(self) -> tuple[str, ...]:
        return (*self.columns, *(wider for wider, _ in self.nested), *(each for pair in self.crossed for each in pair))

    @property
    def pairs(self) -> tuple[Pair, ...]:
        return (*self.nested, *self.crossed)


class ExamplesSection(Section):
    """The examples that lost most, shown and attached where something fell; without the section nothing is."""

    text_columns: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(max_length=10)] = ()
    mask: tuple[Annotated[str, AfterValidator(read_mask)], ...] = tuple(NAMED.values())  # what is struck out of texts
    shown: Annotated[int, Field(ge=1, le=20)] = 5
    attached: Annotated[int, Field(ge=0, le=1000)] = 1000  # in the file; 0: no file
