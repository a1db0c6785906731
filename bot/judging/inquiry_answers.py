"""What an inquiry has measured and come to, read from the state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection

from bot.config.models import Config
from bot.domain.diagnosis.answer import Diagnosis
from bot.domain.diagnosis.inquiry import (
    DoneRerun,
    Inquiry,
    InquiryState,
    Outlook,
    look_ahead,
    read_pieces,
    read_setting,
)
from bot.domain.diagnosis.pieces import DonePieces
from bot.domain.fires import Fire, FireState
from bot.domain.views import AnswerKind, AnswerPart, EndedEarly
from bot.judging.views.diagnosis import diagnosis_view
from bot.store import fires
from bot.store.inquiries import InquiryRecord
from bot.text.locales import Locale


def answer_part(tx: Connection, config: Config, record: InquiryRecord, locale: Locale) -> AnswerPart:
    """Say what an inquiry that is over came to; of one that was stopped what was likeliest then."""
    inquiry = record.inquiry
    trials, done = trials_of(tx, inquiry), piece_trials_of(tx, inquiry)
    found = record.diagnosis or replace(outlook_of(tx, inquiry).diagnosis, is_sure=False)
    view = diagnosis_view(config, locale, inquiry, found, trials, done, _ended_early(record, found))
    is_under_way = not all(fire.state.is_over for fire in reruns_of(tx, inquiry))
    return AnswerPart(AnswerKind.DIAGNOSED, diagnosis=replace(view, is_under_way=is_under_way))


def trials_of(tx: Connection, inquiry: Inquiry) -> Sequence[DoneRerun]:
    """Return the reruns of an inquiry that are over, but for those of pieces."""
    found = ((read_setting(fire.recipe), fire.measured) for fire in _over(tx, inquiry))
    return [DoneRerun(setting, measured.get(inquiry.metric)) for setting, measured in found if setting is not None]


def piece_trials_of(tx: Connection, inquiry: Inquiry) -> Sequence[DonePieces]:
    """Return the reruns of an inquiry that are over, of those with some of the pieces of what did it."""
    found = ((read_pieces(fire.recipe), fire.measured) for fire in _over(tx, inquiry))
    return [DonePieces(count, measured.get(inquiry.metric)) for count, measured in found if count is not None]


def outlook_of(tx: Connection, inquiry: Inquiry) -> Outlook:
    """Return what is believed so far."""
    return look_ahead(inquiry, trials_of(tx, inquiry))


def reruns_of(tx: Connection, inquiry: Inquiry) -> Sequence[Fire]:
    return fires.reruns_of(tx, inquiry.pipeline, inquiry.inquiry_id)


def _over(tx: Connection, inquiry: Inquiry) -> Sequence[Fire]:
    over = (fire for fire in reruns_of(tx, inquiry) if fire.state.is_over)
    return [fire for fire in over if fire.state is not FireState.STOPPED or fire.started_at is not None]


def _ended_early(record: InquiryRecord, found: Diagnosis) -> EndedEarly | None:
    if record.state is InquiryState.STOPPED:
        return EndedEarly.BY_HAND
    until = record.inquiry.until
    is_late = until is not None and record.ended_at is not None and record.ended_at > until
    return EndedEarly.OUT_OF_TIME if is_late and not found.is_sure else None
