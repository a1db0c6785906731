"""What `herald diagnose` prints: each rerun, and which change did it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from bot.cli.output.terminal import print_json, when
from bot.text.tables import Stacking, WholeConsole

if TYPE_CHECKING:  # what is printed is made elsewhere, by what is slow to load
    from bot.domain.diagnosis.answer import Chance
    from bot.domain.diagnosis.inquiry import DoneRerun, Inquiry
    from bot.domain.diagnosis.pieces import DonePieces
    from bot.store.inquiries import InquiryRecord

_SETTINGS = {True: "as it is", False: "as it was"}


def print_inquiry(
    record: InquiryRecord, trials: Sequence[DoneRerun], done: Sequence[DonePieces], told: str, *, as_json: bool
) -> None:
    """Print a row a rerun, of components and of pieces, and what was found in words, where it was."""
    inquiry = record.inquiry
    if as_json:
        print_json(_as_json(record, trials, done))
        return
    console = WholeConsole()
    if trials:
        table = Stacking(*(str(swap.component) for swap in inquiry.swaps), inquiry.metric)
        for trial in trials:
            table.add_row(*(_SETTINGS[is_bad] for is_bad in trial.setting), _shown(trial.value))
        table.print(console)
    if inquiry.pieces is not None and done:
        pieces = Stacking(f"{inquiry.swaps[inquiry.pieces.component].component} up to", inquiry.metric)
        for each in done:
            pieces.add_row(escape(inquiry.pieces.all[each.count - 1].name), _shown(each.value))
        pieces.print(console)
    left = f"{len(trials)} of at most {inquiry.budget} reruns, {inquiry.metric} was {inquiry.levels.before:.6g}"
    console.print(f"{left} and is {inquiry.levels.since:.6g}")
    console.print(escape(told) if told else f"{record.state.value} since {when(record.ended_at or record.asked_at)}")


def _shown(value: float | None) -> str:
    return "failed" if value is None else f"{value:.6g}"


def _as_json(record: InquiryRecord, trials: Sequence[DoneRerun], done: Sequence[DonePieces]) -> dict[str, Any]:
    inquiry, diagnosis = record.inquiry, record.diagnosis
    return {
        "incident": inquiry.incident_id,
        "state": record.state,
        "metric": inquiry.metric,
        "other_test_set": inquiry.has_other_test_set,
        "before": inquiry.levels.before,
        "since": inquiry.levels.since,
        "swapped": [
            {"component": str(each.component), "before": each.before, "now": each.now} for each in inquiry.swaps
        ],
        "left_out": [str(each) for each in inquiry.left_out],
        "reruns": [
            {"as_bad": dict(zip(_names(inquiry), each.setting, strict=True)), "value": each.value} for each in trials
        ],
        "within": _within_as_json(record, done),
        "is_sure": None if diagnosis is None else diagnosis.is_sure,
        "likeliest": None if diagnosis is None else cause_as_json(inquiry, diagnosis.likeliest),
        "not_excluded": [] if diagnosis is None else [cause_as_json(inquiry, each) for each in diagnosis.not_excluded],
    }


def _within_as_json(record: InquiryRecord, done: Sequence[DonePieces]) -> dict[str, Any] | None:
    """Write which pieces of what did it are left, of commits or parts of the data."""
    pieces = record.inquiry.pieces
    narrowed = None if record.diagnosis is None else record.diagnosis.narrowed
    if pieces is None:
        return None
    left = () if narrowed is None else pieces.all[narrowed.first : narrowed.last + 1]
    return {
        "component": _names(record.inquiry)[pieces.component],
        "not_listed": pieces.unlisted,
        "pieces": [each.name for each in pieces.all],
        "left": [
            {"name": each.name, "title": each.title, "author": each.author, "at": each.made_at, "is_gone": each.is_gone}
            for each in left
        ],
        "probability": None if narrowed is None else narrowed.probability,
        "reruns": [{"up_to": pieces.all[each.count - 1].name, "value": each.value} for each in done],
    }


def _names(inquiry: Inquiry) -> list[str]:
    return [str(swap.component) for swap in inquiry.swaps]


def cause_as_json(inquiry: Inquiry, chance: Chance) -> dict[str, Any]:
    """Write a cause with the names of its components."""
    places = asdict(chance.cause)
    components = [_names(inquiry)[places[key]] for key in ("component", "first", "second") if key in places]
    share = {"share": places["share"]} if "share" in places else {}
    kind = places.get("kind", type(chance.cause).__name__.lower())
    return {"kind": kind, "components": components, **share, "probability": chance.probability}
