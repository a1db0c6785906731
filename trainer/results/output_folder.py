"""Where a job writes: beside its output, until there is something that must not be lost."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from trainer.data.partial_folders import check_makeable
from trainer.data.snapshot import check_unused
from trainer.errors import DataError, JobError, ScoringError, Stopped, tell_error
from trainer.jobs.schema import Job
from trainer.results.pending_upload import MODEL
from trainer.results.result_files import RESULT, Result, leave_result
from trainer.stopping import unstoppable
from trainer.tracking.progress import say


def check_places(job: Job) -> None:
    """Raise InputError for an output or a result that could not be written: said before the work, not after it."""
    check_unused(job.output)
    if job.result is None:
        return
    if job.result.is_dir():
        raise JobError(f"result = {job.result}: is a folder; the name of a file is right")
    check_makeable(job.result)


@dataclass(slots=True)
class OutputFolder:
    """A folder that is being filled, and what it will be called."""

    path: Path  # where it is now
    target: Path

    @property
    def kept(self) -> bool:
        """Say whether it stays whatever happens."""
        return self.path == self.target

    def keep(self) -> None:
        """Put the folder in its place; where something has come to be there, beside it, and raise DataError."""
        with unstoppable():  # else it might be there and nobody know
            if self.kept:
                return
            wanted = self.target
            self.target = next(place for place in _places(wanted) if not os.path.lexists(place))
            self.path.rename(self.target)
            self.path = self.target
            if self.target != wanted:
                raise DataError(f"{wanted}: was made by another meanwhile, so {self.target} was written")


def _places(wanted: Path) -> Iterator[Path]:
    yield wanted
    yield from (wanted.with_name(f"{wanted.name}-{number}") for number in count(2))


@contextmanager
def keeping_trained(output: OutputFolder, blank: Result) -> Iterator[None]:
    """Let a model outlive what fails within the block, even the process: it is in its place before, and named."""
    try:
        output.keep()
        taken = None
    except DataError as error:
        taken = error
    model = output.target / MODEL
    say(f"trained: {model}")  # beside the lines of progress: no complaint
    try:
        if taken is not None:
            raise taken  # noqa: TRY301 - told as what fails later is
        yield
    except (Exception, Stopped) as error:
        told = (
            f"what was trained is kept: python -m trainer evaluate JOB.toml --model {model} --set output=ANOTHER"
            " goes on from there"
        )
        stopped = isinstance(error, Stopped)
        reason = "stopped by a signal" if stopped else tell_error(error) if taken is None else str(error)
        with unstoppable():
            paths = {"output": str(output.target.absolute()), "model": str(model.absolute())}
            status = "killed" if stopped else "failed"
            result = replace(blank, status=status, message=f"{reason}; {told}", paths=paths)
            leave_result(result, output.target / RESULT)
        if stopped:
            say(f"trainer: {told}")
            raise
        raise ScoringError(f"{reason}; {told}") from error
