"""An inquiry into one incident: what can be swapped between a good run and a bad one, and what each rerun leads to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from bot.domain.diagnosis.answer import Diagnosis, answer, least_of
from bot.domain.diagnosis.choice import choose
from bot.domain.diagnosis.hypotheses import Alone, Setting, suppose
from bot.domain.diagnosis.narrowing import PieceOutlook, look_within
from bot.domain.diagnosis.obstacles import NOTHING_HELD, DoneRerun, HeldBack, Obstacle, held_by, whole
from bot.domain.diagnosis.pieces import DonePieces, Pieces
from bot.domain.diagnosis.posterior import RerunResult, TwoLevels, believe
from bot.domain.manifest import Component, ComponentKind
from bot.domain.recipes import AS_CONFIGURED, PIECES, SWAP, Recipe
from bot.domain.rerun_troubles import RerunTrouble

_AS_BAD, _AS_GOOD, _AS_CONFIGURED = "1", "0", "-"  # the last: it can be set to neither side, and counts as it is
_AS_IS, _AS_WAS = "as it is", "as it was"
_ALIKE, _FAILED = 2, 3  # failures in a row of one cause, or of any, after which no rerun is made


class InquiryState(StrEnum):
    RUNNING = "running"
    ANSWERED = "answered"
    STOPPED = "stopped"  # by a person


@dataclass(frozen=True, slots=True)
class Swap:
    """A component that a rerun can have as it was, or as it is in the bad runs."""

    component: Component
    before: str  # as people read it
    now: str
    as_before: Recipe
    as_now: Recipe
    suspicion: float


@dataclass(frozen=True, slots=True)
class Kept:
    """What a component was in the bad run: a rerun that sets it not, and says that it had another, shows nothing."""

    component: Component
    identity: str
    may_follow: bool = False  # a parameter that changed too: it may be made from what is set, as a count of the data is


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What is asked about an incident; fixed when it begins, whatever runs come meanwhile."""

    inquiry_id: str
    pipeline: str
    incident_id: str
    metric: str
    smallest: float  # fall that matters, in the metric's unit
    good_run: str
    bad_run: str
    levels: TwoLevels
    swaps: tuple[Swap, ...]
    known: tuple[RerunResult, ...]  # earlier runs that had some of what changed: reruns that cost nothing
    left_out: tuple[Component, ...]  # what differs, and config says not how it is set
    budget: int  # reruns
    pieces: Pieces | None = None  # of the component that did it, once that is known
    piece_budget: int = 0  # reruns more, to tell these apart
    until: datetime | None = None  # no rerun begins later
    has_other_test_set: bool = False  # so that the numbers of before and since cannot be compared
    cut: Recipe = AS_CONFIGURED  # what every rerun has beside: a part of the data
    obstacles: tuple[Obstacle, ...] | None = ()  # to setting components; None as long as nobody has looked for any
    at_once: int = 1  # reruns
    why_left_out: tuple[RerunTrouble | None, ...] = ()  # of each; without a reason config says not how
    kept: tuple[Kept, ...] = ()  # what the bad run says of itself
    earlier: int = 0  # how many of those known, the last ones, earlier inquiries into the incident reran
    asked_by: str = ""  # who asked first, as people are called; of an inquiry of before it was kept, nobody knows

    @property
    def reran(self) -> tuple[RerunResult, ...]:
        """What earlier inquiries into the incident reran, which counts here too."""
        return self.known[len(self.known) - self.earlier :]

    @property
    def is_large(self) -> bool:
        """Say whether the fall was one that matters, whatever reruns show of it now."""
        return abs(self.levels.before - self.levels.since) >= least_of(self.levels, self.smallest)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is believed after some trials, and what to rerun next, at the same time; nothing ends the inquiry."""

    diagnosis: Diagnosis
    wanted: tuple[Setting, ...] = ()


def look_ahead(inquiry: Inquiry, trials: Sequence[DoneRerun]) -> Outlook:
    """Say what is believed after *trials*, and which settings to rerun next, if it is worth one and one is left.

    A component that cannot be set is no hypothesis: it stays as it is, and what nothing else explains is outside of all
    that can be set.
    """
    held = obstacles_to(inquiry, trials)
    free = [place for place in range(len(inquiry.swaps)) if place not in held]
    if not free:
        return Outlook(replace(_from_record(inquiry), is_sure=False))
    hypotheses = suppose([inquiry.swaps[place].suspicion for place in free])
    results = [RerunResult(_of(free, each.setting), each.value) for each in trials if each.value is not None]
    known = [RerunResult(_of(free, each.setting), each.value) for each in inquiry.known]
    posterior = believe(hypotheses, inquiry.levels, [*known, *results])
    diagnosis = whole(answer(hypotheses, posterior, inquiry.levels, inquiry.smallest), free)
    made = [each for each in trials if not held.stopped(each)]
    left = inquiry.budget - len(trials)
    if diagnosis.is_sure or left <= 0 or _is_hopeless(made):
        return Outlook(diagnosis)
    done = {_of(free, each.setting) for each in made} | {each.setting for each in known}
    wanted = choose(hypotheses, posterior, inquiry.levels, done, min(left, inquiry.at_once))
    return Outlook(diagnosis, tuple(_among(len(inquiry.swaps), free, setting) for setting in wanted))


def _is_hopeless(made: Sequence[DoneRerun]) -> bool:
    """Say whether the last reruns failed such that the next is expected to fail too."""
    failed: list[RerunTrouble | None] = []
    for each in made:
        failed = [] if each.value is not None else [*failed, each.trouble]
    is_alike = len(set(failed[-_ALIKE:])) == 1 or len(failed) == len(made)
    return len(failed) >= _FAILED or (len(failed) >= _ALIKE and is_alike)


def obstacles_to(inquiry: Inquiry, trials: Sequence[DoneRerun]) -> HeldBack:
    """Return which components cannot be set, as was seen before any rerun, or as reruns have shown."""
    return held_by(inquiry.obstacles or (), [swap.component.kind for swap in inquiry.swaps], trials)


def _from_record(inquiry: Inquiry) -> Diagnosis:
    hypotheses = suppose([swap.suspicion for swap in inquiry.swaps])
    return answer(hypotheses, believe(hypotheses, inquiry.levels, inquiry.known), inquiry.levels, inquiry.smallest)


def _of(places: Sequence[int], setting: Setting) -> Setting:
    return tuple(setting[place] for place in places)


def _among(count: int, places: Sequence[int], setting: Setting) -> Setting:
    """Return the setting of all components of which only those at some *places* are set: the others are as they are."""
    chosen = dict(zip(places, setting, strict=True))
    return tuple(chosen.get(place, True) for place in range(count))


def look_further(inquiry: Inquiry, trials: Sequence[DoneRerun], done: Sequence[DonePieces]) -> PieceOutlook | None:
    """Say which piece of the guilty component did it, and what to rerun next; None where it has none to tell apart.

    What was rerun before had that component as it was or as it is: it tells where both levels are.
    """
    pieces = inquiry.pieces
    if pieces is None or not pieces.all:
        return None
    known = [(each.setting[pieces.component], each.value) for each in inquiry.known]
    known += [(each.setting[pieces.component], each.value) for each in trials if each.value is not None]
    return look_within(len(pieces.all), inquiry.levels, known, done, inquiry.piece_budget, inquiry.at_once)


def is_alike(one: Inquiry, other: Inquiry) -> bool:
    """Say whether what the reruns of one inquiry measured holds for another."""
    return one.swaps == other.swaps and one.cut == other.cut


def guilty_alone(diagnosis: Diagnosis) -> int | None:
    """Return the component that is enough by itself, where one is."""
    return diagnosis.cause.component if isinstance(diagnosis.cause, Alone) else None


def part_known(
    settings: Sequence[Setting | None], values: Sequence[float]
) -> tuple[list[float], tuple[RerunResult, ...]]:
    """Part the values of accepted runs: those that had none of what changed, and those that had some of it.

    The latter are reruns that cost nothing. A run that had a component as neither side has it is one of the former: it
    was good without the change.
    """
    pairs = list(zip(settings, values, strict=True))
    good = [value for setting, value in pairs if setting is None or not any(setting)]
    known = tuple(RerunResult(setting, value) for setting, value in pairs if setting is not None and any(setting))
    return good, known


def recipe_of(setting: Setting, swaps: Sequence[Swap], held: HeldBack = NOTHING_HELD) -> Recipe:
    """Return how a job is set for a rerun; the recipe's name says which setting it is."""
    signs = [
        _AS_CONFIGURED if place in held.as_configured else _AS_BAD if is_bad else _AS_GOOD
        for place, is_bad in enumerate(setting)
    ]
    return _together(SWAP + "".join(signs), _chosen(setting, swaps, held))


def recipe_of_pieces(count: int, pieces: Pieces, swaps: Sequence[Swap], held: HeldBack = NOTHING_HELD) -> Recipe:
    """Return how a job is set for a rerun with the first *count* pieces, and all else as it was that can be set so."""
    chosen = _chosen(tuple(place in held for place in range(len(swaps))), swaps, held)
    chosen[pieces.component] = pieces.all[count - 1].recipe
    return _together(f"{PIECES}{count}", chosen)


def keeps_of(recipe: Recipe, inquiry: Inquiry, held: HeldBack) -> Mapping[str, str]:
    """Return what a rerun must have of what it does not set, as far as it says so of itself: what the bad run had."""
    set_ones = {swap.component for place, swap in enumerate(inquiry.swaps) if place not in held.as_configured}
    setting = read_setting(recipe)
    moves = setting is None or any(
        not is_bad and swap.component.kind is not ComponentKind.PARAM
        for swap, is_bad in zip(inquiry.swaps, setting, strict=True)
    )
    return {
        str(each.component): each.identity
        for each in inquiry.kept
        if each.component not in set_ones and not (each.may_follow and moves)
    }


def components_of(recipe: Recipe, inquiry: Inquiry) -> Mapping[str, str]:
    """Say of each component how a rerun of an inquiry has it: `as it was`, `as it is`, or up to which piece."""
    setting, count = read_setting(recipe), read_pieces(recipe)
    names = [str(swap.component) for swap in inquiry.swaps]
    if setting is not None:
        return {name: _AS_IS if is_bad else _AS_WAS for name, is_bad in zip(names, setting, strict=True)}
    found = dict.fromkeys(names, _AS_WAS)
    if inquiry.pieces is not None and count is not None:
        found[names[inquiry.pieces.component]] = f"up to {inquiry.pieces.all[count - 1].name}"
    return found


def on_cut(recipe: Recipe, cut: Recipe) -> Recipe:
    """Let a rerun see no more than a cut of the data, as far as its own recipe does not say which it sees."""
    return replace(
        recipe,
        arguments=(*cut.arguments, *recipe.arguments),
        environment={**cut.environment, **recipe.environment},
        cwd=recipe.cwd or cut.cwd,
    )


def _chosen(setting: Setting, swaps: Sequence[Swap], held: HeldBack) -> list[Recipe]:
    pairs = zip(swaps, setting, strict=True)
    return [
        AS_CONFIGURED if place in held.as_configured else swap.as_now if is_bad else swap.as_before
        for place, (swap, is_bad) in enumerate(pairs)
    ]


def _together(name: str, chosen: Sequence[Recipe]) -> Recipe:
    return Recipe(
        name=name,
        arguments=tuple(word for each in chosen for word in each.arguments),
        environment={name: value for each in chosen for name, value in each.environment.items()},
        cwd=next((each.cwd for each in chosen if each.cwd), ""),
        commit=next((each.commit for each in chosen if each.commit), ""),
        lock=next((each.lock for each in chosen if each.lock), ""),
        replaces={name: value for each in chosen for name, value in each.replaces.items()},
    )


def read_setting(recipe: Recipe) -> Setting | None:
    """Return the setting that a recipe is of; None of one that is of pieces."""
    if not recipe.name.startswith(SWAP):
        return None
    return tuple(sign != _AS_GOOD for sign in recipe.name.removeprefix(SWAP))


def read_pieces(recipe: Recipe) -> int | None:
    """Return how many pieces a recipe is of; None of one that is of a setting."""
    return int(recipe.name.removeprefix(PIECES)) if recipe.name.startswith(PIECES) else None
