"""A process that helps with a fit that another one leads: it computes, and neither writes nor speaks for itself."""

from collections.abc import Callable
from contextlib import ExitStack, redirect_stderr, suppress
from io import StringIO
from pathlib import Path

from trainer.errors import Dismissed, LostProcessError, Stopped
from trainer.jobs.schema import AnyJob
from trainer.learning.checkpoint_files import Shelf, read_checkpoint
from trainer.learning.checkpoints import KeptCheckpoints
from trainer.learning.resuming import Resumption, shelf_folder
from trainer.models.crew import Crew
from trainer.results.registered_models import fetched
from trainer.stopping import unstoppable
from trainer.task import Task
from trainer.tasks.on_device import load_on_device


def follow(load: Callable[[], AnyJob], crew: Crew) -> None:
    """Make every step that the first process makes; raise what only this one has met, and end as that one does."""
    with ExitStack() as kept:
        kept.enter_context(redirect_stderr(StringIO()))  # the first says the same
        job, task, crew, found = _prepare(load, crew, kept)
        earlier = read_checkpoint(Path(found)) if found else None
        place = Resumption(Shelf(shelf_folder(job), keep=0), {}, earlier, crew)
        checkpoints = KeptCheckpoints(place, job.checkpoint.every, None)
        try:
            with suppress(Dismissed), crew.noticing():
                task.fit(checkpoints.report, checkpoints)
        except (FloatingPointError, Stopped) as error:  # met by all of them after the same step
            _wait_for_the_first(crew)
            raise SystemExit(128 + error.signal_number if isinstance(error, Stopped) else 1) from None


def _prepare(load: Callable[[], AnyJob], crew: Crew, kept: ExitStack) -> tuple[AnyJob, Task, Crew, str]:
    """Load what is fitted while the first does, and wait for it: where that one ends before, so does this."""
    with unstoppable():  # a stop is the first's to tell
        try:
            job = kept.enter_context(fetched(load()))
            task, device = load_on_device(job, training=True, crew=crew)
        except Exception:
            # Not before the first has had its say: mostly it met the same, and a launcher ends all when one ends.
            _hear(crew)
            raise
        return job, task, device.crew, _hear(crew)


def _hear(crew: Crew) -> str:
    try:
        return crew.hear()
    except LostProcessError:
        raise SystemExit(1) from None  # the first has said why


def _wait_for_the_first(crew: Crew) -> None:
    """Let it mark its run: when one process has ended, a launcher stops the others."""
    with unstoppable():
        _hear(crew)
