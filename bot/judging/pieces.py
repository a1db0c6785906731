"""What a guilty component is made of: the commits between two, or the parts that two sets of data do not share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from bot.config.diagnose import CodeSection, DataSection, DiagnoseSection
from bot.domain.diagnosis.inquiry import Swap
from bot.domain.diagnosis.pieces import ChangedPiece, Pieces, Unlisted
from bot.domain.manifest import ComponentKind
from bot.domain.runs import Run
from bot.errors import JobError
from bot.executors.checkouts import commits_between
from bot.runtime.log import get_logger

MOST = 256

log = get_logger(__name__)


def has_pieces(section: DiagnoseSection, swap: Swap) -> bool:
    """Say whether config lets what a component is made of be set piece by piece."""
    match swap.component.kind:
        case ComponentKind.CODE:
            return section.code is not None and bool(section.code.git)
        case ComponentKind.DATA:
            return section.data is not None and bool(section.data.parts)
        case _:
            return False


def pieces_of(section: DiagnoseSection, place: int, swap: Swap, good: Run, bad: Run, folder: Path) -> Pieces:
    """Return the pieces of the component at a *place*; *folder* is what relative paths of the config start from.

    A rerun that says that it has all of them nevertheless shows nothing.
    """
    if section.code is not None and swap.component.kind is ComponentKind.CODE:
        found = _commits(section.code, place, swap, bad, folder)
    else:
        assert section.data is not None
        parts = tuple(_parts(section.data, good, bad))
        found = Pieces(place, parts) if len(parts) <= MOST else Pieces(place, unlisted=Unlisted.TOO_MANY)
    kept = (replace(each, recipe=replace(each.recipe, replaces=swap.as_before.replaces)) for each in found.all)
    return replace(found, all=tuple(kept))


def _commits(section: CodeSection, place: int, swap: Swap, bad: Run, folder: Path) -> Pieces:
    try:
        found = commits_between(folder / section.git, swap.as_before.commit, swap.as_now.commit, MOST)
    except JobError as error:
        log.warning("commits not listed", error=str(error), always=True)
        return Pieces(place, unlisted=Unlisted.NO_LIST)
    if not found or len(found) > MOST:
        return Pieces(place, unlisted=Unlisted.TOO_MANY if found else Unlisted.NOT_IN_A_ROW)
    recipes = [section.set_to(bad, each.commit) for each in found]
    return Pieces(
        place,
        tuple(
            ChangedPiece(each.commit, recipe, each.title, each.author, each.made_at)
            for each, recipe in zip(found, recipes, strict=True)
            if recipe is not None
        ),
    )


def _parts(section: DataSection, good: Run, bad: Run) -> Iterator[ChangedPiece]:
    """Yield the parts that only one of two runs has: first those that are gone, then those that are new."""
    before, now = section.parts_of(good), section.parts_of(bad)
    gone = [part for part in before if part not in now]
    new = [part for part in now if part not in before]
    for place, part in enumerate((*gone, *new), start=1):
        recipe = section.set_to(bad, _with_some(before, gone[:place], new[: max(place - len(gone), 0)]))
        if recipe is not None:
            yield ChangedPiece(part, recipe, is_gone=part in gone)


def _with_some(before: Sequence[str], gone: Sequence[str], new: Sequence[str]) -> Sequence[str]:
    return [*(part for part in before if part not in gone), *new]
