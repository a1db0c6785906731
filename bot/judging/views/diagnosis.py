"""What a diagnosis found, as people read it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import assert_never

from bot.config.metric import MetricSection
from bot.domain.diagnosis.answer import Chance, Diagnosis
from bot.domain.diagnosis.hypotheses import Alone, InPart, Luck, Outside, Together
from bot.domain.diagnosis.inquiry import DoneRerun, Inquiry
from bot.domain.diagnosis.pieces import DonePieces
from bot.domain.manifest import Component
from bot.domain.views import (
    CauseKind,
    CauseView,
    DiagnosisView,
    FactRow,
    PieceRow,
    PieceTrialRow,
    Source,
    TrialRow,
    WithinView,
)
from bot.judging.context import JudgingContext
from bot.judging.views.differences import shortened, source_of
from bot.text import formats
from bot.text.locales import Locale

_OTHERS = 3


def diagnosis_view(
    context: JudgingContext,
    locale: Locale,
    inquiry: Inquiry,
    diagnosis: Diagnosis,
    trials: Sequence[DoneRerun],
    done: Sequence[DonePieces],
) -> DiagnosisView:
    """Show what an inquiry came to; *trials* and *done* are its reruns, of components and of pieces."""
    section = context.section.metrics.get(inquiry.metric, MetricSection())

    def shown(value: float) -> str:
        return formats.number(value, section.unit)

    swapped = tuple(
        FactRow(each.component.name, shortened(each.now), shortened(each.before), True, source_of(each.component))
        for each in inquiry.swaps
    )
    return DiagnosisView(
        metric=section.name.get(locale, inquiry.metric),
        before=shown(inquiry.levels.before),
        since=shown(inquiry.levels.since),
        swapped=swapped,
        trials=tuple(TrialRow(each.setting, "" if each.value is None else shown(each.value)) for each in trials),
        likeliest=_cause(diagnosis.likeliest, swapped, locale),
        is_sure=diagnosis.is_sure,
        not_excluded=tuple(_cause(each, swapped, locale) for each in diagnosis.not_excluded[:_OTHERS]),
        left_out=tuple(_named(each) for each in inquiry.left_out),
        reruns=str(len(trials)),
        all_failed=bool(trials) and all(each.value is None for each in trials),
        within=_within(context, locale, inquiry, diagnosis, [(each.count, each.value) for each in done], shown),
    )


def _within(
    context: JudgingContext,
    locale: Locale,
    inquiry: Inquiry,
    diagnosis: Diagnosis,
    done: Sequence[tuple[int, float | None]],
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

    def row(place: int) -> PieceRow:
        piece, repository = pieces.all[place], context.section.repository.rstrip("/")
        url = f"{repository}/commit/{piece.name}" if repository and source is Source.COMMIT else ""
        made = "" if piece.made_at is None else formats.date(piece.made_at, context.zone, locale)
        return PieceRow(shortened(piece.name), piece.title, piece.author, made, url, piece.is_gone)

    return WithinView(
        source,
        count=str(len(pieces.all)),
        left=str(narrowed.last - narrowed.first + 1),
        first=row(narrowed.first),
        last=row(narrowed.last),
        probability=_percent(narrowed.probability, locale),
        trials=tuple(
            PieceTrialRow(shortened(pieces.all[count - 1].name), "" if value is None else shown(value))
            for count, value in done
        ),
    )


def _percent(probability: float, locale: Locale) -> str:
    return formats.percent(min(probability, 0.99), locale)  # nobody is as sure as a rounded hundred says


def _named(component: Component) -> FactRow:
    return FactRow(component.name, "", "", True, source_of(component))


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
