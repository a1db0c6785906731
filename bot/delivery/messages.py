"""How effects on messages are carried out, and found again after a doubtful end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from bot.delivery.attachments import told_chart
from bot.delivery.attempt import Attempt, Done
from bot.domain.capabilities import Promise
from bot.domain.effects import AnswerInThread, MessageEffect, PostDigest, ReplyInThread, ShareChart, TellChannel
from bot.domain.message import MessageDocument, Picture
from bot.domain.objects import Bound, ObjectKey, channel_of
from bot.domain.views import AnswerView, ChartView, CommentView, DigestView, MessageView
from bot.errors import AccountError, CannotTellError, GoneError, Reach
from bot.ports import Posted
from bot.store.objects import KnownObject

_CLOCK_SKEW = timedelta(minutes=5)  # between us and a service, when its history is searched


def perform(attempt: Attempt, effect: MessageEffect) -> Done:
    """Carry the effect out; raises RetryableError or PermanentError."""
    match effect:
        case TellChannel():
            told = attempt.shown_by(effect)
            if not attempt.chat.capabilities.edits:
                told = replace(told, links=attempt.there(told.links))
            document = attempt.renderer.render_message(attempt.chat.text_form, told, attempt.bind(told.links))
            if told.chart is not None and attempt.chat.capabilities.attaches:
                document = replace(document, pictures=(_picture(attempt, told.chart),))
            return _post(attempt, told.mark, document, told.links)
        case PostDigest():
            digest = attempt.shown_by(effect)
            if not attempt.chat.capabilities.edits:
                digest = _without_pending(digest, attempt.there(digest.links))
            document = attempt.renderer.render_digest(attempt.chat.text_form, digest, attempt.bind(digest.links))
            if digest.health is not None and attempt.chat.capabilities.attaches and not digest.is_quiet:
                document = replace(document, pictures=(_picture(attempt, digest.health),))
            return _post(attempt, digest.mark, document, digest.links)
        case ReplyInThread():
            return _reply(attempt, attempt.shown_by(effect))
        case AnswerInThread():
            return _answer(attempt, attempt.shown_by(effect))
        case ShareChart():
            chart = attempt.shown_by(effect)
            attempt.chat.share(_posted(attempt), told_chart(attempt.renderer, chart))
            return Done()
        case _:
            assert_never(effect)


def _without_pending(digest: DigestView, links: Mapping[str, ObjectKey]) -> DigestView:
    """Name no ticket that is not there yet, where the digest cannot be edited once it is."""
    parts = (
        replace(part, lines=tuple(line if line.ticket in links else replace(line, ticket="") for line in part.lines))
        for part in digest.parts
    )
    return replace(digest, parts=tuple(parts), links=dict(links))


def find(attempt: Attempt, effect: MessageEffect) -> Done | None:
    """Look for what an earlier request may have made; None: it is not there, or the same again changes nothing."""
    match effect:
        case TellChannel():
            return _find_told(attempt, attempt.shown_by(effect))
        case PostDigest():
            return _find_told(attempt, attempt.shown_by(effect))
        case ReplyInThread():
            return Done() if _was_said(attempt, attempt.shown_by(effect).mark) else None
        case AnswerInThread():
            return Done() if _was_said(attempt, attempt.shown_by(effect).mark) else None
        case ShareChart():
            return None
        case _:
            assert_never(effect)


def _post(attempt: Attempt, mark: str, document: MessageDocument, links: Mapping[str, ObjectKey]) -> Done:
    """Post a message, or edit the one that is there."""
    chat, unbound = attempt.chat, attempt.unbound(links)
    document = replace(document, cause=attempt.owed.effect.effect_id)
    is_editable = attempt.known is not None and chat.capabilities.edits
    if is_editable and attempt.is_overtaken:
        return Done()
    if is_editable:
        try:
            chat.edit(_posted(attempt), mark, document)
        except (GoneError, AccountError) as error:
            if not _is_gone(attempt, error):
                raise
        else:
            return Done(unbound=unbound)
        there = _posted_afresh(attempt, mark)
        if there is not None:
            return Done(_made(attempt, there), tuple(links.values()))
    if attempt.known is None and attempt.asked_at is not None and chat.capabilities.edits:
        there = _find(attempt, mark, attempt.asked_at)
        if there is not None:
            chat.edit(there, mark, document)
            return Done(_made(attempt, there), unbound)
    posted = chat.post(_channel(attempt), mark, document)
    if chat.promise is Promise.KEYED and (attempt.owed.is_doubtful or attempt.asked_at is not None):
        chat.edit(posted, mark, document)  # it may be the one that an earlier attempt made, with the words of then
    return Done(_made(attempt, posted), unbound, posted=True)


def _reply(attempt: Attempt, view: CommentView) -> Done:
    view = replace(view, links=attempt.there(view.links))  # a reply is never edited
    document = attempt.renderer.render_reply(attempt.chat.text_form, view, attempt.bind(view.links))
    return _say(attempt, view.mark, document)


def _answer(attempt: Attempt, view: AnswerView) -> Done:
    document = attempt.renderer.render_answer_in_thread(attempt.chat.text_form, view, attempt.bind(view.links))
    return _say(attempt, view.mark, document)


def _say(attempt: Attempt, mark: str, document: MessageDocument) -> Done:
    """Say something in the message's thread; in the channel, where the thread is gone."""
    try:
        attempt.chat.reply(_posted(attempt), mark, document)
    except (GoneError, AccountError) as error:
        if not _is_gone(attempt, error):
            raise
        attempt.chat.post(_channel(attempt), mark, document)
    return Done(posted=True)


def _is_gone(attempt: Attempt, error: GoneError | AccountError) -> bool:
    """Say whether a message is gone for good: it by itself, or with its channel, whose name another one has now."""
    if isinstance(error, GoneError):
        return True
    return error.reach is Reach.CHANNEL and attempt.chat.has_moved(_channel(attempt), _posted(attempt))


def _find_told(attempt: Attempt, view: MessageView | DigestView) -> Done | None:
    if attempt.known is not None and attempt.chat.capabilities.edits:
        return None  # an edit: the same again changes nothing
    match attempt.chat.promise:
        case Promise.AT_LEAST_ONCE:
            return None
        case Promise.KEYED if _is_key_known(attempt):
            return None
        case Promise.AT_MOST_ONCE | Promise.KEYED:
            who = "it" if attempt.chat.promise is Promise.KEYED else "a webhook"
            raise CannotTellError(
                f"{attempt.target.service}: the message may or may not have been posted, and {who} cannot be "
                "asked; it is not sent again by itself, so that nobody reads it twice"
            )
        case Promise.ONCE:
            posted = _find(attempt, view.mark, attempt.owed.sent_at or attempt.owed.created_at)
            return None if posted is None else Done(_made(attempt, posted), tuple(view.links.values()))


def _is_key_known(attempt: Attempt) -> bool:
    """Say whether the service still knows a message by its key that it may have taken when it was sent first."""
    lasts = attempt.chat.capabilities.key_lasts
    return lasts is None or attempt.now - attempt.owed.created_at < lasts - _CLOCK_SKEW


def _was_said(attempt: Attempt, mark: str) -> bool:
    """Look for a reply in its thread, or in the channel where the thread is gone."""
    try:
        return attempt.chat.has_reply(_posted(attempt), mark)
    except (GoneError, AccountError) as error:
        if not _is_gone(attempt, error):
            raise
    return _find(attempt, mark, attempt.owed.created_at) is not None


def _picture(attempt: Attempt, chart: ChartView) -> Picture:
    file = told_chart(attempt.renderer, chart)
    return Picture(file.filename, file.content, file.alt, file.caption)


def _posted_afresh(attempt: Attempt, mark: str) -> Posted | None:
    """Find the message that an earlier attempt, whose end is not known, may have put in the place of a gone one."""
    if not attempt.owed.is_doubtful:
        return None
    found = _find(attempt, mark, attempt.owed.created_at)
    return None if found is None or found.message_id == _posted(attempt).message_id else found


def _find(attempt: Attempt, mark: str, since: datetime) -> Posted | None:
    """Find a message; where the app may not look its channel up, by the id that an earlier message there shows."""
    channel, since = _channel(attempt), since - _CLOCK_SKEW
    try:
        return attempt.chat.find(channel, mark, since)
    except AccountError:
        if attempt.place is None or attempt.place == channel:
            raise
    return attempt.chat.find(attempt.place, mark, since)


def _channel(attempt: Attempt) -> str:
    channel = channel_of(attempt.target)
    assert channel is not None
    return channel


def _posted(attempt: Attempt) -> Posted:
    known = attempt.objects[attempt.target]
    return Posted(known.place, known.bound.external_id, known.bound.url)


def _made(attempt: Attempt, posted: Posted) -> KnownObject:
    return attempt.made(Bound("", posted.url, posted.message_id), posted.channel)
