"""Asks for reruns: of a run that looks bad, or by another recipe; each is a fire, recorded with what calls for it."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection

from bot.domain.fires import Fire
from bot.domain.job_protocol import FIRE_TAG
from bot.domain.recipes import Recipe
from bot.domain.runs import Run
from bot.judging.context import JudgingContext
from bot.store import fires


def can_be_made_again(context: JudgingContext, run: Run, fire: Fire | None) -> bool:
    """Say whether the pipeline's job made a run: what others logged, it cannot repeat."""
    return context.section.job is not None and (fire is not None or FIRE_TAG in run.tags)


def ask(tx: Connection, context: JudgingContext, run: Run, recipe: Recipe) -> Fire:
    """Record one more rerun of a run, by a recipe; who asks twice in the same place has one."""
    had = len(fires.reruns_of(tx, context.name, run.run_id))
    due_at = run.ended + timedelta(microseconds=had + 1)
    return fires.record(tx, context.name, due_at, run.run_id, recipe=recipe)
