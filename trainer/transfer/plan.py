"""What is measured: every cell of the matrix, told before anything is fitted; what cannot be measured is refused."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from trainer.data.splits import Part
from trainer.data.trips import split_trips
from trainer.errors import DataError, JobError
from trainer.jobs.schema import AnyJob, NextItemJob, RelevanceJob, RetrievalJob
from trainer.jobs.transfer import ADAPTED, PLAIN, POPULAR, TransferJob
from trainer.measures.ranks import METRICS
from trainer.models.label_scale import choose_scale
from trainer.transfer.drawing import Drawn
from trainer.transfer.judged_set import JudgedSet
from trainer.transfer.leaks import AllLeaks, left_out
from trainer.transfer.sets import TransferSet, TransferSets
from trainer.transfer.trip_set import TripSet

LISTS = ("ndcg_at_10", "recall_at_10", "recall_at_50", "mrr")
AUC, ACCURACY = "auc", "accuracy"
TWO = 2  # labels, or rows, of which a fit learns something
ALL = "all"


@dataclass(frozen=True, slots=True)
class TransferCell:
    """One model scored on one target: where it started, how many rows of the target it learnt, and its seed."""

    source: (
        str  # a set; or `plain`: no source; or `adapted`: none, its texts being read first; or `popularity`: no model
    )
    target: str
    shots: int | None  # of the target; None: all
    seed: int

    @property
    def told_shots(self) -> str:
        """Give the shots as they are written."""
        return ALL if self.shots is None else str(self.shots)


@dataclass(frozen=True, slots=True)
class TransferPlan:
    """The sets, what is learnt from a source, and the cells in the order in which they are measured."""

    sets: TransferSets
    settings: TransferJob
    metric: str
    leaks: AllLeaks
    cells: tuple[TransferCell, ...]

    def learnt_of(self, source: str, seed: int) -> Drawn:
        """Give what of a source is learnt."""
        return self.sets.by_name[source].everything(seed, left_out(self.leaks, source, self.settings))

    def learnt_in(self, cell: TransferCell) -> Drawn:
        """Give what of its target a cell learns."""
        one = self.sets.by_name[cell.target]
        if cell.shots is None:
            return one.everything(cell.seed)
        return one.few(cell.shots, cell.seed) if cell.shots else one.nothing()


def plan_transfer(job: AnyJob, sets: TransferSets, leaks: AllLeaks) -> TransferPlan:
    """Say what is to be measured; raise InputError for what cannot be."""
    settings = job.transfer
    assert settings is not None  # whoever calls has looked
    if isinstance(job, NextItemJob) and job.mix is not None:
        raise JobError("transfer: [mix] is rehearsed on more trips than a few users have: leave it out")
    plan = TransferPlan(
        sets, settings, _metric(job, sets), leaks, tuple(_cells(sets, settings, _starts(job), _counted(job)))
    )
    for name in sets.targets:
        _check_shots(sets.by_name[name], settings)
        _check_metric(sets.by_name[name], plan.metric)
    for cell in plan.cells:
        if cell.source == PLAIN and cell.shots != 0:
            drawn, where = plan.learnt_in(cell), f"{cell.told_shots} rows of {cell.target!r} with seed {cell.seed}"
            check_learnable(sets.by_name[cell.target], drawn, where)
    for name in sets.sources:
        for seed in settings.seeds:
            check_learnable(sets.by_name[name], plan.learnt_of(name, seed), f"the train rows of {name!r}")
    return plan


def _starts(job: AnyJob) -> tuple[str, ...]:
    """Give the starts without a source that learn rows of a target."""
    return (PLAIN,) if job.adapt is None else (PLAIN, ADAPTED)


def _counted(job: AnyJob) -> tuple[str, ...]:
    """Give what all rows of a target are held against that needs no model."""
    return (POPULAR,) if isinstance(job, NextItemJob) else ()


def _cells(
    sets: TransferSets, settings: TransferJob, alone: tuple[str, ...], counted: tuple[str, ...]
) -> Iterator[TransferCell]:
    """Give a seed's cells before the next seed's: what is there of it is whole where the rest is not waited for."""
    for seed in settings.seeds:
        for source in sets.sources:
            yield from (TransferCell(source, target, 0, seed) for target in sets.targets)
        for target in sets.targets:
            yield TransferCell(PLAIN, target, 0, seed)
            for shots in settings.few:
                others = (source for source in sets.sources if source != target)
                yield from (TransferCell(start, target, shots, seed) for start in (*alone, *others))
            yield from (TransferCell(start, target, None, seed) for start in (*alone, *counted))


def learnt_rows(one: TransferSet, drawn: Drawn) -> int:
    """Give of how many rows a fit makes its batches."""
    match one:
        case JudgedSet(job=RetrievalJob(relevant=relevant), pairs=pairs):
            return int(np.count_nonzero(pairs.label[drawn.learn] >= relevant))
        case JudgedSet():
            return len(drawn.learn)
        case TripSet(job=job):
            given = one.given(drawn)
            learn, _ = split_trips(given.purchases, given.use, min_history_days=job.train.min_history_days)
            return len(learn)


def check_learnable(one: TransferSet, drawn: Drawn, where: str) -> None:
    """Raise DataError where a fit could learn nothing of what was drawn."""
    if isinstance(one, JudgedSet):
        if isinstance(one.job, RelevanceJob) and len(np.unique(one.pairs.label[drawn.learn])) < TWO:
            raise DataError(
                f"transfer: {where} hold one label alone, of which nothing is learnt: larger shots are right"
            )
        if one.job.train.early_stop is not None and not len(drawn.settle):
            raise DataError(
                f"transfer: {where} go with too few valid rows for train.early_stop: leave it out, or say larger shots"
            )
    if learnt_rows(one, drawn) < TWO:
        what = "relevant pairs" if isinstance(one, JudgedSet) else "trips with a history behind them"
        raise DataError(f"transfer: {where} hold fewer than two {what}, of which nothing is learnt")


def _check_shots(one: TransferSet, settings: TransferJob) -> None:
    known = one.everything(0).amount
    largest = max(settings.few, default=0)
    if largest > known:
        raise DataError(f"transfer.shots: {largest} is more than the {known} train {one.unit} of {one.name!r}")


def _metric(job: AnyJob, sets: TransferSets) -> str:
    """Give the metric that cells are compared by; raise JobError for one that has no interval here."""
    asked = job.transfer.metric if job.transfer is not None else None
    match job:
        case NextItemJob():
            right: tuple[str, ...] = METRICS
            usual = "ndcg_at_10"
        case RetrievalJob():
            right, usual = LISTS, "ndcg_at_10"
        case RelevanceJob():
            judged = [one.pairs for one in sets.by_name.values() if isinstance(one, JudgedSet)]
            classes = job.target == "classes" or any(pairs.classes for pairs in judged)
            lists = all(len(np.unique(one.query_id)) < len(one) for one in judged) and not classes
            right = (*(() if classes else (AUC,)), ACCURACY, *((f"ndcg_at_{job.k}", "mrr") if lists else ()))
            usual = ACCURACY if classes else AUC
    if asked is not None and asked not in right:
        raise JobError(f"transfer.metric = {asked!r}: one of {', '.join(right)} is right here")
    return asked or usual


def _check_metric(one: TransferSet, metric: str) -> None:
    if not isinstance(one, JudgedSet):
        return
    pairs, test = one.pairs, one.pairs.rows(Part.TEST)
    if isinstance(one.job, RetrievalJob):
        if not (pairs.label[test] >= one.job.relevant).any():
            raise DataError(f"transfer.targets: no test row of {one.name!r} is relevant, from {one.job.relevant:g} on")
        return
    if metric != AUC:
        return
    cut = one.job.relevant
    assert cut is not None  # sets are put on one scale, and that has a middle
    good = pairs.label[test] >= cut
    if good.all() or not good.any():
        told = "every" if good.all() else "no"
        raise DataError(
            f"transfer.targets: {told} test row of {one.name!r} is relevant, from {cut:g} on: it has no AUC"
        )


def check_scales(sets: TransferSets) -> None:
    """Raise DataError where a set's labels cannot be learnt as the job says."""
    for one in sets.by_name.values():
        if isinstance(one, JudgedSet) and isinstance(one.job, RelevanceJob):
            pairs, job = one.pairs, one.job
            known = pairs.label[pairs.rows(Part.TRAIN)]
            where = f"{job.data.path}: set {one.name!r}"
            choose_scale(known, pairs.label, pairs.classes, job.target, job.relevant, where)
