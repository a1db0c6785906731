"""What `herald diagnose` prints: each rerun, and which change did it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from bot.cli.output.terminal import print_json, when
from bot.text.tables import Stacking, WholeConsole

if TYPE_CHECKING:  # what is printed is made elsewhere, by what is slow to load
    from bot.domain.diagnosis.inquiry import DoneRerun, Inquiry
    from bot.store.inquiries import InquiryRecord

_SETTINGS = {True: "as it is", False: "as it was"}


def print_inquiry(record: InquiryRecord, trials: Sequence[DoneRerun], told: str, *, as_json: bool) -> None:
    """Print a row a rerun, and what was found in words, where it was."""
    inquiry = record.inquiry
    if as_json:
        print_json(_as_json(record, trials))
        return
    console = WholeConsole()
    table = Stacking(*(str(swap.component) for swap in inquiry.swaps), inquiry.metric)
    for trial in trials:
        value = "failed" if trial.value is None else f"{trial.value:.6g}"
        table.add_row(*(_SETTINGS[is_bad] for is_bad in trial.setting), value)
    table.print(console)
    left = f"{len(trials)} of at most {inquiry.budget} reruns, {inquiry.metric} was {inquiry.levels.before:.6g}"
    console.print(f"{left} and is {inquiry.levels.since:.6g}")
    console.print(escape(told) if told else f"{record.state.value} since {when(record.ended_at or record.asked_at)}")


def _as_json(record: InquiryRecord, trials: Sequence[DoneRerun]) -> dict[str, Any]:
    inquiry, diagnosis = record.inquiry, record.diagnosis
    return {
        "incident": inquiry.incident_id,
        "state": record.state,
        "metric": inquiry.metric,
        "before": inquiry.levels.before,
        "since": inquiry.levels.since,
        "swapped": [
            {"component": str(each.component), "before": each.before, "now": each.now} for each in inquiry.swaps
        ],
        "left_out": [str(each) for each in inquiry.left_out],
        "reruns": [
            {"as_bad": dict(zip(_names(inquiry), each.setting, strict=True)), "value": each.value} for each in trials
        ],
        "is_sure": None if diagnosis is None else diagnosis.is_sure,
        "likeliest": None if diagnosis is None else _cause(inquiry, diagnosis.likeliest),
        "not_excluded": [] if diagnosis is None else [_cause(inquiry, each) for each in diagnosis.not_excluded],
    }


def _names(inquiry: Inquiry) -> list[str]:
    return [str(swap.component) for swap in inquiry.swaps]


def _cause(inquiry: Inquiry, chance: Any) -> dict[str, Any]:
    """Write a cause with the names of its components."""
    places = asdict(chance.cause)
    components = [_names(inquiry)[places[key]] for key in ("component", "first", "second") if key in places]
    share = {"share": places["share"]} if "share" in places else {}
    kind = places.get("kind", type(chance.cause).__name__.lower())
    return {"kind": kind, "components": components, **share, "probability": chance.probability}
