"""Reads who rated what how from a table, and says how far they agree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer.data.columns import ids_of, labels_of
from trainer.data.numbers import NotANumber, looks_numeric, read_numbers
from trainer.data.tables import read_batches
from trainer.errors import DataError
from trainer.measures.agreement import LEVELS, Alpha, krippendorff, krippendorff_interval, pivot


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far raters agree, by level of measurement, and how far without each of them."""

    ratings: int
    raters: Mapping[str, int]  # name -> ratings
    items: int
    several: int  # items that two or more rated
    alpha: Mapping[str, Alpha]  # level -> with its interval
    without: Mapping[str, float]  # rater -> alpha of the others, at the last level


def read_agreement(path: Path, item: Sequence[str], rater: str, label: str, order: Sequence[str]) -> Agreement:
    """Measure the agreement of a table with a row a rating; raise DataError.

    *order* says how labels that are words stand to one another, the least first.
    """
    ratings = _read(path, item, rater, label)
    units, names, labels = zip(*((*key, given) for key, given in ratings.items()), strict=True)
    values, ordered, spaced = _values(path, label, labels, order)
    value_UR, raters = pivot(units, names, values)
    several = int(np.count_nonzero(np.isfinite(value_UR).sum(axis=1) > 1))
    if not several:
        raise DataError(f"{path}: no item has labels of two raters: agreement needs some")
    levels = LEVELS[:1] if not ordered else LEVELS if spaced else LEVELS[:2]
    alpha: dict[str, Alpha] = {
        level: found for level in levels if (found := krippendorff_interval(value_UR, level)) is not None
    }
    if not alpha:
        raise DataError(f"{path}: all items that several rated have one label: agreement beyond chance is not defined")
    without: dict[str, float] = {}
    for place, name in enumerate(raters) if len(raters) > 2 else ():  # noqa: PLR2004 - one rater agrees with nobody
        left = krippendorff(np.delete(value_UR, place, axis=1), levels[-1])
        without |= {} if left is None else {name: left}
    counts = {name: int(np.isfinite(value_UR[:, place]).sum()) for place, name in enumerate(raters)}
    return Agreement(len(values), counts, len(value_UR), several, alpha, without)


def _read(path: Path, item: Sequence[str], rater: str, label: str) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for batch in read_batches(path, (*item, rater, label)):
        names = [ids_of(batch, name).to_pylist() for name in (*item, rater)]
        for row, (*keys, given) in enumerate(zip(*names, labels_of(batch, label).to_pylist(), strict=True)):
            if given is None or any(key is None for key in keys):
                continue
            *unit, who = keys
            before = found.setdefault(("\x1f".join(unit), who), given)
            if before != given:
                raise DataError(
                    f"{path}: row {batch.first_row + row}: {who} labels it {given!r} and before {before!r}:"
                    " one label a rater is right"
                )
    if not found:
        raise DataError(f"{path}: no row has an item, a rater and a label")
    return found


def _values(path: Path, label: str, labels: Sequence[str], order: Sequence[str]) -> tuple[Sequence[float], bool, bool]:
    """Give labels as numbers, whether these have an order, and whether their distances count."""
    if order:
        strange = [name for name in labels if name not in order]
        if strange:
            raise DataError(f"{path}: column '{label}' has {strange[0]!r}, which --order does not name")
        return [float(order.index(name)) for name in labels], True, False
    if all(looks_numeric(name) for name in labels):
        try:
            values = read_numbers(labels, None)
        except NotANumber as error:
            raise DataError(f"{path}: column '{label}' has {error.text!r}, not {error.right}") from None
        return [values[name] for name in labels], True, True
    words = [name for name in labels if not looks_numeric(name)]
    if len(words) < len(labels) / 2:
        raise DataError(f"{path}: column '{label}' has {words[0]!r} among numbers: a label is either")
    names = sorted(set(labels))
    return [float(names.index(name)) for name in labels], False, False
