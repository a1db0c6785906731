"""What `herald diagnose` prints: each rerun, and which change did it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from bot.cli.output.terminal import print_json, when
from bot.domain.rerun_troubles import TroubleKind
from bot.reports.rerun_troubles import say_trouble
from bot.text.tables import Stacking, WholeConsole

if TYPE_CHECKING:  # what is printed is made elsewhere, by what is slow to load
    from bot.domain.diagnosis.answer import Chance
    from bot.domain.diagnosis.inquiry import Inquiry
    from bot.domain.diagnosis.obstacles import DoneRerun
    from bot.domain.diagnosis.pieces import DonePieces
    from bot.domain.rerun_troubles import RerunTrouble
    from bot.store.inquiries import InquiryRecord

_SETTINGS = {True: "as it is", False: "as it was"}


def say_that_it_goes_on(record: InquiryRecord) -> None:
    """Say, beside what is printed, that a diagnosis was asked for that is under way."""
    since = f"it is being diagnosed already, since {when(record.asked_at)}; that is gone on with"
    print(f"diagnose {record.inquiry.incident_id}: {since}", file=sys.stderr)


def say_that_another_is_at_work(pipeline: str) -> None:
    print(f"another Herald is at work on {pipeline}, and goes on with the diagnosis", file=sys.stderr)


def say_of_rerun_under_way(*, ended: bool) -> None:
    """Say what becomes of the rerun of a diagnosis that was stopped."""
    there = "the Herald that is at work on it ends the rerun that is under way"
    print("the rerun that was under way was ended" if ended else there, file=sys.stderr)


def print_inquiry(
    record: InquiryRecord, trials: Sequence[DoneRerun], done: Sequence[DonePieces], told: str, *, as_json: bool
) -> None:
    """Print a row a rerun, of components and of pieces, and what was found in words, where it was."""
    from bot.domain.diagnosis.inquiry import obstacles_to
    from bot.domain.diagnosis.obstacles import DoneRerun

    inquiry = record.inquiry
    if as_json:
        print_json(_as_json(record, trials, done))
        return
    console = WholeConsole()
    counted = [DoneRerun(each.setting, each.value) for each in inquiry.reran] + [*trials]
    if counted:
        table = Stacking("rerun", *(escape(name) for name in _labels(inquiry)), escape(inquiry.metric), first="rerun")
        for number, trial in enumerate(counted, 1):
            table.add_row(str(number), *(_SETTINGS[is_bad] for is_bad in trial.setting), _shown(trial))
        table.print(console)
    if inquiry.pieces is not None and done:
        up_to = f"{inquiry.swaps[inquiry.pieces.component].component} up to"
        pieces = Stacking(up_to, escape(inquiry.metric), first=up_to)
        for each in sorted(done, key=lambda each: each.count):
            pieces.add_row(escape(inquiry.pieces.all[each.count - 1].name), _shown(each))
        pieces.print(console)
    for place, found in obstacles_to(inquiry, trials).obstacles.items():
        console.print(f"{escape(_labels(inquiry)[place])} could not be set: {escape(say_trouble(found[0].trouble))}")
    made = [each for each in trials if each.trouble is None or each.trouble.kind is not TroubleKind.STOPPED]
    before = f", beside {len(inquiry.reran)} of before" if inquiry.reran else ""
    left = f"{len(made)} of at most {inquiry.budget} reruns{before}, {inquiry.metric} was {inquiry.levels.before:.6g}"
    console.print(f"{left} and is {inquiry.levels.since:.6g}")
    console.print(escape(told) if told else f"{record.state.value} since {when(record.ended_at or record.asked_at)}")


def _shown(trial: DoneRerun | DonePieces) -> str:
    return escape(say_trouble(trial.trouble)) if trial.value is None else f"{trial.value:.6g}"


def _as_json(record: InquiryRecord, trials: Sequence[DoneRerun], done: Sequence[DonePieces]) -> dict[str, Any]:
    from bot.domain.diagnosis.inquiry import obstacles_to

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
        "why_left_out": [None if each is None else trouble_as_json(each) for each in inquiry.why_left_out],
        "not_settable": {
            _names(inquiry)[place]: trouble_as_json(found[0].trouble)
            for place, found in obstacles_to(inquiry, trials).obstacles.items()
        },
        "asked_at": record.asked_at,
        "ended_at": record.ended_at,
        "reran_before": [
            {"as_bad": dict(zip(_names(inquiry), each.setting, strict=True)), "value": each.value}
            for each in inquiry.reran
        ],
        "reruns": [
            {"as_bad": dict(zip(_names(inquiry), each.setting, strict=True)), **_value_as_json(each)} for each in trials
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
        "reruns": [{"up_to": pieces.all[each.count - 1].name, **_value_as_json(each)} for each in done],
    }


def _value_as_json(trial: DoneRerun | DonePieces) -> dict[str, Any]:
    return {"value": trial.value, "trouble": None if trial.trouble is None else trouble_as_json(trial.trouble)}


def trouble_as_json(trouble: RerunTrouble) -> dict[str, Any]:
    """Write why a rerun shows nothing, or something cannot be set."""
    return {"kind": trouble.kind, "said": trouble.said, "exit_code": trouble.exit_code}


def _names(inquiry: Inquiry) -> list[str]:
    return [str(swap.component) for swap in inquiry.swaps]


def _labels(inquiry: Inquiry) -> list[str]:
    """Return what the ticket calls the components: a parameter by its own name."""
    return [swap.component.name or str(swap.component) for swap in inquiry.swaps]


def cause_as_json(inquiry: Inquiry, chance: Chance) -> dict[str, Any]:
    """Write a cause with the names of its components."""
    places = asdict(chance.cause)
    components = [_names(inquiry)[places[key]] for key in ("component", "first", "second") if key in places]
    share = {"share": places["share"]} if "share" in places else {}
    kind = places.get("kind", type(chance.cause).__name__.lower())
    return {"kind": kind, "components": components, **share, "probability": chance.probability}
