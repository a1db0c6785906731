"""Which slices have metrics of their own: not those of a few examples, and no more than anybody looks at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trainer.measures.per_example import PerExample, encode, number


@dataclass(frozen=True, slots=True)
class ShownSlices:
    """The values of each slice column that have metrics, and how many are in the per-example table alone."""

    values: Mapping[str, Sequence[str]]  # in the order of the alphabet
    too_small: Mapping[str, int]
    too_many: Mapping[str, int]

    def story(self) -> dict[str, str]:
        """Say in words what was left out."""
        found = {}
        for column in self.values:
            small, many = self.too_small[column], self.too_many[column]
            reasons = [f"{small} of too few examples"] if small else []
            reasons += [f"{many} beyond the largest"] if many else []
            if reasons:
                found[f"slices by {column}"] = (
                    f"{len(self.values[column])} shown; {', '.join(reasons)}: in the table alone"
                )
        return found


def choose_slices(table: PerExample, smallest: int, most: int) -> ShownSlices:
    """Choose the *most* slices of each column with the most examples, of those with *smallest* at least."""
    values: dict[str, Sequence[str]] = {}
    small: dict[str, int] = {}
    many: dict[str, int] = {}
    example_N = number(table.example_ids)
    for column, values_N in table.slices.items():
        value_N, names = encode(values_N)
        span = int(example_N.max(initial=0)) + 1
        examples = np.bincount(np.unique(value_N * span + example_N) // span, minlength=len(names)).tolist()
        sizes = dict(zip(names, examples, strict=True))
        enough = sorted((name for name in sizes if sizes[name] >= smallest), key=lambda name: (-sizes[name], name))
        values[column] = sorted(enough[:most])
        small[column], many[column] = len(sizes) - len(enough), max(0, len(enough) - most)
    return ShownSlices(values, small, many)
