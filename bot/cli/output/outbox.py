"""What commands print about the outbox: counts first, then some of what is owed; everything for scripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from bot.cli.output.terminal import as_text, print_json, when
from bot.domain.repairs import Repair, RepairKind
from bot.store.backlog import Pile, Why
from bot.store.owed import EffectState, Owed
from bot.text.tables import Stacking, WholeConsole, print_pairs

if TYPE_CHECKING:
    from bot.delivery.reconciliation import Looked  # which loads all that delivers

_WHY = {
    Why.REFUSED: "refused: somebody must look",
    Why.BROKEN: "cannot be written: somebody must look",
    Why.LOST: "may or may not have arrived: somebody must look",
    Why.FAILING: "failed for a day, while others were taken: somebody must look",
    Why.ACCOUNT: "wait until our account is taken again",
    Why.MISSING: "what config names is missing there; wait until it is back",
    Why.WAITS: "wait for something that is not made yet",
    Why.DOUBTFUL: "may have arrived: looked for before they are sent again",
    Why.FAILED: "failed, and are tried again",
    Why.IN_LINE: "not tried yet",
}


def print_piles(piles: Sequence[Pile]) -> None:
    """Print how much is owed, and why it is not delivered yet."""
    if not piles:
        print("Nothing is owed.")
        return
    parked = sum(pile.count for pile in piles if pile.is_parked)
    print(f"{sum(pile.count for pile in piles):,} owed" + (f", {parked:,} of them parked" if parked else "") + ":")
    width = max(len(f"{pile.count:,}") for pile in piles)
    for pile in piles:
        print(f"  {pile.count:>{width},} {pile.service}: {_WHY[pile.why]}, the oldest since {when(pile.since)}")
        if pile.words:
            print(f"  {'':>{width}} {'' if pile.is_everybodys else 'such as: '}{_in_one_line(pile.words)}")


def print_page(owed: Sequence[Owed], *, number: int, limit: int, total: int) -> None:
    """Print one page of what is owed."""
    if not owed:
        if total:
            print(f"There is no page {number:,}.")
        return
    table = Stacking("#", "state", "effect", "on", "tries", "not before", "the service's words")
    for item in owed:
        table.add_row(
            str(item.seq),
            _state(item),
            item.effect.kind,
            escape(str(item.effect.target)),
            str(item.attempts),
            when(item.not_before),
            escape(item.error or ""),
        )
    table.print(WholeConsole())
    first = (number - 1) * limit + 1
    if total > len(owed):
        print(
            f"{first:,} to {first + len(owed) - 1:,} of {total:,}; --page N shows others, --all and --json every one."
        )


def print_lines(owed: Iterable[Owed]) -> None:
    """Print a line an effect, as it is read."""
    for item in owed:
        words = _in_one_line(item.error or "")
        print(
            item.seq,
            _state(item),
            item.effect.kind,
            item.effect.target,
            item.attempts,
            when(item.not_before),
            words,
            sep="\t",
        )


def print_owed_as_json(owed: Iterable[Owed]) -> None:
    """Print a JSON array of all that is owed, element by element as it is read."""
    begin = "["
    for item in owed:
        print(begin)
        print(as_text(_owed_as_json(item)), end="")
        begin = ","
    print("\n]" if begin == "," else "[]")


def print_retried(tried: Sequence[Owed], delivered: int, *, as_json: bool) -> None:
    """Print what became of all that was put back: those that still are not delivered, a line each.

    *delivered* counts what else was owed and went out meanwhile, too.
    """
    left = [each for each in tried if each.state is not EffectState.DELIVERED]
    if as_json:
        print_json([_owed_as_json(each) for each in tried])
        return
    print(f"{len(tried):,} put back, {len(tried) - len(left):,} of them delivered." if tried else "Nothing is parked.")
    others = delivered - (len(tried) - len(left))
    if others > 0:
        print(f"{others:,} that {'was' if others == 1 else 'were'} owed besides went out, too.")
    print_lines(left)


def _state(item: Owed) -> str:
    return "doubtful" if item.is_doubtful else "held" if item.held_since else item.state.value


def _in_one_line(words: str) -> str:
    return " ".join(words.split())


def print_effect(owed: Owed, *, as_json: bool) -> None:
    """Print all about one effect; what the service says of single fields in rows of their own."""
    if as_json:
        print_json(_owed_as_json(owed))
        return
    told: list[tuple[str, str]] = []
    for name, value in _owed_as_json(owed).items():
        match value:
            case dict():
                told += [(f"{name}: {key}", escape(words)) for key, words in value.items()]
            case datetime():
                told.append((name, when(value)))
            case None:
                pass
            case _:
                told.append((name, escape(str(value))))
    print_pairs(WholeConsole(), told)


_REPAIRS_SHOWN = 50
_REPAIRS = {
    RepairKind.KNOW: "is there and was not known",
    RepairKind.FOLLOW: "was moved or renamed",
    RepairKind.TURN_TO: "is open, unlike the one that we knew, or older: it stands now",
    RepairKind.FILE_ANEW: "was deleted while its incident is open: it is filed anew",
    RepairKind.FORGET: "was deleted: it is forgotten",
    RepairKind.CLOSE_DUPLICATE: "repeats an older one: it is closed as its duplicate",
    RepairKind.TELL_DUPLICATE: "repeats an older message: delete it by hand",
}


def print_repairs(looked: Looked, *, dry_run: bool, as_json: bool) -> None:
    """Print what differed between our state and the services, and where nobody could look."""
    repairs = looked.repairs
    if as_json:
        unseen = [asdict(each) for each in looked.unseen]
        print_json({"dry_run": dry_run, "repairs": [_repair_as_json(each) for each in repairs], "not_seen": unseen})
        return
    console = WholeConsole()
    for one in looked.unseen:
        console.print(f"[red]not looked at:[/] {escape(one.where)}: {escape(one.words)}")
    if not repairs:
        what = "What we believe is what the services hold"
        console.print(f"{what}, as far as we could look." if looked.unseen else f"{what}.")
        return
    table = Stacking("object", "called", "what")
    for each in repairs[:_REPAIRS_SHOWN]:
        called = (each.held.title or each.held.external_id) if each.held else each.known_as
        table.add_row(escape(str(each.key)), escape(called), _what(each))
    table.print(console)
    if len(repairs) > _REPAIRS_SHOWN:
        kinds = Counter(map(_what, repairs)).most_common()
        console.print(f"{len(repairs):,} in all, which --json lists:")
        for what, number in kinds:
            console.print(f"  {number:,}: it {escape(what)}")
    console.print("Nothing was changed." if dry_run else "Done.")


def _what(each: Repair) -> str:
    is_closed = each.kind is RepairKind.KNOW and each.held is not None and each.held.is_over
    return (
        "is there and was not known: people closed it, and it is not filed again" if is_closed else _REPAIRS[each.kind]
    )


def _repair_as_json(each: Repair) -> dict[str, Any]:
    return {
        "repair": each.kind.value,
        "on": str(each.key),
        "id": each.held.external_id if each.held else None,
        "called": each.held.title if each.held else each.known_as,
        "url": each.held.url if each.held else None,
        "closed": each.held.is_over if each.held else None,
        "known_as": each.known_as or None,
        "original": each.original.external_id if each.original else None,
    }


def _owed_as_json(owed: Owed) -> dict[str, Any]:
    return {
        "number": owed.seq,
        "state": owed.state.value,
        "doubtful": owed.is_doubtful,
        "effect": owed.effect.kind,
        "on": str(owed.effect.target),
        "cause": owed.effect.cause,
        "incident": owed.effect.incident_id,
        "pipeline": owed.pipeline,
        "owed_since": owed.created_at,
        "attempts": owed.attempts,
        "sent_at": owed.sent_at,
        "not_before": owed.not_before,
        "parked_for": owed.parked_for.value if owed.parked_for else None,
        "error": owed.error,
        "fields": dict(owed.fields),
    }
