"""What cannot be set, seen before any rerun or learnt from one that came to nothing: it is left as it is, and named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bot.domain.diagnosis.answer import Chance, Diagnosis
from bot.domain.diagnosis.hypotheses import Alone, Hypothesis, InPart, Setting, Together
from bot.domain.manifest import ComponentKind
from bot.domain.rerun_troubles import RerunTrouble, TroubleKind

_OF_KIND = {
    TroubleKind.NO_COMMIT: ComponentKind.CODE,
    TroubleKind.COMMIT_GONE: ComponentKind.CODE,
    TroubleKind.NO_LOCK: ComponentKind.ENVIRONMENT,
    TroubleKind.NOT_INSTALLED: ComponentKind.ENVIRONMENT,
}  # what a trouble is an obstacle to: the others are of the whole job


@dataclass(frozen=True, slots=True)
class DoneRerun:
    """A rerun of an inquiry that is over; without a value it failed, and says nothing."""

    setting: Setting
    value: float | None
    trouble: RerunTrouble | None = None  # why it has none


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a component cannot be set to one of its sides."""

    component: int
    is_bad: bool  # the side of the bad runs
    trouble: RerunTrouble


@dataclass(frozen=True, slots=True)
class HeldBack:
    """The components that cannot be set, each with why."""

    obstacles: Mapping[int, tuple[Obstacle, ...]]

    def __contains__(self, component: int) -> bool:
        return component in self.obstacles

    @property
    def as_configured(self) -> frozenset[int]:
        """Those that cannot be set as they are in the bad runs either: a job has them as config has them."""
        return frozenset(place for place, found in self.obstacles.items() if any(each.is_bad for each in found))

    def stopped(self, trial: DoneRerun) -> bool:
        """Say whether a rerun came to nothing since it had such a component on a side that it cannot be set to."""
        if trial.value is not None:
            return False
        return any(trial.setting[place] == each.is_bad for place, found in self.obstacles.items() for each in found)


NOTHING_HELD = HeldBack({})


def held_by(seen: Iterable[Obstacle], kinds: Sequence[ComponentKind], trials: Iterable[DoneRerun]) -> HeldBack:
    """Gather the obstacles that were *seen* before, and those that *trials* met, for components of these *kinds*."""
    found: dict[int, dict[bool, Obstacle]] = {}
    for each in (*seen, *_met(kinds, trials)):
        found.setdefault(each.component, {}).setdefault(each.is_bad, each)
    return HeldBack({place: tuple(sides.values()) for place, sides in found.items()})


def _met(kinds: Sequence[ComponentKind], trials: Iterable[DoneRerun]) -> Iterable[Obstacle]:
    for trial in trials:
        kind = None if trial.trouble is None else _OF_KIND.get(trial.trouble.kind)
        if trial.trouble is not None and kind in kinds:
            place = kinds.index(kind)
            yield Obstacle(place, trial.setting[place], trial.trouble)


def whole(diagnosis: Diagnosis, places: Sequence[int]) -> Diagnosis:
    """Return a diagnosis among some components as one among all, given their *places* there."""

    def moved(chance: Chance) -> Chance:
        return replace(chance, cause=_moved(chance.cause, places))

    others = tuple(map(moved, diagnosis.not_excluded))
    return replace(diagnosis, likeliest=moved(diagnosis.likeliest), not_excluded=others)


def _moved(cause: Hypothesis, places: Sequence[int]) -> Hypothesis:
    match cause:
        case Alone(component):
            return Alone(places[component])
        case Together(first, second):
            return Together(places[first], places[second])
        case InPart(first, second, share):
            return InPart(places[first], places[second], share)
        case _:
            return cause
