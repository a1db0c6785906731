"""What a diagnosis found, as people read it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import assert_never
from zoneinfo import ZoneInfo

from bot.config.metric import MetricSection
from bot.config.models import Config
from bot.config.owners import OwnerSection
from bot.config.pipeline import PipelineSection
from bot.domain.diagnosis.answer import Chance, Diagnosis
from bot.domain.diagnosis.hypotheses import Alone, InPart, Luck, Outside, Together
from bot.domain.diagnosis.inquiry import Inquiry, Swap, obstacles_to
from bot.domain.diagnosis.obstacles import DoneRerun
from bot.domain.diagnosis.pieces import DonePieces
from bot.domain.manifest import Component, ComponentKind
from bot.domain.rerun_troubles import RerunTrouble
from bot.domain.views import (
    CauseKind,
    CauseView,
    DiagnosisView,
    EndedEarly,
    ExplanationView,
    FactRow,
    OwnerRow,
    PieceRow,
    PieceTrialRow,
    TrialRow,
    TroubleRow,
    WithinView,
)
from bot.judging.views.data_parts import part_shown
from bot.judging.views.differences import parts_that_differ, shortened, source_of
from bot.text import formats
from bot.text.locales import Locale

_OTHERS = 3
_TENTH = 0.1
_FEW = 2  # pieces that a clause names, even where no more is known


def diagnosis_view(
    config: Config,
    locale: Locale,
    inquiry: Inquiry,
    diagnosis: Diagnosis,
    trials: Sequence[DoneRerun],
    done: Sequence[DonePieces],
    ended_early: EndedEarly | None = None,
) -> DiagnosisView:
    """Show what an inquiry came to; *trials* and *done* are its reruns, of components and of pieces."""
    section = config.pipeline[inquiry.pipeline].metrics.get(inquiry.metric, MetricSection())

    def shown(value: float) -> str:
        return formats.number(value, section.unit)

    swapped, failed = _swapped(inquiry), [each for each in trials if each.value is None]
    return DiagnosisView(
        metric=section.name.get(locale, inquiry.metric),
        before=shown(inquiry.levels.before),
        since=shown(inquiry.levels.since),
        swapped=swapped,
        trials=(
            *(TrialRow(each.setting, shown(each.value)) for each in inquiry.reran),
            *(
                TrialRow(each.setting, "" if each.value is None else shown(each.value), _trouble(each.trouble))
                for each in trials
            ),
        ),
        likeliest=_cause(diagnosis.likeliest, swapped, locale),
        is_sure=diagnosis.is_sure,
        not_excluded=tuple(_cause(each, swapped, locale) for each in diagnosis.not_excluded[:_OTHERS]),
        left_out=_left_out(inquiry, trials),
        reruns=str(len(inquiry.reran) + len(trials) - len(failed)),
        failed=str(len(failed)) if failed else "",
        last_trouble=_trouble(failed[-1].trouble) if failed else None,
        is_even=_is_even(diagnosis),
        all_failed=bool(trials) and not inquiry.known and all(each.value is None for each in trials),
        was_large=inquiry.is_large,
        has_all_as_was=_has_all_as_was(inquiry, trials),
        within=_within(config, locale, inquiry, diagnosis, done, shown),
        owners=_owners(config, inquiry, diagnosis),
        ended_early=ended_early,
        other_test_set=inquiry.has_other_test_set,
        share=formats.percent(inquiry.levels.share, locale) if inquiry.levels.share < 1 else "",
        before_over=str(inquiry.levels.runs_before),
        since_over=str(inquiry.levels.runs_since),
    )


def _is_even(diagnosis: Diagnosis) -> bool:
    """Say whether what is not excluded is about as likely as the likeliest."""
    second = max((each.probability for each in diagnosis.not_excluded), default=0.0)
    return not diagnosis.is_sure and second >= (1 - _TENTH) * diagnosis.likeliest.probability


def _swapped(inquiry: Inquiry) -> tuple[FactRow, ...]:
    return tuple(
        FactRow(each.component.name, now, before, True, source_of(each.component))
        for each, (before, now) in ((each, _both_sides(each)) for each in inquiry.swaps)
    )


def _both_sides(swap: Swap) -> tuple[str, str]:
    """Return what a component was and is; of what is installed no more than what differs."""
    before, now = shortened(swap.before), shortened(swap.now)
    if swap.component.kind is not ComponentKind.ENVIRONMENT:
        return before, now
    parts = [*parts_that_differ(before, now)]
    return ", ".join(then for then, _ in parts if then), ", ".join(here for _, here in parts if here)


def _within(
    config: Config,
    locale: Locale,
    inquiry: Inquiry,
    diagnosis: Diagnosis,
    done: Sequence[DonePieces],
    shown: Callable[[float], str],
) -> WithinView | None:
    """Show the pieces of what did it, where it has some."""
    pieces = inquiry.pieces
    source = None if pieces is None else source_of(inquiry.swaps[pieces.component].component)
    if pieces is None or source is None:
        return None
    narrowed = diagnosis.narrowed
    if narrowed is None:
        return WithinView(source, pieces.unlisted) if pieces.unlisted is not None else None
    section, zone = config.pipeline[inquiry.pipeline], config.zone_of(inquiry.pipeline)
    return WithinView(
        source,
        count=str(len(pieces.all)),
        left=str(narrowed.last - narrowed.first + 1),
        first=_piece_row(section, zone, locale, inquiry, narrowed.first),
        last=_piece_row(section, zone, locale, inquiry, narrowed.last),
        probability=_percent(narrowed.probability, locale),
        trials=tuple(
            PieceTrialRow(
                _piece_row(section, zone, locale, inquiry, each.count - 1).name,
                "" if each.value is None else shown(each.value),
                _trouble(each.trouble),
            )
            for each in sorted(done, key=lambda each: each.count)
        ),
    )


def _piece_row(section: PipelineSection, zone: ZoneInfo, locale: Locale, inquiry: Inquiry, place: int) -> PieceRow:
    assert inquiry.pieces is not None
    piece, repository = inquiry.pieces.all[place], section.repository.rstrip("/")
    is_commit = inquiry.swaps[inquiry.pieces.component].component.kind is ComponentKind.CODE
    url = f"{repository}/commit/{piece.name}" if repository and is_commit else ""
    made = "" if piece.made_at is None else formats.date(piece.made_at, zone, locale)
    name = shortened(piece.name) if is_commit else part_shown(place, [each.name for each in inquiry.pieces.all], locale)
    return PieceRow(name, piece.title, piece.author, made, url, piece.is_gone)


def explanation_of(
    section: PipelineSection,
    zone: ZoneInfo,
    locale: Locale,
    inquiry: Inquiry,
    diagnosis: Diagnosis,
    trials: Sequence[DoneRerun],
) -> ExplanationView:
    """Say in a clause what made a metric fall."""
    narrowed = diagnosis.narrowed
    left = 0 if narrowed is None or inquiry.pieces is None else narrowed.last - narrowed.first + 1
    is_narrow = narrowed is not None and inquiry.pieces is not None and (left <= _FEW or left < len(inquiry.pieces.all))
    return ExplanationView(
        _cause(diagnosis.likeliest, _swapped(inquiry), locale),
        _piece_row(section, zone, locale, inquiry, narrowed.first) if narrowed is not None and is_narrow else None,
        _piece_row(section, zone, locale, inquiry, narrowed.last) if narrowed and is_narrow and left > 1 else None,
        str(left) if is_narrow else "",
        left_out=_left_out(inquiry, trials),
        was_large=inquiry.is_large,
        owners=tuple(owner.owner for owner in _owners_in(section, inquiry, diagnosis)),
    )


def _owners_in(section: PipelineSection, inquiry: Inquiry, diagnosis: Diagnosis) -> tuple[OwnerSection, ...]:
    """Return who has what did it, each once; nobody where that is not sure, or config names nobody."""
    match diagnosis.cause:
        case Alone(place):
            places: tuple[int, ...] = (place,)
        case Together(first, second) | InPart(first, second):
            places = first, second
        case _:
            return ()
    found = (section.diagnose and section.diagnose.owner_of(inquiry.swaps[place].component) for place in places)
    return tuple({each.owner: each for each in found if each}.values())


def _owners(config: Config, inquiry: Inquiry, diagnosis: Diagnosis) -> tuple[OwnerRow, ...]:
    pipeline = config.pipeline[inquiry.pipeline]
    tracker = config.tracker.get(pipeline.tracker or "")
    found = {each.owner: each.assignee or "" for each in _owners_in(pipeline, inquiry, diagnosis)}
    return tuple(
        OwnerRow(name, tracker.mention_of(account) if tracker is not None and account else "")
        for name, account in found.items()
    )


def _percent(probability: float, locale: Locale) -> str:
    return formats.percent(min(probability, 0.99), locale)  # nobody is as sure as a rounded hundred says


def _left_out(inquiry: Inquiry, trials: Sequence[DoneRerun]) -> tuple[FactRow, ...]:
    """Return what differs and could not be set: since config does not say how, or since something is not there."""
    rows = [
        FactRow(each.name, "", "", True, source_of(each), trouble=_trouble(why))
        for each, why in zip_longest(inquiry.left_out, inquiry.why_left_out)
    ]
    for place, found in obstacles_to(inquiry, trials).obstacles.items():
        component = inquiry.swaps[place].component
        trouble = _trouble(found[0].trouble)
        second = next((each.trouble.said for each in found[1:]), "")
        trouble = trouble and replace(trouble, as_now=shortened(second))
        rows.append(FactRow(component.name, "", "", True, source_of(component), trouble=trouble))
    return tuple(rows)


def _trouble(trouble: RerunTrouble | None) -> TroubleRow | None:
    if trouble is None:
        return None
    of = Component.named(trouble.component) if trouble.component else None
    return TroubleRow(
        trouble.kind,
        shortened(trouble.said),
        "" if trouble.exit_code is None else str(trouble.exit_code),
        "" if of is None else of.name,
        None if of is None else source_of(of),
        shortened(trouble.wanted),
    )


def _has_all_as_was(inquiry: Inquiry, trials: Sequence[DoneRerun]) -> bool:
    settings = (*(each.setting for each in trials if each.value is not None), *(each.setting for each in inquiry.known))
    return not all(any(setting) for setting in settings)


def _cause(chance: Chance, swapped: Sequence[FactRow], locale: Locale) -> CauseView:
    probability = _percent(chance.probability, locale)
    match chance.cause:
        case Alone(component):
            return CauseView(CauseKind.ALONE, (swapped[component],), probability=probability)
        case Together(first, second):
            return CauseView(CauseKind.TOGETHER, (swapped[first], swapped[second]), probability=probability)
        case InPart(first, second, share):
            parts = (swapped[first], swapped[second])
            return CauseView(CauseKind.IN_PART, parts, formats.percent(round(share, 2), locale), probability)
        case Luck():
            return CauseView(CauseKind.LUCK, (), probability=probability)
        case Outside():
            return CauseView(CauseKind.OUTSIDE, (), probability=probability)
        case _:
            assert_never(chance.cause)
