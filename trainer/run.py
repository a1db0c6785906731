"""One job from its file to its result: inputs checked, an MLflow run around the task, all outputs or none."""

import json
import signal
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal

from trainer.config import Job, flatten
from trainer.data.card import write_card
from trainer.data.snapshot import partial_folder
from trainer.environment import describe_environment, git_commit, let_threads_sleep, usable_cores
from trainer.errors import Stopped, TrackingError
from trainer.metrics import aggregate_slices
from trainer.progress import say, show_progress
from trainer.report import Result, summary, write_per_example, write_result
from trainer.tracking import Recorder, start_run

if TYPE_CHECKING:
    from trainer.loop import StepReport
    from trainer.tasks import next_item

Command = Literal["fit", "evaluate"]
Handler = Callable[[int, FrameType | None], Any] | signal.Handlers

RESULT = "result.json"
PER_EXAMPLE = "per_example.parquet"
DATA_CARD = "data_card.json"
SUMMARY = "summary.md"
ENVIRONMENT = "environment.json"
FAILURE = "failure.txt"
MODEL = "model"
STOPPING = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True)
class Finished:
    result: Result
    compared: Mapping[str, Mapping[str, float]]


def run_job(job: Job, command: Command) -> Finished:
    """Run a job; raise InputError before anything is written, and mark the MLflow run for whatever comes later."""
    began = perf_counter()
    task = _load_task(job, training=command == "fit")
    with partial_folder(job.output) as folder:
        recorder = start_run(job.tracking, _tags(job, task, command))
        blank = Result(
            "failed",
            command,
            job.task,
            job.seed,
            job.tracking.fire_id,
            job.tracking.uri,
            run_id=recorder.run_id,
            experiment_id=recorder.experiment_id,
            data_hash=task.snapshot.card.hash,
        )
        with _marked(job, recorder, blank):
            finished = _carry_out(job, command, task, recorder, blank, folder, began)
            with _signals_to(signal.SIG_IGN):  # what is left takes no time, and half of it must not be
                folder.rename(job.output)
                if job.result is not None:
                    write_result(finished.result, job.result)
                recorder.finish("FINISHED")
    return finished


@contextmanager
def _marked(job: Job, recorder: Recorder, blank: Result) -> Iterator[None]:
    """Let the MLflow run and the result file say how the block was left, if not by its end."""
    try:
        yield
    except Stopped:
        _give_up(job, recorder, replace(blank, status="killed", message="stopped by a signal"), "KILLED")
        raise
    except Exception as error:
        with suppress(TrackingError):
            recorder.log_text(traceback.format_exc(), FAILURE)
        _give_up(job, recorder, replace(blank, message=f"{type(error).__name__}: {error}"), "FAILED")
        raise


def _give_up(job: Job, recorder: Recorder, result: Result, status: str) -> None:
    if job.result is not None:
        write_result(result, job.result)
    try:
        recorder.finish(status)
    except TrackingError as error:
        say(f"the run {recorder.run_id} could not be marked {status}: {error}")


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn SIGTERM and Ctrl-C into Stopped within the block."""

    def stop(number: int, _frame: FrameType | None) -> None:
        for other in STOPPING:
            signal.signal(other, signal.SIG_IGN)  # once is enough: what follows is tidying up
        raise Stopped(number)

    with _signals_to(stop):
        yield


@contextmanager
def _signals_to(handler: Handler) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in STOPPING}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def _load_task(job: Job, *, training: bool) -> "next_item.Task":
    let_threads_sleep()
    import torch

    from trainer.tasks import next_item

    torch.set_num_threads(job.threads or usable_cores())
    torch.use_deterministic_algorithms(mode=True)
    return next_item.load(job, training=training)


def _carry_out(
    job: Job, command: Command, task: "next_item.Task", recorder: Recorder, blank: Result, folder: Path, began: float
) -> Finished:
    from trainer.tasks import next_item

    recorder.log_params(_params(job, task))
    beginning = next_item.begin(task, job)
    if command == "fit":
        with _reporting(job, task, recorder) as on_step:
            ready = next_item.fit(task, job, beginning, on_step)
        next_item.save(task, ready.scorer, folder / MODEL)
    else:
        ready = next_item.take_saved(task, job, beginning)
    outcome = next_item.evaluate(task, ready)
    recorder.log_metrics(_all_metrics(outcome))
    _write_artifacts(job, command, task, outcome, folder)
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
    return Finished(result, outcome.compared)


@contextmanager
def _reporting(job: Job, task: "next_item.Task", recorder: Recorder) -> Iterator["next_item.OnStep"]:
    """Send each step to MLflow and to whoever watches."""
    from trainer.tasks import next_item

    trips = next_item.trips_of(task, job)
    with show_progress("training", trips * job.train.epochs, "trips") as advance:

        def on_step(report: "StepReport") -> None:
            recorder.log_metrics({"train/loss": report.loss, "train/lr": report.lr}, report.step)
            advance(report.trips, f"loss {report.loss:.3f}")

        yield on_step


def _tags(job: Job, task: "next_item.Task", command: Command) -> dict[str, str]:
    tags = {"herald.task": job.task, "herald.command": command, "herald.data_hash": task.snapshot.card.hash}
    tags["mlflow.source.name"] = f"python -m trainer {command}"
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
