"""What a diagnosis found, as people read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from bot.config.metric import MetricSection
from bot.config.pipeline import PipelineSection
from bot.domain.diagnosis.answer import Chance, Diagnosis
from bot.domain.diagnosis.hypotheses import Alone, InPart, Luck, Outside, Together
from bot.domain.diagnosis.inquiry import DoneRerun, Inquiry
from bot.domain.manifest import Component
from bot.domain.views import CauseKind, CauseView, DiagnosisView, FactRow, TrialRow
from bot.judging.views.differences import shortened, source_of
from bot.text import formats
from bot.text.locales import Locale

_OTHERS = 3


def diagnosis_view(
    config: PipelineSection, locale: Locale, inquiry: Inquiry, diagnosis: Diagnosis, trials: Sequence[DoneRerun]
) -> DiagnosisView:
    section = config.metrics.get(inquiry.metric, MetricSection())

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
    )


def _named(component: Component) -> FactRow:
    return FactRow(component.name, "", "", True, source_of(component))


def _cause(chance: Chance, swapped: Sequence[FactRow], locale: Locale) -> CauseView:
    # Nobody is as sure as a rounded hundred says.
    probability = formats.percent(min(chance.probability, 0.99), locale)
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
