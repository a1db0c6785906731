"""What an inquiry has measured and come to, read from the state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection

from bot.config.models import Config
from bot.domain.diagnosis.answer import Diagnosis
from bot.domain.diagnosis.inquiry import Inquiry, InquiryState, Outlook, look_ahead, read_pieces, read_setting
from bot.domain.diagnosis.obstacles import DoneRerun
from bot.domain.diagnosis.pieces import DonePieces
from bot.domain.fires import Fire, FireState
from bot.domain.rerun_troubles import RerunTrouble, TroubleKind
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
    is_stopped = is_under_way(tx, inquiry)
    if record.state is InquiryState.STOPPED:  # what was under way is told alike before and after its job has ended
        is_stopped = is_stopped or any(map(_was_stopped, trials)) or any(map(_was_stopped, done))
        trials = [each for each in trials if not _was_stopped(each)]
        done = [each for each in done if not _was_stopped(each)]
    view = diagnosis_view(config, locale, inquiry, found, trials, done, _ended_early(record, found))
    return AnswerPart(AnswerKind.DIAGNOSED, diagnosis=replace(view, is_under_way=is_stopped))


def _was_stopped(trial: DoneRerun | DonePieces) -> bool:
    """Say whether a person ended a rerun: it did not fail by itself."""
    return trial.trouble is not None and trial.trouble.kind is TroubleKind.STOPPED


def trials_of(tx: Connection, inquiry: Inquiry) -> Sequence[DoneRerun]:
    """Return the reruns of an inquiry that are over, but for those of pieces."""
    found = ((read_setting(fire.recipe), fire) for fire in _over(tx, inquiry))
    return [DoneRerun(setting, *_shown_by(fire, inquiry.metric)) for setting, fire in found if setting is not None]


def piece_trials_of(tx: Connection, inquiry: Inquiry) -> Sequence[DonePieces]:
    """Return the reruns of an inquiry that are over, of those with some of the pieces of what did it."""
    found = ((read_pieces(fire.recipe), fire) for fire in _over(tx, inquiry))
    return [DonePieces(count, *_shown_by(fire, inquiry.metric)) for count, fire in found if count is not None]


def _shown_by(fire: Fire, metric: str) -> tuple[float | None, RerunTrouble | None]:
    """Return what a rerun measured, or why it shows nothing; of one that an older Herald made that is not on record."""
    value = fire.measured.get(metric)
    if value is not None or fire.trouble is not None:
        return value, None if value is not None else fire.trouble
    return None, RerunTrouble(TroubleKind.NO_METRIC, metric) if fire.measured else None


def failed_of(tx: Connection, inquiry: Inquiry) -> Sequence[tuple[Fire, RerunTrouble | None]]:
    """Return the reruns of an inquiry that are over and show nothing, each with why."""
    shown = ((fire, *_shown_by(fire, inquiry.metric)) for fire in _over(tx, inquiry))
    return [(fire, trouble) for fire, value, trouble in shown if value is None]


def outlook_of(tx: Connection, inquiry: Inquiry) -> Outlook:
    """Return what is believed so far."""
    return look_ahead(inquiry, trials_of(tx, inquiry))


def is_under_way(tx: Connection, inquiry: Inquiry) -> bool:
    """Say whether the job of a rerun may run."""
    return any(not fire.state.is_over and fire.started_at is not None for fire in reruns_of(tx, inquiry))


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
