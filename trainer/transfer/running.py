"""Measures a matrix: what cannot be measured is refused first, cells are kept as they are done, the end is told."""

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from shutil import rmtree
from time import perf_counter

from trainer.data.card import DataCard
from trainer.data.scored_hash import note_held_out, note_judged
from trainer.data.snapshot import check_unused
from trainer.data.splits import Part
from trainer.errors import JobError, Stopped, TrackingError, tell_error
from trainer.jobs.schema import BESIDE, AnyJob, flatten
from trainer.jobs.transfer import ADAPTED
from trainer.models.token_losses import warned_once
from trainer.results.registered_models import fetched
from trainer.results.result_files import Result, leave_result
from trainer.results.run_manifest import manifest_tags
from trainer.search.trials import ended
from trainer.tracking.mlflow import FIRE_TAG, Recorder, resume_run, start_run
from trainer.tracking.progress import say
from trainer.transfer.delivering import Transferred, deliver_matrix
from trainer.transfer.fitting import open_fit
from trainer.transfer.judged_set import JudgedSet
from trainer.transfer.kept_cells import CellShelf, held_cells, identity_of, tidy
from trainer.transfer.leaks import find_cross_leaks, judge_cross_leaks
from trainer.transfer.matrix import assemble
from trainer.transfer.measuring import MatrixTask
from trainer.transfer.plan import TransferPlan, check_scales, plan_transfer
from trainer.transfer.sets import TransferSet, open_sets

TRANSFER_TAG = "herald.transfer"
RESUME = ("auto", "never")


def measure_transfer(job: AnyJob, others: Mapping[str, AnyJob], resume: str = "auto") -> Transferred:
    """Measure every cell and leave the matrix in the job's output; raise InputError before anything is written.

    *others* are the jobs of sets that have tables of their own. Cells of an earlier try of the same matrix are taken as
    they are, unless *resume* is `never`.
    """
    began = perf_counter()
    if resume not in RESUME:
        raise JobError(f"--resume {resume}: auto or never is right")
    if job.transfer is None:
        raise JobError("[transfer] is missing: it says what is learnt where and scored where (docs/transfer.md)")
    check_unused(job.output)
    with fetched(job) as local:
        plan = _plan(local, {name: one.model_copy(update={"model": local.model}) for name, one in others.items()})
        with held_cells(job.output, identity_of(plan), resume) as shelf, warned_once():
            _try_first(plan)
            parent, card = _parent(local, plan, shelf), card_of(plan)
            blank = Result(
                "failed", "transfer", job.task, job.seed, job.tracking.fire_id, job.tracking.uri, data_hash=card.hash
            )
            blank = replace(blank, run_id=parent.run_id, experiment_id=parent.experiment_id)
            try:
                with ended(parent):
                    measured = MatrixTask(local, plan, shelf, parent).measure_all()
            except (Exception, Stopped) as error:
                _tell_failure(job, blank, error)
                raise
            blank = replace(blank, seconds=round(perf_counter() - began, 3))
            done = deliver_matrix(job, assemble(plan, measured), measured, shelf, blank, parent)
            rmtree(shelf.folder, ignore_errors=True)
    tidy(job.output)
    return done


def _plan(job: AnyJob, others: Mapping[str, AnyJob]) -> TransferPlan:
    sets = open_sets(job, others)
    check_scales(sets)
    leaks = find_cross_leaks(sets)
    assert job.transfer is not None  # whoever calls has looked
    judge_cross_leaks(leaks, job.transfer)
    plan = plan_transfer(job, sets, leaks)
    seed = plan.settings.seeds[0]
    for name in sets.sources:
        say(f"trainer: {name}: {plan.learnt_of(name, seed).amount} {sets.by_name[name].unit} are learnt")
    return plan


def _try_first(plan: TransferPlan) -> None:
    """Load what the first fits need: a model that cannot be tuned, a device that is not there, is told here."""
    source, seed = plan.sets.sources[0], plan.settings.seeds[0]
    open_fit(plan.sets.by_name[source], plan.learnt_of(source, seed), seed, None, 1)
    for cell in plan.cells:
        if cell.source == ADAPTED and cell.seed == seed:
            open_fit(plan.sets.by_name[cell.target], plan.learnt_in(cell), seed, None, 1, adapts=True)


def _parent(job: AnyJob, plan: TransferPlan, shelf: CellShelf) -> Recorder:
    """Give the run that all cells are nested in: that of an earlier try, where MLflow knows it."""
    settings, fire = plan.settings, job.tracking.fire_id
    told = f"{', '.join(plan.sets.sources)} to {', '.join(plan.sets.targets)} by {plan.metric}"
    tags = {**manifest_tags(job, card_of(plan), "transfer"), TRANSFER_TAG: told}
    earlier = shelf.parent()
    if earlier is not None:
        try:
            recorder = resume_run(job.tracking.uri, *earlier)
        except (TrackingError, JobError) as error:
            say(f"trainer: {error}: the matrix has a new run")
        else:
            recorder.set_tags({**tags, **({FIRE_TAG: fire} if fire else {})})
            if (left := shelf.left_open()) is not None:
                recorder.end_if_running(left)
            say(f"trainer: goes on with run {recorder.run_id}; --resume never measures everything anew")
            return recorder
    recorder = start_run(job.tracking, tags)
    shelf.note_parent(recorder.run_id, recorder.experiment_id)
    asked = flatten(settings.model_dump(mode="json", exclude={"sets", "language"}), "transfer.")
    asked |= {f"transfer.{key}": str(list(getattr(plan.sets, key))) for key in ("sources", "targets")}
    recorder.log_params({**flatten(job.model_dump(exclude=BESIDE)), **asked, "data.hash": card_of(plan).hash})
    return recorder


def card_of(plan: TransferPlan) -> DataCard:
    """Give the card of all sets together: where both of its hashes are the same, two matrices can be compared."""
    cards = [_noted(plan.sets.by_name[name]) for name in sorted(plan.sets.by_name)]
    whole, tested = (
        sha256("\n".join(str(hashed) for hashed in hashes).encode()).hexdigest()
        for hashes in zip(*((card.hash, card.test_hash) for card in cards), strict=True)
    )
    return replace(cards[0], hash=whole, test_hash=tested)


def _noted(one: TransferSet) -> DataCard:
    return (note_judged(one.pairs, Part.TEST) if isinstance(one, JudgedSet) else note_held_out(one.snapshot)).card


def _tell_failure(job: AnyJob, blank: Result, error: BaseException) -> None:
    say("trainer: cells that are done are kept: the same command goes on from them")
    stopped = isinstance(error, Stopped)
    message = "stopped by a signal" if stopped else tell_error(error)
    leave_result(replace(blank, status="killed" if stopped else "failed", message=message), job.result)
