"""Trains a task from where an earlier try stood, telling MLflow, TensorBoard and whoever watches."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainer.errors import TrainingError
from trainer.jobs.schema import Job
from trainer.learning.checkpoints import KeptCheckpoints
from trainer.learning.resuming import Resumption
from trainer.results.pending_upload import StepLog
from trainer.task import OnStep, Ready, StepReport, Task
from trainer.tracking.progress import say, show_progress
from trainer.tracking.tensorboard import Events, writing_events


def train_task(
    job: Job, task: Task, place: Resumption, steps: StepLog, board: Path | None
) -> tuple[Ready, KeptCheckpoints]:
    """Give what was trained, and the checkpoints, which are wanted until that is saved."""
    checkpoints = KeptCheckpoints(place, job.checkpoint.every, steps.recorder.run_id)
    if place.found is not None:
        _take_over(checkpoints, place.found.story.run_id, steps)
    # Closed before the folder moves: TensorBoard opens its file anew, by name, for each piece.
    with writing_events(board) as events, _reporting(task, steps, events, checkpoints) as on_step:
        place.crew.tell("" if place.found is None else str(place.found.folder))  # the others begin
        try:
            with place.crew.noticing():
                return task.fit(on_step, checkpoints), checkpoints
        except (FloatingPointError, TrainingError) as error:
            checkpoints.clear()  # they lead there again
            raise TrainingError(str(error)) from error


def _take_over(checkpoints: KeptCheckpoints, earlier: str | None, steps: StepLog) -> None:
    """Say where this fit goes on, and tell its run what was told of the steps before."""
    told = checkpoints.earlier[-1:]
    which = f"step {told[0].step} of adapting" if told and told[0].adapting else f"step {checkpoints.taken()}"
    say(f"trainer: goes on after {which}, from the checkpoint of run {earlier or 'unknown'}")
    steps.add_earlier([(report.step, report.curves()) for report in checkpoints.earlier])
    if earlier is not None:
        steps.recorder.end_if_running(earlier)


@contextmanager
def _reporting(task: Task, steps: StepLog, events: Events, checkpoints: KeptCheckpoints) -> Iterator[OnStep]:
    """Send each step to MLflow, to TensorBoard and to whoever watches."""
    amount = task.amount()
    with show_progress("training", amount.examples, amount.unit) as advance:
        for report in checkpoints.earlier:
            events.add(report.curves(), report.step)
        if checkpoints.taken():
            advance(sum(report.examples for report in checkpoints.earlier if not report.adapting), "done before")

        def on_step(report: StepReport) -> None:
            values = report.curves()
            steps.add(values, report.step)
            events.add(values, report.step)
            checkpoints.report(report)
            if not report.adapting:  # whoever adapts says how far that is
                advance(report.examples, f"loss {report.loss:.3f}")

        yield on_step
