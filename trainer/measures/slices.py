"""Which slices have metrics of their own: not those of a few examples, and no more than anybody looks at."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trainer.measures.per_example import PerExample


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
    for column, names in table.slices.items():
        sizes = Counter(value for value, _ in set(zip(names, table.example_ids, strict=True)))
        enough = sorted((name for name in sizes if sizes[name] >= smallest), key=lambda name: (-sizes[name], name))
        values[column] = sorted(enough[:most])
        small[column], many[column] = len(sizes) - len(enough), max(0, len(enough) - most)
    return ShownSlices(values, small, many)
