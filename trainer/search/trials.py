"""Looks for a job's rate and batch: trials on the valid rows by a fixed budget, the best of them fitted again."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from trainer.errors import InputError, JobError, Stopped, TrainingError, tell_error
from trainer.jobs.schema import AnyJob, DataJob, NextItemJob, RelevanceJob, RetrievalJob
from trainer.results.output_folder import check_places
from trainer.results.pending_upload import StepLog
from trainer.results.registered_models import fetched
from trainer.results.result_files import Result, leave_result
from trainer.results.run_manifest import manifest_tags
from trainer.run import Finished, params_of, run_job
from trainer.tasks.metric_names import check_metric
from trainer.tasks.on_device import load_on_device
from trainer.tracking.mlflow import PARENT_TAG, Recorder, start_run
from trainer.tracking.progress import say

if TYPE_CHECKING:
    from trainer.task import StepReport

SEARCH_TAG = "herald.search"
LOWER = ("log_loss", "brier", "calibration_error", "rmse", "squared_error")  # metrics of which less is better
BY_TASK = {"next_item": "ndcg_at_10", "relevance": "auc", "retrieval": "ndcg_at_10"}
REACH = 10.0  # times the job's rate, up and down


@dataclass(frozen=True, slots=True)
class Space:
    """What is tried."""

    lowest: float  # rates
    highest: float
    batches: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """One try: its rate and batch, and what it measured on the valid rows; nothing where it failed."""

    lr: float
    batch: int
    value: float | None


@dataclass(frozen=True, slots=True)
class Searched:
    """All trials in order, the best of them, and what its fit came to."""

    metric: str
    trials: Sequence[Trial]
    best: Trial
    finished: Finished


def search_job(job: AnyJob, trials: int, space: Space, metric: str | None = None) -> Searched:
    """Fit so many trials and measure them on the valid rows, then fit the best as the job says; raise TrainerError.

    The run that the best is logged as is there from the beginning, and each trial's is nested in it.
    """
    check_places(job)
    name = metric or BY_TASK[job.task]
    study = _study(job, space, name)
    with fetched(on_valid(job)) as asked:
        task, _ = load_on_device(asked, training=True)  # bad input is told before anything is written
        check_metric("--metric", name, asked, task)
        parent = start_run(job.tracking, {SEARCH_TAG: f"{trials} trials by {name} of the valid rows"})
        with ended(parent, job):
            found = list(_try(asked, study, trials, space, name, parent))
            best = best_of(found, name)
    say(f"trainer: the best of {trials} trials is fitted: train.lr = {best.lr:.3g}, train.batch = {best.batch}")
    with ended(parent, job):
        return Searched(name, found, best, run_job(with_trial(job, best.lr, best.batch), "fit", started=parent))


def on_valid(job: AnyJob) -> AnyJob:
    """Give the job as it is tried: the valid rows are scored, and the test stays unseen."""
    match job:
        case RelevanceJob() | RetrievalJob():
            return job.model_copy(update={"part": "valid"})
        case NextItemJob():
            data = job.data
            if isinstance(data, DataJob):
                raise JobError(
                    "data.kind: a snapshot has a test and no valid part to choose on; interactions and histories have"
                    " one"
                )
            holdout = data.holdout.model_copy(update={"score_on": "valid"})
            return job.model_copy(update={"data": data.model_copy(update={"holdout": holdout})})


def with_trial(job: AnyJob, lr: float, batch: int) -> AnyJob:
    """Give the job with another rate and batch; the rate of a new layer keeps its distance to the others'."""
    changed: dict[str, float | int] = {"lr": lr, "batch": batch}
    if isinstance(job, RelevanceJob):
        changed["head_lr"] = job.train.head_lr * lr / job.train.lr
    return job.model_copy(update={"train": job.train.model_copy(update=changed)})


def best_of(trials: Sequence[Trial], metric: str) -> Trial:
    """Give the trial with the best value; raise TrainingError where none has any."""
    measured = [trial for trial in trials if trial.value is not None]
    if not measured:
        raise TrainingError(f"search: no trial measured {metric}; its runs say why")
    return max(measured, key=lambda trial: _good(trial, metric))


def _good(trial: Trial, metric: str) -> float:
    assert trial.value is not None  # only what was measured is compared
    return -trial.value if metric in LOWER else trial.value


def _try(job: AnyJob, study: Any, trials: int, space: Space, metric: str, parent: Recorder) -> Iterator[Trial]:
    for number in range(1, trials + 1):
        asked = study.ask()
        lr = float(asked.suggest_float("lr", space.lowest, space.highest, log=True))
        batch = int(asked.suggest_categorical("batch", space.batches))
        value = _measure(with_trial(job, lr, batch), f"trial {number}", metric, parent)
        study.tell(asked, value, state=None if value is not None else _failed())
        told = "failed" if value is None else f"{metric} {value:.4f}"
        say(f"trainer: trial {number}/{trials}: train.lr = {lr:.3g}, train.batch = {batch}: {told}")
        yield Trial(lr, batch, value)


def _study(job: AnyJob, space: Space, metric: str) -> Any:
    """Give what proposes trials (Bergstra et al. 2011), first what the job itself says."""
    try:
        import optuna
    except ImportError:
        raise JobError(
            "search: needs the package optuna, which is not installed: pip install 'runherald[search]'"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    direction: Literal["minimize", "maximize"] = "minimize" if metric in LOWER else "maximize"
    study = optuna.create_study(direction=direction, sampler=optuna.samplers.TPESampler(seed=job.seed))
    if space.lowest <= job.train.lr <= space.highest and job.train.batch in space.batches:
        study.enqueue_trial({"lr": job.train.lr, "batch": job.train.batch})
    return study


def _failed() -> Any:
    from optuna.trial import TrialState

    return TrialState.FAIL


def _measure(job: AnyJob, name: str, metric: str, parent: Recorder) -> float | None:
    """Fit and score one trial as a run nested in another; None where it cannot be fitted."""
    from trainer.learning.checkpoints import NoCheckpoints

    try:
        task, device = load_on_device(job, training=True)
    except InputError as error:  # such as a batch that is larger than what there is to learn
        say(f"trainer: {name}: {error}")
        return None
    # Not of the fire: the run that it is nested in is.
    tracking = job.tracking.model_copy(update={"run_name": name, "fire_id": None})
    recorder = start_run(tracking, {**manifest_tags(job, task.card, "fit"), PARENT_TAG: parent.run_id})
    with ended(recorder):
        recorder.log_params({**params_of(job, task), **device.facts()})
        steps = StepLog(recorder)

        def on_step(report: "StepReport") -> None:
            steps.add(report.curves(), report.step)

        try:
            metrics = task.fit(on_step, NoCheckpoints()).score().metrics
        except (FloatingPointError, TrainingError) as error:  # a rate that is too high is an answer too
            say(f"trainer: {name}: {error}")
            recorder.finish("FAILED")
            return None
        recorder.log_metrics(metrics)
        if metric not in metrics:
            raise JobError(f"--metric {metric}: the valid rows leave it undefined")
        recorder.finish("FINISHED")
    return metrics[metric]


@contextmanager
def ended(recorder: Recorder, job: AnyJob | None = None) -> Iterator[None]:
    """Let a run, and the result file of the *job* that it is of, say how the block was left, if not by its end."""
    try:
        yield
    except (Exception, Stopped) as error:
        stopped = isinstance(error, Stopped)
        if job is not None:
            told = "stopped by a signal" if stopped else tell_error(error)
            named = (job.task, job.seed, job.tracking.fire_id, job.tracking.uri, recorder.run_id)
            left = Result("killed" if stopped else "failed", "fit", *named, recorder.experiment_id, told)
            leave_result(left, job.result)
        recorder.give_up("KILLED" if stopped else "FAILED")
        raise
