"""Whether what a diagnosis is to set can be had: looked at before anything is rerun."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from bot.config.diagnose import DiagnoseSection
from bot.domain.diagnosis.inquiry import Swap
from bot.domain.diagnosis.obstacles import Obstacle
from bot.domain.recipes import Recipe
from bot.domain.rerun_troubles import RerunTrouble, TroubleKind
from bot.errors import JobError, abridge
from bot.executors.checkouts import look_for
from bot.executors.lock_files import read_lock
from bot.runtime.log import journal

_LONGEST = 160  # characters of what git said


def obstacles_of(section: DiagnoseSection, swaps: Sequence[Swap], folder: Path | None) -> tuple[Obstacle, ...]:
    """Return what stands in the way of setting each component as it was, and as it is.

    *folder* is the config's; None where jobs run on a cluster, which sees nothing of it.
    """
    return tuple(_obstacles(section, swaps, folder))


def _obstacles(section: DiagnoseSection, swaps: Sequence[Swap], folder: Path | None) -> Iterator[Obstacle]:
    for place, swap in enumerate(swaps):
        for is_bad, recipe in ((False, swap.as_before), (True, swap.as_now)):
            trouble = trouble_with(section, recipe, folder)
            if trouble is not None:
                yield Obstacle(place, is_bad, trouble)


def not_on_a_cluster(recipe: Recipe) -> RerunTrouble | None:
    """Say what of a recipe cannot be set where jobs run on a cluster: what is made in Herald's own folders."""
    if recipe.commit:
        said = "job.executor is a cluster, and commits are checked out on Herald's own machine alone"
        return RerunTrouble(TroubleKind.NO_COMMIT, said)
    if recipe.lock:
        said = "job.executor is a cluster, and environments are made on Herald's own machine alone"
        return RerunTrouble(TroubleKind.NOT_INSTALLED, said)
    return None


def trouble_with(section: DiagnoseSection, recipe: Recipe, folder: Path | None) -> RerunTrouble | None:
    """Say why a job could not be set by a recipe, as far as can be seen without running it.

    *folder* is None where jobs run on a cluster: which paths are there is seen by the job alone.
    """
    if folder is None:
        return not_on_a_cluster(recipe)
    try:
        if recipe.commit and section.code is not None:
            look_for(folder / section.code.git, recipe.commit)
    except JobError as error:
        kind = error.trouble if error.trouble is TroubleKind.COMMIT_GONE else TroubleKind.NO_COMMIT
        return RerunTrouble(kind, _in_a_line(error))
    try:
        if recipe.lock and section.environment is not None:
            read_lock(folder, section.environment.git, recipe.lock)
    except JobError as error:
        return RerunTrouble(TroubleKind.NO_LOCK, _in_a_line(error))
    own = [recipe.cwd] if recipe.cwd and not recipe.commit else []
    missing = next((path for path in (*own, *recipe.needs) if not _is_there(folder, path)), None)
    return None if missing is None else RerunTrouble(TroubleKind.NO_PATH, abridge(missing, _LONGEST))


def _is_there(folder: Path, path: str) -> bool:
    """Say whether a path is there; one that the job fills, such as by its seed, is known only then."""
    try:
        return "{" in path or (folder / path).exists()
    except (OSError, ValueError):  # as of a name that is too long
        return False


def _in_a_line(error: JobError) -> str:
    return abridge(journal.mask(" ".join(error.said.split())), _LONGEST)
