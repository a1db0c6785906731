"""A model labels what it is sure of and learns from it, as long as the valid rows gain (Scudder 1965, with a cap)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

from trainer.data.snapshot import check_unused
from trainer.data.splits import Part
from trainer.errors import DataError, JobError, Stopped
from trainer.jobs.schema import RelevanceJob
from trainer.labelling.joining import joined_data, write_joined
from trainer.labelling.judges import chances
from trainer.labelling.pool import Pool, read_pool
from trainer.learning.checkpoints import NoCheckpoints
from trainer.models.label_scale import BINARY, CLASSES, RelevanceSettings
from trainer.results.appendix import Appendix
from trainer.results.output_folder import check_places
from trainer.results.pending_upload import StepLog
from trainer.results.registered_models import fetched
from trainer.results.run_manifest import manifest_tags
from trainer.run import Finished, params_of, run_job
from trainer.search.trials import LOWER, ended
from trainer.task import StepReport
from trainer.tasks.metric_names import check_metric
from trainer.tasks.on_device import load_on_device
from trainer.tasks.relevance import ReadyRelevance, Relevance
from trainer.tracking.mlflow import PARENT_TAG, Recorder, start_run
from trainer.tracking.progress import say

Floats = npt.NDArray[np.float64]

ROUNDS_TAG, ROUNDS = "herald.self_training", "self_training.json"


@dataclass(frozen=True, slots=True)
class SelfLabel:
    """A pair's label by the model itself, as the table writes labels, and how sure it is."""

    place: int  # in the pool
    label: str
    chance: float


@dataclass(frozen=True, slots=True)
class Round:
    """One fit: what of the pool it learnt beside the table, and what the valid rows say of it."""

    number: int
    learnt: int  # labels of the round before's model
    value: float


@dataclass(frozen=True, slots=True)
class SelfTrained:
    """All rounds in order, the one that was fitted in the end, and what that came to."""

    metric: str
    rounds: Sequence[Round]
    best: Round
    table: Path | None  # what the best round learnt from, where it is not the job's own
    finished: Finished


def choose_sure(chance_NC: Floats, confidence: float, most: int) -> list[int]:
    """Give the places of the surest pairs, at most so many of each likeliest class, in the order of the pool."""
    guess_N, sure_N = chance_NC.argmax(axis=1), chance_NC.max(axis=1)
    chosen: list[int] = []
    for label in range(chance_NC.shape[1]):
        own = np.flatnonzero((guess_N == label) & (sure_N >= confidence))
        chosen += own[np.argsort(-sure_N[own], kind="stable")][:most].tolist()
    return sorted(chosen)


def self_train(job: RelevanceJob) -> SelfTrained:
    """Fit, label, fit again, each round a nested run judged on the valid rows; fit the best as the job says.

    Raise InputError before anything is written.
    """
    table = job.output.with_name(f"{job.output.name}-pairs.parquet")
    check_places(job)
    check_unused(table)
    with fetched(job.model_copy(update={"part": "valid"})) as asked, TemporaryDirectory(prefix="trainer-") as scratch:
        task, _ = load_on_device(asked, training=True)
        assert isinstance(task, Relevance)  # the task of such a job
        valid = task.pairs.rows(Part.VALID)
        if not len(valid):
            raise DataError(f"{job.data.path}: no row is for valid: chances cannot be calibrated, nor rounds judged")
        metric = job.label.metric or ("accuracy" if task.scale.kind == CLASSES else "auc")
        if metric == "auc" and len(np.unique(task.pairs.label[valid] >= task.scale.relevant)) == 1:
            raise DataError(
                f"{job.data.path}: all {len(valid)} rows for valid are on one side of relevant ="
                f" {task.scale.relevant:g}, so that label.metric = 'auc' has no value:"
                " give valid more rows, or name another metric"
            )
        check_metric("label.metric", metric, asked, task)
        pool = read_pool(asked, task.pairs)
        parent = start_run(job.tracking, {ROUNDS_TAG: f"{job.label.rounds} rounds by {metric} of the valid rows"})
        with ended(parent, job):
            rounds, labels = _go_round(asked, pool, metric, Path(scratch), parent)
            best = _best(rounds, metric)
            if best.number:
                copyfile(_table_of(Path(scratch), best.number), table)
    chosen = job.model_copy(update={"data": joined_data(job.data, table)}) if best.number else job
    say(f"trainer: round {best.number} is fitted: {best.learnt} labels of the model's own")
    try:
        with ended(parent, job):
            finished = run_job(chosen, "fit", beside=_appendix(metric, rounds, best, pool, labels), started=parent)
    except (Exception, Stopped):
        if not job.output.exists():  # no model is left that learnt from it, and the same command makes it again
            table.unlink(missing_ok=True)
        raise
    return SelfTrained(metric, rounds, best, table if best.number else None, finished)


def _go_round(
    job: RelevanceJob, pool: Pool, metric: str, scratch: Path, parent: Recorder
) -> tuple[list[Round], list[Sequence[SelfLabel]]]:
    """Give the rounds up to the first that gains nothing, and what each of them learnt from the pool."""
    rounds: list[Round] = []
    learnt: list[Sequence[SelfLabel]] = [()]
    for number in range(job.label.rounds + 1):
        labels = learnt[number]
        path = _table_of(scratch, number)
        if number:
            rows = [pool.rows[one.place] for one in labels]
            write_joined(job.data, rows, [one.label for one in labels], path)
        data = joined_data(job.data, path) if number else job.data
        ready, value = _measure(job.model_copy(update={"data": data}), number, len(labels), metric, parent)
        rounds.append(Round(number, len(labels), value))
        say(f"trainer: round {number}: {metric} {value:.4f} with {len(labels)} labels of the model's own")
        if number == job.label.rounds or (number and _best(rounds, metric) is not rounds[-1]):
            break
        learnt.append(_label(job, ready, pool))
        if not learnt[-1]:
            say(f"trainer: of {len(pool)} pairs the model is sure of none at {job.label.confidence:g}")
            break
    return rounds, learnt


def _measure(
    job: RelevanceJob, number: int, learnt: int, metric: str, parent: Recorder
) -> tuple[ReadyRelevance, float]:
    task, device = load_on_device(job, training=True)
    assert isinstance(task, Relevance)  # the task of such a job
    # Not of the fire: the run that it is nested in is.
    tracking = job.tracking.model_copy(update={"run_name": f"round {number}", "fire_id": None})
    recorder = start_run(tracking, {**manifest_tags(job, task.card, "fit"), PARENT_TAG: parent.run_id})
    with ended(recorder):
        told = {"label.round": number, "label.learnt": learnt, "label.confidence": job.label.confidence}
        recorder.log_params({**params_of(job, task), **device.facts(), **told})
        steps = StepLog(recorder)

        def on_step(report: StepReport) -> None:
            steps.add(report.curves(), report.step)

        ready = task.fit(on_step, NoCheckpoints())
        metrics = ready.score().metrics
        recorder.log_metrics(metrics)
        if metric not in metrics:
            raise JobError(f"label.metric = {metric}: the valid rows leave it undefined")
        recorder.finish("FINISHED")
    return ready, metrics[metric]


def _label(job: RelevanceJob, ready: ReadyRelevance, pool: Pool) -> list[SelfLabel]:
    output_NC = ready.task.model.score_pairs(pool.queries, pool.products)
    chance_NC = chances(ready.saved, output_NC)
    places = choose_sure(chance_NC, job.label.confidence, job.label.most_per_label)
    words = _words(job, ready.saved, output_NC, chance_NC)
    return [SelfLabel(place, words[place], float(chance_NC[place].max())) for place in places]


def _words(job: RelevanceJob, saved: RelevanceSettings, output_NC: Floats, chance_NC: Floats) -> list[str]:
    """Give what the model would write into the column of labels."""
    scale = saved.scale
    if scale.kind == CLASSES:
        return [scale.classes[place] for place in chance_NC.argmax(axis=1).tolist()]
    if scale.kind == BINARY:
        grade_N = np.where(chance_NC[:, 1] >= chance_NC[:, 0], scale.high, scale.low)
    else:
        grade_N = scale.grades(saved.calibration.chances(output_NC[:, 0]))
    if (worth := job.data.grades) is not None:
        names = list(worth)
        nearest_N = np.abs(np.array([worth[name] for name in names]) - grade_N[:, None]).argmin(axis=1)
        return [names[place] for place in nearest_N.tolist()]
    return [f"{grade:.6g}" for grade in grade_N.tolist()]


def _table_of(scratch: Path, number: int) -> Path:
    return scratch / f"round-{number}.parquet"


def _best(rounds: Sequence[Round], metric: str) -> Round:
    """Give the round with the best value, the first of equals: a round that gains nothing is not worth its labels."""
    sign = -1 if metric in LOWER else 1
    return max(rounds, key=lambda one: sign * one.value)


def _appendix(
    metric: str, rounds: Sequence[Round], best: Round, pool: Pool, labels: Sequence[Sequence[SelfLabel]]
) -> Appendix:
    lines = [f"| round | labels of its own | {metric} of the valid rows |", "|---|---|---|"]
    lines += [f"| {one.number} | {one.learnt} | {one.value:.4f} |" for one in rounds]
    page = "\n".join(("## Self-training", "", *lines, "", f"Round {best.number} was fitted.", ""))
    learnt = [
        {"id": pool.ids[one.place], "query": pool.queries[one.place], "product": pool.products[one.place]}
        | {"label": one.label, "chance": round(one.chance, 4)}
        for one in labels[best.number]
    ]
    content = {"metric": metric, "rounds": [asdict(one) for one in rounds], "best": best.number, "learnt": learnt}
    params: dict[str, str | int | float | bool] = {"label.round": best.number, "label.learnt": best.learnt}
    return Appendix(params, {"self_training_gain": best.value - rounds[0].value}, page, ROUNDS, content)
