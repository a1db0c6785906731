"""What the training loop tells of where it stands: kept now and then, and when the fit is told to stop."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import monotonic

from safetensors import SafetensorError
from torch import Tensor

from trainer.errors import CheckpointError, Stopped
from trainer.learning.checkpoint_files import Checkpoint, Story
from trainer.learning.checkpoint_state import fill_carried, fill_state, name_state, read_reports
from trainer.learning.resuming import Resumption
from trainer.models.shards import gather
from trainer.stopping import Deferral, deferring_stops
from trainer.task import Standing, StepReport
from trainer.tracking.progress import say

LONG_STEP = 4.0  # s: whoever stops a job waits for ten, in which a step has to end and be written down
WORTH_KEEPING = 60.0  # s of training that what follows its end must not lose


class NoCheckpoints:
    """Nothing is kept: what is learnt takes seconds, or is learnt anew."""

    def following(self, standing: Standing) -> AbstractContextManager[int]:  # noqa: ARG002 - nobody asks again
        """Begin with the first step."""
        return nullcontext(0)

    def step_done(self, step: int) -> None:
        """Do nothing."""

    def carry(self, name: str, tensors: Sequence[Tensor]) -> None:
        """Keep nothing."""

    def taken(self) -> int:
        """Give none: there was no earlier try."""
        return 0


class KeptCheckpoints:
    """Writes where a fit stands to its shelf, and lets it begin where an earlier try stood."""

    def __init__(
        self, place: Resumption, minutes: float, run_id: str | None, clock: Callable[[], float] = monotonic
    ) -> None:
        self.shelf, self.identity, self.found = place.shelf, place.identity, place.found
        self.crew = place.crew
        self.seconds, self.run_id, self.clock = minutes * 60, run_id, clock
        self.told = [] if place.found is None else read_reports(place.found.tensors)
        self.earlier = tuple(self.told)
        self.carried: dict[str, Sequence[Tensor]] = {}
        self.fit = 0
        self.keeps = self.shelf.keep > 0 and not self.shelf.sealed
        self.standing: Standing | None = None
        self.deferral = Deferral()
        self.began = self.written = self.looked = clock()

    def report(self, report: StepReport) -> None:
        """Remember what was told of a step: the run that goes on tells it too."""
        self.told.append(report)

    def carry(self, name: str, tensors: Sequence[Tensor]) -> None:
        """Keep these too, and put them back as they were."""
        self.carried[name] = tensors

    def taken(self) -> int:
        """Give how many steps of the task's own loops earlier tries have told."""
        return sum(not report.adapting for report in self.earlier)

    @contextmanager
    def following(self, standing: Standing) -> Iterator[int]:
        """Put back what an earlier try had, and give how many steps of this loop it had made."""
        self.standing = standing
        done = self._take_up(standing)
        self.began = self.looked = self.clock()
        if not self.fit:
            self.written = self.began
        with deferring_stops() as self.deferral:
            yield done
        self.fit += 1

    def step_done(self, step: int) -> None:
        """Write where the fit stands where it is time, or where it was told to stop; raise Stopped then."""
        assert self.standing is not None  # a step is of some loop
        now = self.clock()
        # A stop waits for the end of a step, but not of one that is longer than whoever stops the fit has patience.
        self.deferral.asked = self.crew.agree(self.deferral.asked)
        self.deferral.at_once, self.looked = now - self.looked > LONG_STEP, now
        ended = step == self.standing.steps and now - self.began > WORTH_KEEPING
        due = self.keeps and (self.deferral.asked is not None or ended or now - self.written >= self.seconds)
        if self.crew.shards:  # what the first writes all have a part of
            due = bool(self.crew.as_the_first(float(due)))
        if due:
            self._write(self.standing, step)
        self._tell_stop()

    def clear(self) -> None:
        """Let go of all of them: the fit is over."""
        self.shelf.clear()
        self.keeps = False

    def _tell_stop(self) -> None:
        try:
            self.deferral.end_if_asked()
        except Stopped:
            if newest := next(iter(self.shelf.newest()), None):
                say(f"trainer: the same command goes on from {newest} (--resume never: it begins anew)")
            raise

    def _take_up(self, standing: Standing) -> int:
        if self.found is None or self.fit > self.found.story.fit:
            return 0
        story, tensors = self.found.story, self.found.tensors
        if self.fit < story.fit:
            # A loop that was done before: what came of it is among what is carried, and perhaps wanted before the next.
            self._put_back(lambda: fill_carried(self.carried, tensors))
            return standing.steps
        if (story.order, story.steps) != (standing.order, standing.steps):
            raise CheckpointError(
                f"{self.shelf.folder}: was written while rows came in another order, by other code: --resume never"
                " begins anew"
            )
        self._put_back(lambda: fill_state(standing, self.carried, tensors))
        standing.parts = story.parts
        self.found = None  # as large as what it was copied to
        return story.step

    def _put_back(self, fill: Callable[[], None]) -> None:
        assert self.found is not None  # there is something to go on from
        try:
            fill()
        except ValueError as error:
            aside = self.found.folder is not None and self.shelf.set_aside(self.found.folder)
            then = "; the same command goes on from the one before, if there is one" if aside else ""
            raise CheckpointError(
                f"{self.found.folder}: no checkpoint that this version can go on from: {error}{then}"
            ) from None

    def _write(self, standing: Standing, step: int) -> None:
        story = Story(self.identity, self.run_id, self.fit, step, standing.steps, standing.order, standing.parts)
        tensors = gather(name_state(standing, self.carried, self.told), keeps=self.keeps)
        if not self.keeps:
            return
        number = len(self.told)
        try:
            if not self.shelf.take():
                self.keeps = False
                say(f"trainer: {self.shelf.folder}: another fit of this job writes there: this one keeps nothing")
                return
            self.shelf.put(Checkpoint(story, tensors), number)
        except (OSError, SafetensorError) as error:
            newest = next(iter(self.shelf.newest()), None)
            left = "none is there" if newest is None else f"{newest.name} is kept"
            say(f"trainer: the checkpoint of step {number} was not written: {error}; {left}, the fit goes on")
        self.written = self.clock()
