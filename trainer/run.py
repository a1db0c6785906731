"""One job from its file to its result: inputs checked, an MLflow run around the task, all outputs or none."""

import json
import signal
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from types import FrameType
from typing import TYPE_CHECKING, Literal

from trainer.config import Job, flatten
from trainer.data.card import write_card
from trainer.data.snapshot import whole_folder
from trainer.environment import describe_environment, git_commit, usable_cores
from trainer.errors import JobError, Stopped, TrackingError
from trainer.metrics import aggregate_slices
from trainer.progress import say, show_progress
from trainer.report import Result, summary, write_per_example, write_result
from trainer.tracking import Recorder, start_run

if TYPE_CHECKING:
    from trainer.loop import StepReport
    from trainer.tasks import next_item

Command = Literal["fit", "evaluate"]

RESULT = "result.json"
PER_EXAMPLE = "per_example.parquet"
DATA_CARD = "data_card.json"
SUMMARY = "summary.md"
ENVIRONMENT = "environment.json"
FAILURE = "failure.txt"
MODEL = "model"


@dataclass(frozen=True, slots=True)
class Finished:
    result: Result
    compared: Mapping[str, Mapping[str, float]]


def run_job(job: Job, command: Command) -> Finished:
    """Run a job; raise InputError before anything is written, and mark the MLflow run for whatever comes later."""
    began = perf_counter()
    if job.output.exists():
        raise JobError(f"output: {job.output} exists already; name a new folder or remove it first")
    task = _load_task(job, training=command == "fit")
    recorder = start_run(job.tracking, _tags(job, task, command))
    blank = Result("failed", command, job.task, job.seed, job.tracking.fire_id, job.tracking.uri)
    blank = replace(
        blank,
        run_id=recorder.run_id,
        experiment_id=recorder.experiment_id,
        data_hash=task.snapshot.card.hash,
    )
    try:
        finished = _carry_out(job, command, task, recorder, blank, began)
    except Stopped:
        _end(job, recorder, replace(blank, status="killed", message="stopped by a signal"), "KILLED")
        raise
    except Exception as error:
        with suppress(TrackingError):
            recorder.log_text(traceback.format_exc(), FAILURE)
        _end(job, recorder, replace(blank, message=f"{type(error).__name__}: {error}"), "FAILED")
        raise
    return finished


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn SIGTERM and Ctrl-C into Stopped within the block."""

    def stop(number: int, _frame: FrameType | None) -> None:
        for other in (signal.SIGTERM, signal.SIGINT):
            signal.signal(other, signal.SIG_IGN)  # once is enough: what follows is tidying up
        raise Stopped(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _load_task(job: Job, *, training: bool) -> "next_item.Task":
    import torch

    from trainer.tasks import next_item

    torch.set_num_threads(job.threads or usable_cores())
    torch.use_deterministic_algorithms(mode=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # nothing reads memory before it is written
    return next_item.load(job, training=training)


def _carry_out(
    job: Job, command: Command, task: "next_item.Task", recorder: Recorder, blank: Result, began: float
) -> Finished:
    from trainer.tasks import next_item

    recorder.log_params(_params(job, task))
    if command == "fit":
        with _reporting(job, task, recorder) as on_step:
            ready = next_item.fit(task, job, on_step)
    else:
        ready = next_item.take_saved(task, job)
    outcome = next_item.evaluate(task, ready)
    recorder.log_metrics(_all_metrics(outcome))
    with whole_folder(job.output) as folder:
        _write_artifacts(job, command, task, outcome, folder)
        if command == "fit":
            next_item.save(task, ready.scorer, folder / MODEL)
        recorder.log_artifact(folder)
        result = replace(
            blank,
            status="finished",
            seconds=round(perf_counter() - began, 3),
            metrics=outcome.metrics,
            baselines={name: values for name, values in outcome.compared.items() if name != outcome.name},
            paths=_paths(job, command),
        )
        write_result(result, folder / RESULT)
    _end(job, recorder, result, "FINISHED")
    return Finished(result, outcome.compared)


@contextmanager
def _reporting(job: Job, task: "next_item.Task", recorder: Recorder) -> Iterator["next_item.OnStep"]:
    """Send each step to MLflow and to whoever watches."""
    from trainer.tasks import next_item

    trips = next_item.trips_of(task, job)
    with show_progress("training", trips * job.train.epochs, "trips") as advance:

        def on_step(report: "StepReport") -> None:
            recorder.log_metrics({"loss": report.loss, "lr": report.lr}, report.step)
            advance(report.trips, f"loss {report.loss:.3f}")

        yield on_step


def _end(job: Job, recorder: Recorder, result: Result, status: str) -> None:
    if job.result is not None:
        write_result(result, job.result)
    try:
        recorder.finish(status)
    except TrackingError as error:
        if status == "FINISHED":
            raise
        say(f"the run {recorder.run_id} could not be marked {status}: {error}")


def _tags(job: Job, task: "next_item.Task", command: Command) -> dict[str, str]:
    tags = {"herald.task": job.task, "herald.command": command, "herald.data_hash": task.snapshot.card.hash}
    commit = git_commit()
    return tags | ({"mlflow.source.git.commit": commit} if commit else {})


def _params(job: Job, task: "next_item.Task") -> dict[str, str | int | float | bool]:
    """Give what decides the numbers; where outputs and tracking are does not."""
    settings = flatten(job.model_dump(exclude={"output", "result", "tracking"}))
    facts: dict[str, str | int | float | bool] = {
        "model.digest": task.encoder.source.digest,
        "model.frozen_layers": task.encoder.frozen,
        "data.hash": task.snapshot.card.hash,
    }
    return {**settings, **facts, **job.tracking.params}


def _all_metrics(outcome: "next_item.Outcome") -> dict[str, float]:
    metrics = dict(outcome.metrics)
    for scorer, values in outcome.compared.items():
        if scorer != outcome.name:
            metrics |= {f"{scorer.replace(' ', '_').replace('-', '_')}/{name}": value for name, value in values.items()}
    for value, (examples, values) in aggregate_slices(outcome.table).items():
        place = f"{outcome.slice_column}/{_legal(value)}"
        metrics |= {f"{place}/{name}": number for name, number in values.items()}
        metrics[f"{place}/examples"] = float(examples)
    return metrics


def _legal(value: str) -> str:
    """Keep what MLflow allows in the name of a metric."""
    return "".join(letter if letter.isalnum() or letter in "_-. " else "_" for letter in value) or "none"


def _write_artifacts(
    job: Job, command: Command, task: "next_item.Task", outcome: "next_item.Outcome", folder: Path
) -> None:
    write_card(task.snapshot.card, folder / DATA_CARD)
    write_per_example(outcome.table, outcome.slice_column, folder / PER_EXAMPLE)
    environment = describe_environment(job.threads or usable_cores())
    facts = {**environment, "seed": job.seed, "data_hash": task.snapshot.card.hash}
    (folder / ENVIRONMENT).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    title = f"{job.task}, seed {job.seed}"
    (folder / SUMMARY).write_text(summary(title, _story(task, command), outcome.compared), encoding="utf-8")


def _story(task: "next_item.Task", command: Command) -> dict[str, str]:
    card, encoder = task.snapshot.card, task.encoder
    layers = len(encoder.layers)
    what = f"the top {layers - encoder.frozen} of {layers} layers; the lower {encoder.frozen} and the embeddings stay"
    return {
        "tested on": f"{card.test_examples} households, the first trip of each from {card.test_from}, full ranking of "
        f"{card.catalogue_size} items, ties by expectation",
        **({"fine-tuned": f"partly: {what} as they came"} if command == "fit" else {}),
        "data": f"{card.rows_kept} of {card.rows_in} rows, {card.distinct_texts} distinct texts, hash {card.hash[:12]}",
    }


def _paths(job: Job, command: Command) -> dict[str, str]:
    output = job.output.absolute()
    names = {"data_card": DATA_CARD, "per_example": PER_EXAMPLE, "summary": SUMMARY, "environment": ENVIRONMENT}
    names |= {"model": MODEL} if command == "fit" else {}
    return {"output": str(output)} | {name: str(output / file) for name, file in names.items()}
