"""What people answered: read back, held against what was asked, and made one label a pair."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.data.columns import ids_of, labels_of, strings_of
from trainer.data.tables import names_of, read_batches
from trainer.errors import DataError
from trainer.jobs.tables import TextTable
from trainer.labelling.sheet import Sheet, unplain
from trainer.models.label_scale import GRADES


@dataclass(frozen=True, slots=True)
class Rating:
    """One person's answer about one pair."""

    id: str
    rater: str
    label: str


@dataclass(frozen=True, slots=True)
class Settled:
    """One label a pair, and the pairs whose raters are split evenly."""

    labels: Mapping[str, str]  # by id, in the order that was asked
    tied: Sequence[str]


def read_answers(paths: Sequence[Path], sheet: Sheet) -> list[Rating]:
    """Read filled-in tables; raise DataError for an id, a label or an answer that cannot be."""
    found: dict[tuple[str, str], str] = {}
    nameless: dict[str, Path] = {}  # files that rows without a rater are called after
    for path in paths:
        named = "rater" in names_of(TextTable(path=path))
        for batch in read_batches(path, ("id", "label", *(["rater"] if named else []))):
            ids, labels = ids_of(batch, "id").to_pylist(), labels_of(batch, "label").to_pylist()
            raters = strings_of(batch, "rater").to_pylist() if named else [None] * batch.rows
            for row, (name, label, rater) in enumerate(zip(ids, labels, raters, strict=True)):
                if label is None:
                    continue
                where = f"{batch.path}: row {batch.first_row + row}"
                if rater is None and (other := nameless.setdefault(path.stem, path)) != path:
                    raise DataError(
                        f"{where} has no rater, who would be {path.stem!r} as in {other}:"
                        " a name in column 'rater', or files of two names, are right"
                    )
                _note(found, where, sheet, Rating(name or "", unplain(rater or path.stem), label))
    if not found:
        raise DataError(f"{', '.join(map(str, paths))}: no row has a label")
    order = {name: place for place, name in enumerate(sheet.queries)}
    return [Rating(*key, label) for key, label in sorted(found.items(), key=lambda one: (order[one[0][0]], one[0][1]))]


def _note(found: dict[tuple[str, str], str], where: str, sheet: Sheet, rating: Rating) -> None:
    if rating.id not in sheet.queries:
        raise DataError(f"{where}: id {rating.id!r} was not asked; the ids of {len(sheet.queries)} pairs are right")
    try:
        label = sheet.scale.read(rating.label)
    except ValueError as right:
        raise DataError(f"{where}: label {rating.label!r}: {right}") from None
    before = found.setdefault((rating.id, rating.rater), label)
    if before != label:
        raise DataError(
            f"{where}: {rating.rater} labels {rating.id} {label!r} and before {before!r}: one label a rater is right"
        )


def settle(ratings: Sequence[Rating], sheet: Sheet) -> Settled:
    """Give the mean of numbers, and of names the most frequent; where two are, none."""
    by_pair: dict[str, list[str]] = {}
    for rating in ratings:
        by_pair.setdefault(rating.id, []).append(rating.label)
    labels, tied = {}, []
    for name, given in by_pair.items():
        if sheet.scale.kind == GRADES and not sheet.scale.named:
            labels[name] = f"{sum(map(float, given)) / len(given):.6g}"
            continue
        (first, times), *others = Counter(given).most_common()
        if others and others[0][1] == times:
            tied.append(name)
        else:
            labels[name] = first
    return Settled(labels, tied)
