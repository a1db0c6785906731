"""From a job to the sets it is about: the values of a column, or tables of their own; what cannot be carried over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from trainer.data.next_item_data import read_data
from trainer.data.pairs import Pairs, read_pairs
from trainer.data.snapshot import LEARN, TARGET
from trainer.data.splits import Part
from trainer.errors import DataError, JobError
from trainer.jobs.data import HistoriesData, InteractionsData
from trainer.jobs.schema import AnyJob, DataJob, NextItemJob, RelevanceJob
from trainer.jobs.transfer import ALONE, TransferJob
from trainer.results.logged_metrics import cell_name, legal_name
from trainer.search.trials import on_valid
from trainer.transfer.judged_set import JudgedSet, as_if_untested, only_rows, with_ends
from trainer.transfer.trip_set import TripSet, only_group

TransferSet = JudgedSet | TripSet
WORDS, YES_OR_NO, GRADED = "words", "yes or no", "grades"


@dataclass(frozen=True, slots=True)
class TransferSets:
    """All sets by their names, and which of them are learnt from and scored on."""

    by_name: Mapping[str, TransferSet]
    sources: tuple[str, ...]
    targets: tuple[str, ...]


def open_sets(job: AnyJob, others: Mapping[str, AnyJob]) -> TransferSets:
    """Read every set, *others* being the jobs of tables of their own; raise InputError."""
    settings = job.transfer
    assert settings is not None  # whoever calls has looked
    found = _of_column(job, settings) if settings.by is not None else {n: _read(n, one) for n, one in others.items()}
    if settings.by is None:
        names = tuple(found)
        sources, targets = settings.sources or names, settings.targets or names
    else:
        sources, targets = _choose(found, settings)
    chosen = {name: found[name] for name in dict.fromkeys((*sources, *targets))}
    if isinstance(job, RelevanceJob):
        chosen = _on_one_scale(chosen)
    for key, names in (("sources", sources), ("targets", targets)):
        for name in names:
            if not _learnable(chosen[name]):
                raise DataError(f"transfer.{key}: {name!r} has no train rows")
            if not _tested(chosen[name]):
                raise DataError(f"transfer.{key}: {name!r} has no {settings.judged_on} rows")
    _check_names(sources, targets)
    return TransferSets(chosen, sources, targets)


def _check_names(sources: Sequence[str], targets: Sequence[str]) -> None:
    """Raise DataError for what MLflow cannot tell apart: two sets, or two cells."""
    seen: dict[str, str] = {}
    for name in (*sources, *targets):
        if (other := seen.setdefault(legal_name(name), name)) != name:
            raise DataError(f"transfer: the sets {other!r} and {name!r} have one name in MLflow: name others")
    cells: dict[str, tuple[str, str]] = {}
    for cell in product((*sources, *ALONE), targets):
        metric = cell_name(*cell)
        if (before := cells.setdefault(metric, cell)) != cell:
            told = " and ".join(f"{source!r} on {target!r}" for source, target in (before, cell))
            raise DataError(f"transfer: {told} are both {metric!r} in MLflow: names without points are right")


def _read(name: str, job: AnyJob) -> TransferSet:
    settings = job.transfer
    assert settings is not None
    if isinstance(job, NextItemJob):
        seen = on_valid(job) if settings.judged_on == "valid" else job
        assert isinstance(seen, NextItemJob)  # it is the same job
        return TripSet(name, seen, read_data(seen.data))
    pairs = read_pairs(job.data)
    return JudgedSet(name, job, as_if_untested(pairs) if settings.judged_on == "valid" else pairs)


def _of_column(job: AnyJob, settings: TransferJob) -> dict[str, TransferSet]:
    """Give a set for each value of a column, split as the whole table is: no row is train here and test there."""
    column = settings.by
    assert column is not None
    if isinstance(job, NextItemJob):
        known = _group_column(job)
        if column != known:
            right = f"{known!r}, their items' group, is right" if known else "data.items.group names their group"
            raise JobError(f"transfer.by = {column!r}: sets of a next_item job are groups of items: {right}")
        whole = _read("", job)
        assert isinstance(whole, TripSet)
        names = sorted({name for name in whole.snapshot.catalogue.groups if name})
        return {name: TripSet(name, whole.job, only_group(whole.snapshot, name)) for name in names}
    columns = job.data.columns
    if column not in columns.slices:
        columns = columns.model_copy(update={"slices": (*columns.slices, column)})
        job = job.model_copy(update={"data": job.data.model_copy(update={"columns": columns})})
    judged = _read("", job)
    assert isinstance(judged, JudgedSet)
    values = np.array(judged.pairs.slices[column], dtype=object)
    return {
        name: JudgedSet(name, judged.job, only_rows(judged.pairs, values == name))
        for name in sorted(set(judged.pairs.slices[column]) - {""})
    }


def _group_column(job: NextItemJob) -> str | None:
    match job.data:
        case DataJob():
            return "department"
        case InteractionsData(items=items) | HistoriesData(items=items):
            return None if items is None else items.group


def _choose(found: Mapping[str, TransferSet], settings: TransferJob) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Give the sources and targets that are named, else the largest values that have rows to learn and to test."""
    for key in ("sources", "targets"):
        for name in getattr(settings, key):
            if name not in found:
                known = ", ".join(list(found)[:10]) + (", ..." if len(found) > 10 else "")  # noqa: PLR2004 - enough to see
                raise DataError(f"transfer.{key}: {settings.by!r} is never {name!r}; its values are {known or 'none'}")
    whole = [name for name, one in found.items() if _learnable(one) and _tested(one)]
    largest = tuple(sorted(whole, key=lambda name: (-_learnable(found[name]), name))[: settings.largest])
    taken = sorted({*ALONE} & {*largest}) if not (settings.sources and settings.targets) else []
    if taken:
        raise DataError(
            f"transfer.by = {settings.by!r}: its value {taken[0]!r} is what a start without a source is called:"
            " write it otherwise in the table, or name sources and targets without it"
        )
    sources, targets = settings.sources or largest, settings.targets or largest
    if len({*sources, *targets}) < 2:  # noqa: PLR2004 - from one set to itself
        raise DataError(
            f"transfer.by = {settings.by!r}: {len(largest)} of its values have train and {settings.judged_on} rows;"
            " nothing is carried over between fewer than two"
        )
    return sources, targets


def _learnable(one: TransferSet) -> int:
    match one:
        case JudgedSet(pairs=pairs):
            return len(pairs.rows(Part.TRAIN))
        case TripSet(snapshot=snapshot):
            return int(np.count_nonzero(snapshot.use == LEARN))


def _tested(one: TransferSet) -> int:
    match one:
        case JudgedSet(pairs=pairs):
            return len(pairs.rows(Part.TEST))
        case TripSet(snapshot=snapshot):
            return int(np.count_nonzero(snapshot.use == TARGET))


def _on_one_scale(sets: Mapping[str, TransferSet]) -> dict[str, TransferSet]:
    """Give sets of judged pairs whose labels are read alike; raise DataError where they cannot be."""
    judged = {name: one for name, one in sets.items() if isinstance(one, JudgedSet)}
    kinds = {name: _kind(one.pairs) for name, one in judged.items()}
    if len(set(kinds.values())) > 1:
        told = ", ".join(f"{name!r} has {kind}" for name, kind in kinds.items())
        raise DataError(f"transfer: labels of the sets are not of one kind: {told}; data.grades can make them so")
    if next(iter(kinds.values())) == WORDS:
        return dict(sets)
    low = min(float(one.pairs.label.min()) for one in judged.values())
    high = max(float(one.pairs.label.max()) for one in judged.values())
    return {name: _between(one, low, high) for name, one in judged.items()}


def _kind(pairs: Pairs) -> str:
    return WORDS if pairs.classes else YES_OR_NO if set(pairs.label.tolist()) <= {0.0, 1.0} else GRADED


def _between(one: JudgedSet, low: float, high: float) -> JudgedSet:
    job = one.job
    if isinstance(job, RelevanceJob) and job.relevant is None and low < high:
        job = job.model_copy(update={"relevant": (low + high) / 2})
    return replace(one, job=job, pairs=with_ends(one.pairs, low, high))
