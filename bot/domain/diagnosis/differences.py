"""What is different about the runs since a fall, most suspected first: from what is on record, without any rerun."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bot.domain.diagnosis.hypotheses import Setting
from bot.domain.manifest import Component, ComponentKind, Ingredient, Manifest

# How often a change of each kind is what made numbers fall, as weights: no more than an order in which to look, which
# a few changes that did no harm, or one rerun, overrule.
USUAL = {
    ComponentKind.TEST_SET: 4.0,
    ComponentKind.DATA: 3.0,
    ComponentKind.CODE: 2.0,
    ComponentKind.PARAM: 2.0,
    ComponentKind.ENVIRONMENT: 1.0,
    ComponentKind.MACHINE: 0.7,
    ComponentKind.SEED: 0.3,
}
_SUPPOSED = 5.0  # earlier changes, all but one of them harmless, that every component is taken to have had
_WAS_THERE = 0.05  # what is left of the suspicion of what an accepted run had: it may do harm together with another


@dataclass(frozen=True, slots=True)
class Difference:
    """A component that is another in the bad runs than in the newest accepted one."""

    component: Component
    before: Ingredient | None  # None: it is new
    now: Ingredient | None  # None: it is gone
    changes: int  # how often it changed among the accepted runs, without harm
    had: int  # how many accepted runs had it as the bad ones do
    suspicion: float  # all differences share 1


@dataclass(frozen=True, slots=True)
class Differences:
    """All that differs, most suspected first, and of which kinds of components nothing is on record."""

    found: tuple[Difference, ...] = ()
    unknown: tuple[ComponentKind, ...] = ()

    @property
    def has_other_test_set(self) -> bool:
        """Whether the bad runs were scored on something else, so that their numbers are not those of before.

        A test set that changed among the accepted runs too, as one that moves along with the days, is what numbers live
        with.
        """
        return any(each.component.kind is ComponentKind.TEST_SET and not each.changes for each in self.found)


def differences(accepted: Sequence[Manifest], bad: Manifest) -> Differences:
    """Compare the manifests of accepted runs, oldest first, with that of the first bad one.

    What changed among the accepted runs too, without harm, is suspected less (rule of succession), and hardly what one
    of them had just as the bad run has it. A kind of which one side has nothing on record is unknown: a program that
    begins to log something has changed nothing.
    """
    if not accepted:
        return Differences(unknown=tuple(USUAL))
    then = {component.kind for manifest in accepted for component in manifest}
    known = then & {component.kind for component in bad}
    newest = accepted[-1]
    found = []
    for component in sorted({*newest, *bad}):
        before, now = newest.get(component), bad.get(component)
        if component.kind not in known or _same(before, now):
            continue
        held = [manifest.get(component) for manifest in accepted]
        changes = sum(not _same(a, b) for a, b in pairwise(held))
        had = sum(_same(each, now) for each in held)
        suspicion = USUAL[component.kind] / (_SUPPOSED + changes) * (_WAS_THERE if had else 1.0)
        found.append(Difference(component, before, now, changes, had, suspicion))
    return Differences(_shared(found), tuple(kind for kind in USUAL if kind not in known))


def setting_of(manifest: Manifest, found: Iterable[Difference]) -> Setting | None:
    """Say which differences a run has as the bad ones do; None of a run that has one as neither side does."""
    setting = []
    for each in found:
        part = manifest.get(each.component)
        if not _same(part, each.before) and not _same(part, each.now):
            return None
        setting.append(_same(part, each.now))
    return tuple(setting)


def _shared(found: Sequence[Difference]) -> tuple[Difference, ...]:
    total = sum(each.suspicion for each in found)
    ranked = sorted(found, key=lambda each: (-each.suspicion, each.component))
    return tuple(
        Difference(each.component, each.before, each.now, each.changes, each.had, each.suspicion / total)
        for each in ranked
    )


def _same(a: Ingredient | None, b: Ingredient | None) -> bool:
    return (None if a is None else a.identity) == (None if b is None else b.identity)
