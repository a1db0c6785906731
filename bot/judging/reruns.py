"""Asks for reruns, each a fire that is recorded with what calls for it, and says which were made as they were set."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection

from bot.domain.fires import Fire
from bot.domain.job_protocol import COMMIT_TAG, FIRE_TAG
from bot.domain.manifest import manifest_of
from bot.domain.recipes import Recipe
from bot.domain.runs import DataCard, Run
from bot.judging.context import JudgingContext
from bot.runtime.log import get_logger
from bot.store import fires

log = get_logger(__name__)


def can_be_made_again(context: JudgingContext, run: Run, fire: Fire | None) -> bool:
    """Say whether the pipeline's job made a run: what others logged, it cannot repeat."""
    return context.section.job is not None and (fire is not None or FIRE_TAG in run.tags)


def ask(tx: Connection, context: JudgingContext, run: Run, recipe: Recipe) -> Fire:
    """Record one more rerun of a run, by a recipe; who asks twice in the same place has one."""
    had = len(fires.reruns_of(tx, context.name, run.run_id))
    due_at = run.ended + timedelta(microseconds=had + 1)
    return fires.record(tx, context.name, due_at, run.run_id, recipe=recipe)


def not_as_set(run: Run, recipe: Recipe) -> tuple[str, ...]:
    """Name what a rerun says of itself that it had otherwise than it was set: then it shows nothing."""
    said = {str(component): part.identity for component, part in manifest_of(run, DataCard()).items()}
    ignored = [name for name, other in recipe.replaces.items() if said.get(name) == other]
    if ignored:
        log.warning("rerun not as it was set", run=run.name, ignored=ignored, always=True)
    of_code = ["code"] if _is_of_another_commit(run, recipe.commit) else []
    return tuple(dict.fromkeys([*ignored, *of_code]))


def _is_of_another_commit(run: Run, commit: str) -> bool:
    """Say whether a rerun says of itself that it ran other code than it was to run."""
    said = run.tags.get(COMMIT_TAG, "")
    differs = bool(commit and said) and not (said.startswith(commit) or commit.startswith(said))
    if differs:
        log.warning("rerun of another commit", run=run.name, wanted=commit, ran=said, always=True)
    return differs
