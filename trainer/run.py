"""One job from its file to its result: inputs checked, an MLflow run around the task, all outputs or none."""

import json
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from trainer.data.card import write_card
from trainer.data.snapshot import partial_folder
from trainer.environment import describe_environment, usable_cores
from trainer.errors import DataError, LostProcessError, Stopped, TrackingError, tell_error
from trainer.jobs.addresses import without_user
from trainer.jobs.schema import BESIDE, AnyJob, Job, flatten
from trainer.measures.bootstrap import Intervals, measure_intervals
from trainer.measures.slices import choose_slices
from trainer.results.logged_metrics import all_metrics
from trainer.results.output_folder import OutputFolder, check_places, keeping_trained
from trainer.results.pending_upload import MODEL, StepLog, Upload, leave_owed
from trainer.results.registered_models import fetched
from trainer.results.result_files import (
    RESULT,
    Result,
    leave_result,
    write_intervals,
    write_per_example,
    write_result,
)
from trainer.results.run_manifest import data_used, manifest_tags
from trainer.results.summary import plural, summary
from trainer.stopping import unstoppable
from trainer.tasks.on_device import load_on_device
from trainer.tracking.mlflow import Recorder, start_run
from trainer.tracking.progress import say
from trainer.tracking.tensorboard import writing_events

if TYPE_CHECKING:
    from trainer.learning.resuming import Resumption
    from trainer.models.crew import Crew
    from trainer.models.device import Device
    from trainer.results.appendix import Appendix
    from trainer.task import Command, Outcome, Ready, Task

PER_EXAMPLE = "per_example.parquet"
DATA_CARD = "data_card.json"
SUMMARY = "summary.md"
INTERVALS = "intervals.json"
ENVIRONMENT = "environment.json"
TENSORBOARD = "tensorboard"
FAILURE = "failure.txt"


@dataclass(frozen=True, slots=True)
class Finished:
    """What a job that went through has to show."""

    result: Result
    compared: Mapping[str, Mapping[str, float]]
    name: str  # of the scored model among `compared`
    intervals: Intervals
    logged: Mapping[str, float]  # what MLflow is told, slices and other scorers included


def run_job(
    job: AnyJob,
    command: "Command",
    resume: str = "auto",
    beside: "Appendix | None" = None,
    started: Recorder | None = None,
    crew: "Crew | None" = None,
) -> Finished:
    """Run a job; raise InputError before anything is written, and mark the MLflow run for whatever comes later.

    A fit goes on from the checkpoint of an earlier try where *resume* is `auto`, from none if `never`, else from that
    in a folder. What the command knows *beside* the model's numbers is told with them. It is logged as a new run, or as
    one that was *started* for it. This process may lead a *crew* that fits together.
    """
    began = perf_counter()
    check_places(job)
    with fetched(job) as local:
        return _run_local(local, command, resume, beside, began, started, crew)


def _run_local(
    job: AnyJob,
    command: "Command",
    resume: str,
    beside: "Appendix | None",
    began: float,
    started: Recorder | None,
    crew: "Crew | None",
) -> Finished:
    task, device = load_on_device(job, training=command == "fit", crew=crew)
    with _earlier_try(job, task, command, resume, device) as place, partial_folder(job.output) as folder:
        output = OutputFolder(folder, job.output)
        tags = {**manifest_tags(job, task.card, command), **({} if place is None else place.tags())}
        recorder = start_run(job.tracking, tags) if started is None else started
        if started is not None:
            recorder.set_tags(tags)
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
            say(f"trainer: {device.tell()}")
            steps = StepLog(recorder)
            further_params = {} if beside is None else beside.params
            recorder.log_params({**params_of(job, task), **device.facts(), **further_params})
            finished = _carry_out(job, command, task, steps, blank, output, place, began)
            if beside is not None:
                finished = _add(finished, beside, output)
            _deliver(job, recorder, finished, _upload(job, command, finished, steps), output)
    return finished


@contextmanager
def _earlier_try(
    job: Job, task: "Task", command: "Command", resume: str, device: "Device"
) -> "Iterator[Resumption | None]":
    """Give where a fit keeps its checkpoints and whether it goes on from one; others have none."""
    if command != "fit":
        yield None
        return
    from trainer.learning.resuming import resumption

    with resumption(job, task, resume, device) as place:
        yield place


def _upload(job: Job, command: "Command", finished: Finished, steps: StepLog) -> Upload:
    result, named = finished.result, job.tracking.registered if command != "evaluate" else None
    assert result.run_id is not None
    assert result.experiment_id is not None
    copy = None if job.result is None else str(job.result.absolute())
    undefined = sorted(result.undefined)
    ids = (result.run_id, result.experiment_id)
    return Upload(job.tracking.uri, *ids, finished.logged, undefined, steps.unsent, named, job.tracking.alias, copy)


def _deliver(job: Job, recorder: Recorder, finished: Finished, upload: Upload, output: OutputFolder) -> None:
    """Send everything and put the output in its place; what cannot be sent is there all the same, and named."""
    try:
        upload.send(recorder, output.path)
        write_result(finished.result, output.path / RESULT)
        with unstoppable():  # what is left takes no time, and half of it must not be
            output.keep()
            if job.result is not None:
                write_result(finished.result, job.result)
            recorder.finish("FINISHED")
    except (Exception, Stopped) as error:  # whatever a tracking server or a store of artifacts has
        with unstoppable():
            with suppress(DataError):  # it lies beside its place then
                output.keep()
            left = replace(finished.result, paths=_paths(output.target, finished.result.command))
            told = leave_owed(upload, left, output.target, error)
        if isinstance(error, Stopped):
            say(f"trainer: {told}")
            raise
        reason = error if isinstance(error, TrackingError) else tell_error(error)
        raise TrackingError(f"{reason}; {told}") from error


@contextmanager
def _marked(job: Job, recorder: Recorder, blank: Result) -> Iterator[None]:
    """Let the MLflow run and the result file say how the block was left, if not by its end."""
    try:
        yield
    except Stopped:
        _give_up(job, recorder, replace(blank, status="killed", message="stopped by a signal"), "KILLED")
        raise
    except LostProcessError as error:
        with unstoppable():  # its launcher ends the others meanwhile
            _give_up(job, recorder, replace(blank, message=str(error)), "FAILED")
        raise
    except Exception as error:
        with suppress(Exception):  # a store of artifacts has errors of its own
            recorder.log_text(without_user(traceback.format_exc()), FAILURE)
        _give_up(job, recorder, replace(blank, message=tell_error(error)), "FAILED")
        raise


def _give_up(job: Job, recorder: Recorder, result: Result, status: str) -> None:
    leave_result(result, job.result)
    recorder.give_up(status)


def _carry_out(
    job: Job,
    command: "Command",
    task: "Task",
    steps: StepLog,
    blank: Result,
    output: OutputFolder,
    place: "Resumption | None",
    began: float,
) -> Finished:
    steps.recorder.log_data(data_used(task.card, command))
    if place is None:
        saved = task.take_saved()
        if command == "compress":
            saved.save(output.path / MODEL)
        return _score(job, command, task, saved, blank, output, began)
    from trainer.results.training import train_task

    board = output.path / TENSORBOARD if job.tensorboard else None
    ready, checkpoints = train_task(job, task, place, steps, board)
    ready.save(output.path / MODEL)
    with keeping_trained(output, blank):
        checkpoints.clear()
        return _score(job, command, task, ready, blank, output, began)


def _add(finished: Finished, beside: "Appendix", output: OutputFolder) -> Finished:
    beside.write(output.path, output.path / SUMMARY)
    result = replace(finished.result, metrics={**finished.result.metrics, **beside.metrics})
    return replace(finished, result=result, logged={**finished.logged, **beside.metrics})


def _score(
    job: Job, command: "Command", task: "Task", ready: "Ready", blank: Result, output: OutputFolder, began: float
) -> Finished:
    from trainer.explaining.worst import keep_worst

    outcome = ready.score()
    shown = choose_slices(outcome.table, job.slices.smallest, job.slices.most)
    intervals = measure_intervals(outcome.table, shown.values, outcome.intervals, outcome.sliced)
    metrics = all_metrics(outcome, intervals, shown.values)
    with writing_events(output.path / TENSORBOARD if job.tensorboard else None) as events:
        events.add(metrics, 0)
    story = {**task.story(command), **_tell(outcome, intervals), **shown.story()}
    _write_artifacts(job, task, outcome, intervals, story, output.path)
    keep_worst(job, ready, outcome, output.path)
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
        paths=_paths(job.output, command),
    )
    return Finished(result, outcome.compared, outcome.name, intervals, metrics)


def params_of(job: Job, task: "Task") -> dict[str, str | int | float | bool]:
    """Give what decides the numbers; where outputs and tracking are does not."""
    settings = flatten(job.model_dump(exclude=BESIDE))
    return {**settings, **task.facts(), "data.hash": task.card.hash, **job.tracking.params}


def _tell(outcome: "Outcome", intervals: Intervals) -> dict[str, str]:
    """Say what the intervals draw, and what could not be measured and why."""
    undefined = "; ".join(f"{name}: {why}" for name, why in outcome.undefined.items())
    drawn = f"95 %, from {intervals.clusters} {plural(intervals.unit)}, each drawn whole"
    return {"intervals": drawn, **outcome.notes, **({"not defined": undefined} if undefined else {})}


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


def _paths(output: Path, command: str) -> dict[str, str]:
    output = output.absolute()
    names = {
        "data_card": DATA_CARD,
        "per_example": PER_EXAMPLE,
        "summary": SUMMARY,
        "environment": ENVIRONMENT,
        "intervals": INTERVALS,
    }
    names |= {"model": MODEL} if command != "evaluate" else {}
    return {"output": str(output)} | {name: str(output / file) for name, file in names.items()}
