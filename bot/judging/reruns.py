"""Asks for reruns, each a fire that is recorded with what calls for it, and says which were made as they were set."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection

from bot.domain.fires import Fire
from bot.domain.job_protocol import FIRE_TAG
from bot.domain.manifest import Component, ComponentKind, manifest_of
from bot.domain.recipes import Recipe
from bot.domain.rerun_troubles import RerunTrouble, TroubleKind
from bot.domain.runs import DataCard, Run
from bot.errors import abridge
from bot.judging.context import JudgingContext
from bot.runtime.log import get_logger
from bot.store import fires

_CODE = str(Component(ComponentKind.CODE))
_COMMIT = 12  # letters of a commit
_LONGEST = 60  # letters of anything else

log = get_logger(__name__)


def can_be_made_again(context: JudgingContext, run: Run, fire: Fire | None) -> bool:
    """Say whether the pipeline's job made a run: what others logged, it cannot repeat."""
    return context.section.job is not None and (fire is not None or FIRE_TAG in run.tags)


def ask(tx: Connection, context: JudgingContext, run: Run, recipe: Recipe) -> Fire:
    """Record one more rerun of a run, by a recipe; who asks twice in the same place has one."""
    had = len(fires.reruns_of(tx, context.name, run.run_id))
    due_at = run.ended + timedelta(microseconds=had + 1)
    return fires.record(tx, context.name, due_at, run.run_id, recipe=recipe)


def not_as_set(run: Run, recipe: Recipe) -> RerunTrouble | None:
    """Say what a rerun had otherwise than it was set, or than the bad run, by its own word: then it shows nothing."""
    parts = {str(component): part for component, part in manifest_of(run, DataCard()).items()}
    said = {name: part.identity for name, part in parts.items()}
    ignored = [name for name, other in recipe.replaces.items() if said.get(name) == other]
    if recipe.commit and _is_another(_CODE, said.get(_CODE, ""), recipe.commit) and _CODE not in ignored:
        ignored.append(_CODE)
    if ignored:
        log.warning("rerun not as it was set", run=run.run_id, named=run.name, ignored=ignored, always=True)
        return RerunTrouble(TroubleKind.NOT_AS_SET, ", ".join(ignored))
    for name, wanted in recipe.keeps.items():
        if _is_another(name, said.get(name, ""), wanted):
            log.warning(
                "rerun of another",
                run=run.run_id,
                named=run.name,
                component=name,
                wanted=wanted,
                ran=said[name],
                always=True,
            )
            ran = _in_short(name, said[name])
            return RerunTrouble(TroubleKind.RAN_OTHER, ran, component=name, wanted=_in_short(name, wanted))
    return None


def _is_another(name: str, said: str, wanted: str) -> bool:
    """Say whether a run says of itself that it had another; commits may be given by their beginnings."""
    if name == _CODE:
        return bool(said) and not (said.startswith(wanted) or wanted.startswith(said))
    return bool(said) and said != wanted


def _in_short(name: str, value: str) -> str:
    return value[:_COMMIT] if name == _CODE else abridge(value, _LONGEST)
