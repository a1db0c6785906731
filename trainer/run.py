"""One job from its file to its result: inputs checked, an MLflow run around the task, all outputs or none."""

import json
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from trainer.data.card import write_card
from trainer.data.snapshot import check_unused, partial_folder
from trainer.environment import describe_environment, git_commit, let_threads_sleep, tell_the_hub_nothing, usable_cores
from trainer.errors import Stopped, TrackingError
from trainer.jobs.schema import AnyJob, Job, flatten
from trainer.measures.bootstrap import Intervals, measure_intervals
from trainer.measures.per_example import aggregate_slices
from trainer.measures.slices import choose_slices
from trainer.results.result_files import Result, write_intervals, write_per_example, write_result
from trainer.results.summary import plural, summary
from trainer.stopping import unstoppable
from trainer.tracking.mlflow import UNDEFINED_TAG, Recorder, fetch_registered, start_run
from trainer.tracking.progress import say, show_progress
from trainer.tracking.tensorboard import Events, check_installed, writing_events

if TYPE_CHECKING:
    from trainer.task import Command, OnStep, Outcome, StepReport, Task

RESULT = "result.json"
PER_EXAMPLE = "per_example.parquet"
DATA_CARD = "data_card.json"
SUMMARY = "summary.md"
INTERVALS = "intervals.json"
ENVIRONMENT = "environment.json"
TENSORBOARD = "tensorboard"
FAILURE = "failure.txt"
MODEL = "model"


@dataclass(frozen=True, slots=True)
class Finished:
    """What a job that went through has to show."""

    result: Result
    compared: Mapping[str, Mapping[str, float]]
    name: str  # of the scored model among `compared`
    intervals: Intervals


def run_job(job: AnyJob, command: "Command") -> Finished:
    """Run a job; raise InputError before anything is written, and mark the MLflow run for whatever comes later."""
    began = perf_counter()
    check_unused(job.output)
    with _fetched(job) as local:
        return _run_local(local, command, began)


@contextmanager
def _fetched(job: AnyJob) -> Iterator[AnyJob]:
    """Let a model of the registry be a folder while the block runs."""
    if job.model.registry is None:
        yield job
        return
    with TemporaryDirectory(prefix="trainer-") as scratch:
        folder = fetch_registered(job.tracking.uri, job.model.registry, Path(scratch))
        model = job.model.model_copy(update={"registry": None, "folder": folder})
        yield job.model_copy(update={"model": model})


def _run_local(job: AnyJob, command: "Command", began: float) -> Finished:
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
            data_hash=task.card.hash,
        )
        with _marked(job, recorder, blank):
            finished = _carry_out(job, command, task, recorder, blank, folder, began)
            with unstoppable():  # what is left takes no time, and half of it must not be
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


def _load_task(job: AnyJob, *, training: bool) -> "Task":
    if job.tensorboard:
        check_installed()
    let_threads_sleep()
    tell_the_hub_nothing()
    import torch

    from trainer.tasks.loading import load_task

    torch.set_num_threads(job.threads or usable_cores())
    torch.use_deterministic_algorithms(mode=True)
    return load_task(job, training=training)


def _carry_out(
    job: Job, command: "Command", task: "Task", recorder: Recorder, blank: Result, folder: Path, began: float
) -> Finished:
    recorder.log_params(_params(job, task))
    with writing_events(folder / TENSORBOARD if job.tensorboard else None) as events:
        if command == "fit":
            with _reporting(task, recorder, events) as on_step:
                ready = task.fit(on_step)
            ready.save(folder / MODEL)
        else:
            ready = task.take_saved()
        outcome = ready.score()
        shown = choose_slices(outcome.table, job.slices.smallest, job.slices.most)
        intervals = measure_intervals(outcome.table, shown.values, outcome.intervals, outcome.sliced)
        metrics = _all_metrics(outcome, intervals, shown.values)
        events.add(metrics, 0)
    recorder.log_metrics(metrics)
    if outcome.undefined:
        recorder.set_tag(UNDEFINED_TAG, ",".join(sorted(outcome.undefined)))
    story = {**task.story(command), **_tell(outcome, intervals), **shown.story()}
    _write_artifacts(job, task, outcome, intervals, story, folder)
    recorder.log_artifact(folder)
    if command == "fit" and job.tracking.registered is not None:
        version = recorder.register(job.tracking.registered, MODEL)
        if job.tracking.alias is not None:
            recorder.set_alias(job.tracking.registered, job.tracking.alias, version)
    result = replace(
        blank,
        status="finished",
        seconds=round(perf_counter() - began, 3),
        metrics=outcome.metrics,
        baselines={name: values for name, values in outcome.compared.items() if name != outcome.name},
        intervals={name: [one.low, one.high] for name, one in intervals.whole.items()},
        cluster=intervals.unit,
        clusters=intervals.clusters,
        undefined=outcome.undefined,
        paths=_paths(job, command),
    )
    write_result(result, folder / RESULT)
    return Finished(result, outcome.compared, outcome.name, intervals)


@contextmanager
def _reporting(task: "Task", recorder: Recorder, events: Events) -> Iterator["OnStep"]:
    """Send each step to MLflow, to TensorBoard and to whoever watches."""
    amount = task.amount()
    with show_progress("training", amount.examples, amount.unit) as advance:

        def on_step(report: "StepReport") -> None:
            values = {"train/loss": report.loss, "train/lr": report.lr}
            recorder.log_metrics(values, report.step)
            events.add(values, report.step)
            advance(report.examples, f"loss {report.loss:.3f}")

        yield on_step


def _tags(job: Job, task: "Task", command: "Command") -> dict[str, str]:
    tags = {"herald.task": job.task, "herald.command": command, "herald.data_hash": task.card.hash}
    tags["mlflow.source.name"] = f"python -m trainer {command}"
    commit = git_commit()
    return tags | ({"mlflow.source.git.commit": commit} if commit else {})


def _params(job: Job, task: "Task") -> dict[str, str | int | float | bool]:
    """Give what decides the numbers; where outputs and tracking are does not."""
    settings = flatten(job.model_dump(exclude={"output", "result", "tracking"}))
    return {**settings, **task.facts(), "data.hash": task.card.hash, **job.tracking.params}


def _tell(outcome: "Outcome", intervals: Intervals) -> dict[str, str]:
    """Say what the intervals draw, and what could not be measured and why."""
    undefined = "; ".join(f"{name}: {why}" for name, why in outcome.undefined.items())
    drawn = f"95 %, from {intervals.clusters} {plural(intervals.unit)}, each drawn whole"
    return {"intervals": drawn, **outcome.notes, **({"not defined": undefined} if undefined else {})}


def _all_metrics(outcome: "Outcome", intervals: Intervals, shown: Mapping[str, Sequence[str]]) -> dict[str, float]:
    metrics = dict(outcome.metrics)
    for name, interval in intervals.whole.items():
        metrics |= {f"low/{name}": interval.low, f"high/{name}": interval.high}
    for scorer, values in outcome.compared.items():
        if scorer != outcome.name:
            metrics |= {f"{scorer.replace(' ', '_').replace('-', '_')}/{name}": value for name, value in values.items()}
    for column, parts in aggregate_slices(outcome.table, shown).items():
        for value, (examples, values) in parts.items():
            place = f"{_legal(column)}/{_legal(value)}"
            metrics |= {f"{place}/{name}": number for name, number in values.items()}
            metrics[f"{place}/examples"] = float(examples)
            further = outcome.sliced.get(column, {}).get(value)
            metrics |= {f"{place}/{name}": number for name, number in further.metrics.items()} if further else {}
    return metrics


def _legal(value: str) -> str:
    """Keep what MLflow allows in the name of a metric."""
    return "".join(letter if letter.isalnum() or letter in "_-. " else "_" for letter in value) or "none"


def _write_artifacts(
    job: Job, task: "Task", outcome: "Outcome", intervals: Intervals, story: Mapping[str, str], folder: Path
) -> None:
    write_card(task.card, folder / DATA_CARD)
    write_intervals(intervals, folder / INTERVALS)
    for name, rows in outcome.tables.items():
        pq.write_table(rows, folder / name)
    write_per_example(outcome.table, folder / PER_EXAMPLE)
    environment = describe_environment(job.threads or usable_cores())
    facts = {**environment, "seed": job.seed, "data_hash": task.card.hash}
    (folder / ENVIRONMENT).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    title = f"{job.task}, seed {job.seed}"
    page = summary(title, story, outcome.compared, outcome.name, intervals)
    (folder / SUMMARY).write_text(page, encoding="utf-8")


def _paths(job: Job, command: "Command") -> dict[str, str]:
    output = job.output.absolute()
    names = {
        "data_card": DATA_CARD,
        "per_example": PER_EXAMPLE,
        "summary": SUMMARY,
        "environment": ENVIRONMENT,
        "intervals": INTERVALS,
    }
    names |= {"model": MODEL} if command == "fit" else {}
    return {"output": str(output)} | {name: str(output / file) for name, file in names.items()}
