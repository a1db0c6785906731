"""What reruns of diagnoses leave on the disk, worktrees and environments: removed once nothing needs them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bot.domain.recipes import Recipe
from bot.errors import JobError
from bot.executors import environment_builder
from bot.executors.checkouts import remove_but
from bot.judging.context import JudgingContext
from bot.pipeline.job_making import JobMaker
from bot.runtime.log import get_logger
from bot.store import fires, inquiries

_UNUSED = 86_400.0  # seconds after its last use that an environment is kept: who asks again soon has it still

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What the reruns of one pipeline left; whoever removes it holds the pipeline's lease: no other begins one."""

    context: JudgingContext
    folder: Path  # that relative paths of the config start from

    def remove_checkouts(self) -> None:
        """Remove the worktrees of commits that no diagnosis under way, and no job that may run, works in."""
        section, checkouts = self.context.section.diagnose, self._making.checkouts
        if section is None or section.code is None or not section.code.git or not any(checkouts.glob("*")):
            return
        needed = {recipe.commit for recipe in self._recipes()}
        try:
            gone = remove_but(self.folder / section.code.git, checkouts, needed)
        except (JobError, OSError) as error:
            log.warning("worktrees not removed", pipeline=self.context.name, error=str(error))
            return
        if gone:
            log.info("removed worktrees", pipeline=self.context.name, count=gone)

    def remove_environments(self) -> None:
        """Remove the environments that nobody has used for a day, and that no diagnosis under way needs."""
        environments = self._making.environments
        ready = [*environments.place.glob("*.ready")]
        if not ready:
            return
        try:
            needed = {
                environments.made_from(lock).folder.name for lock in {each.lock for each in self._recipes()} - {""}
            }
        except JobError as error:  # what is needed cannot be told
            log.warning("environments not removed", pipeline=self.context.name, error=str(error))
            return
        for each in ready:
            with suppress(OSError):
                if each.stem not in needed and time.time() - each.stat().st_mtime > _UNUSED:
                    environment_builder.remove(each)
                    log.info("removed an environment", pipeline=self.context.name, environment=each.stem)

    @property
    def _making(self) -> JobMaker:
        return JobMaker(self.context, self.folder)

    def _recipes(self) -> Iterator[Recipe]:
        """Yield how everything is set that diagnoses under way may still rerun, and that jobs may still run by."""
        with self.context.database.begin() as tx:
            asked = [record.inquiry for record in inquiries.running(tx, self.context.name)]
            unfinished = fires.unfinished(tx, self.context.name)
        for inquiry in asked:
            for swap in inquiry.swaps:
                yield from (swap.as_before, swap.as_now)
            yield from () if inquiry.pieces is None else (piece.recipe for piece in inquiry.pieces.all)
        yield from (fire.recipe for fire in unfinished)
