"""How a job is set to what a good run was made from, or a bad one: component by component, as config says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bot.config.diagnose import DiagnoseSection
from bot.domain.diagnosis.differences import Difference
from bot.domain.diagnosis.inquiry import Kept, Swap
from bot.domain.manifest import Component, ComponentKind, Ingredient, manifest_of
from bot.domain.recipes import AS_CONFIGURED, Recipe
from bot.domain.rerun_troubles import RerunTrouble, TroubleKind
from bot.domain.runs import DataCard, Run

_KEPT_ON_CUT = frozenset({ComponentKind.CODE, ComponentKind.ENVIRONMENT})
_KEPT = _KEPT_ON_CUT | {ComponentKind.DATA, ComponentKind.TEST_SET, ComponentKind.PARAM}


def swaps_of(
    section: DiagnoseSection, found: Sequence[Difference], good: Run, bad: Run
) -> tuple[tuple[Swap, ...], dict[Component, RerunTrouble | None]]:
    """Return what can be set as in *good* and as in *bad*, and what differs and cannot, with why; seeds are neither.

    What is set by the same words as in both cannot be told apart by them, and is left out. Without a reason config
    does not say how it is set.
    """
    swaps: list[Swap] = []
    left_out: dict[Component, RerunTrouble | None] = {}
    named = section.params_named
    for each in found:
        if each.component.kind is ComponentKind.SEED:  # every rerun has another
            continue
        if each.component.kind is ComponentKind.PARAM and each.component.name in named:
            continue  # it is how another component is set
        as_before, as_now = _recipe(section, each, each.before, good), _recipe(section, each, each.now, bad)
        if as_before is None or as_now is None or as_before == as_now:
            left_out[each.component] = _why_not(section, each, good, bad)
            continue
        as_before, as_now = _instead_of(each.now, each, as_before), _instead_of(each.before, each, as_now)
        before, now = ("" if part is None else part.shown for part in (each.before, each.now))
        swaps.append(Swap(each.component, before, now, as_before, as_now, each.suspicion))
    return tuple(swaps), left_out


def _why_not(section: DiagnoseSection, found: Difference, good: Run, bad: Run) -> RerunTrouble | None:
    kind = found.component.kind
    if kind not in section.settable:
        return None
    if found.before is None or found.now is None:
        return RerunTrouble(TroubleKind.ONE_SIDED)
    lacking = section.lacking(kind, good) or section.lacking(kind, bad)
    return RerunTrouble(TroubleKind.LACKS, lacking) if lacking else RerunTrouble(TroubleKind.SAME_WORDS)


def kept_of(section: DiagnoseSection, accepted: Sequence[Run], bad: Run) -> tuple[Kept, ...]:
    """Return what the bad run says of itself, that a rerun which does not set it has to have too.

    The machine and seeds may be others, and so may parameters that changed among the accepted runs by themselves, as
    the name of a folder does. On a cut of the data these are others by intention, and parameters may come of it.
    """
    manifests = [manifest_of(each, DataCard()) for each in accepted]
    kinds = _KEPT if section.cut is None else _KEPT_ON_CUT
    found = []
    for component, part in manifest_of(bad, DataCard()).items():
        held = {None if each is None else each.identity for each in (one.get(component) for one in manifests)}
        is_param = component.kind is ComponentKind.PARAM
        if component.kind not in kinds or (is_param and (len(held) > 1 or component.name in section.params_named)):
            continue
        found.append(Kept(component, part.identity, may_follow=is_param and held != {part.identity}))
    return tuple(found)


def cut_of(section: DiagnoseSection, bad: Run) -> Recipe | None:
    """Return how every rerun is set to a part of the data, where config says; None where *bad* lacks what it names."""
    if section.cut is None:
        return AS_CONFIGURED
    filled = Recipe("", section.cut.arguments, section.cut.environment, section.cut.cwd).of(bad)
    return filled if isinstance(filled, Recipe) else None


def _recipe(section: DiagnoseSection, found: Difference, part: Ingredient | None, run: Run) -> Recipe | None:
    """Return how a component is set to what it is in a run; None where the run has no such, or config says nothing."""
    kind = found.component.kind
    if part is None:
        return None
    if kind is ComponentKind.PARAM:
        return None if section.params is None else section.params.set_to(found.component.name, part.identity)
    if kind is ComponentKind.CODE:
        return None if section.code is None else section.code.set_to(run, part.identity)
    if kind is ComponentKind.DATA:
        return None if section.data is None else section.data.set_to(run, section.data.parts_of(run))
    chosen = section.recipe(kind)
    filled = None if chosen is None else chosen.recipe.of(run)
    return filled if isinstance(filled, Recipe) else None


def _instead_of(other: Ingredient | None, found: Difference, recipe: Recipe) -> Recipe:
    """Let a run that says that it has the other side's all the same count as one that was not set."""
    return recipe if other is None else replace(recipe, replaces={str(found.component): other.identity})
