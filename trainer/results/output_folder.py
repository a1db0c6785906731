"""Where a job writes: beside its output, until there is something that must not be lost."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from trainer.errors import ScoringError, Stopped
from trainer.results.pending_upload import MODEL
from trainer.results.result_files import RESULT, Result, write_result
from trainer.stopping import unstoppable
from trainer.tracking.progress import say


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
        """Put the folder in its place."""
        with unstoppable():  # else it might be there and nobody know
            if not self.kept:
                self.path.rename(self.target)
                self.path = self.target


@contextmanager
def keeping_trained(output: OutputFolder, blank: Result) -> Iterator[None]:
    """Let a model outlive what fails within the block, even the process: it is in its place before, and named."""
    output.keep()
    model = output.target / MODEL
    say(f"trained: {model}")  # beside the lines of progress: no complaint
    try:
        yield
    except (Exception, Stopped) as error:
        told = (
            f"what was trained is kept: python -m trainer evaluate JOB.toml --model {model} --set output=ANOTHER"
            " goes on from there"
        )
        stopped = isinstance(error, Stopped)
        reason = "stopped by a signal" if stopped else f"{type(error).__name__}: {error}"
        with unstoppable():
            paths = {"output": str(output.target.absolute()), "model": str(model.absolute())}
            status = "killed" if stopped else "failed"
            result = replace(blank, status=status, message=f"{reason}; {told}", paths=paths)
            write_result(result, output.target / RESULT)
        if stopped:
            say(f"trainer: {told}")
            raise
        raise ScoringError(f"{reason}; {told}") from error
