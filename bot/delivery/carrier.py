"""How an effect is carried out: what it waits for, how a doubtful end is settled first, and who is at fault after."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from bot.delivery import messages, pages, tickets
from bot.delivery.attempt import Attempt, Done, NotYet
from bot.domain.effects import (
    AnswerComment,
    AnswerInThread,
    AssignTicket,
    AttachComment,
    AttachExamples,
    AttachExamplesToPage,
    AttachText,
    AttachToPage,
    AttachToTicket,
    CommentTicket,
    CommentUmbrella,
    Doubt,
    Effect,
    LabelPage,
    LinkTicket,
    MessageEffect,
    OpenTicket,
    OpenUmbrella,
    PageEffect,
    PostDigest,
    PublishArchive,
    PublishDigest,
    PublishPage,
    ReopenTicket,
    ReplyInThread,
    ResolveTicket,
    ShareChart,
    TellChannel,
    TicketEffect,
    UpdateLedger,
    UpdateSection,
)
from bot.domain.views import links_of
from bot.errors import AccountError, CannotTellError, PermanentError, Reach, RetryableError, StateError
from bot.ports import Right
from bot.store import Database, claims
from bot.store.owed import Owed
from bot.store.owners import Owner

_BELIEVED_AFTER = 3  # refusals in a row that read as one of access, each while access works
_LONG_ASKED = timedelta(minutes=1)
_MOMENT = timedelta(seconds=10)
_LONGER = timedelta(minutes=1)  # of what cannot be edited later
_NEEDS_PAUSE = timedelta(seconds=15)
_LONGEST_NEEDS_PAUSE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Carrier:
    """Carries effects out whose lease this Herald holds."""

    database: Database
    owner: Owner
    clock: Callable[[], datetime]
    on_step: Callable[[str], None]

    def carry_out(self, attempt: Attempt) -> Done | NotYet:
        """Carry the effect out; what may be refused to our account is no verdict on the effect.

        Who we are is asked before a refusal is believed. Where it reads as one of access although access works, what
        refused us may just have ended: then it is tried again, and believed the third time.
        """
        refused = 0
        while True:
            try:
                return self._carry_out_once(attempt)
            except (PermanentError, AccountError) as error:
                _ask_who_is_at_fault(attempt, error)
                refused += 1
                if isinstance(error, AccountError) or not error.about_access or refused == _BELIEVED_AFTER:
                    raise
                if self.clock() - attempt.now > _LONG_ASKED:  # the lease must not run out meanwhile
                    raise AccountError(str(error), reach=Reach.EFFECT, status=error.status) from error

    def _carry_out_once(self, attempt: Attempt) -> Done | NotYet:
        waits = check_needs(attempt)
        if waits is not None:
            return waits
        if attempt.owed.is_doubtful:
            settled = self._settle(attempt)
            self.on_step("delivery.settled")
            if settled is not None:
                return settled
        if not self._mark_sent(attempt.owed):
            return NotYet(attempt.now, "another Herald took it over")
        self.on_step("delivery.marked-sent")
        done = perform(attempt)
        self.on_step("delivery.performed")
        return done

    def _mark_sent(self, owed: Owed) -> bool:
        """Record that a request is about to go out; False where another Herald took the effect over."""
        try:
            with self.database.begin() as tx:
                still_ours = claims.mark_sent(tx, owed, self.owner.name, self.clock())
                self.on_step("delivery.marking-sent")
        except StateError:  # the mark may stand all the same, and nothing went out
            with suppress(StateError), self.database.begin() as tx:
                claims.give_back(tx, owed, self.owner.name, unsent=True)
            raise
        return still_ours

    def _settle(self, attempt: Attempt) -> Done | NotYet | None:
        try:
            return settle(attempt)
        except AccountError as error:
            if error.reach is Reach.KIND:  # others of its kind need not be looked for
                error.reach = Reach.EFFECT
            raise


def _ask_who_is_at_fault(attempt: Attempt, error: PermanentError | AccountError) -> None:
    """Ask who is at fault; whoever it is, what may have been carried out stays in doubt."""
    try:
        find_fault(attempt, error)
    except RetryableError as fault:
        fault.doubtful = fault.doubtful or (isinstance(error, AccountError) and error.doubtful)
        raise


def check_needs(attempt: Attempt) -> NotYet | None:
    """Tell what the effect has to wait for."""
    owed, now = attempt.owed, attempt.now
    missing = [key for key in owed.effect.needs if key not in attempt.objects]
    if missing:
        waited = now - owed.created_at  # thousands may wait, and are woken once it is there
        pause = min(max(waited, _NEEDS_PAUSE), _LONGEST_NEEDS_PAUSE)
        return NotYet(now + pause, f"waits for {missing[0]}", missing[0])
    return _wait_a_moment(attempt) if owed.effect.traits.names_others else None


def _wait_a_moment(attempt: Attempt) -> NotYet | None:
    """Let a text wait for what it names while that is on its way, or it would have to say `pending`."""
    until = attempt.owed.created_at + (_MOMENT if _may_be_mended(attempt) else _LONGER)
    missing = [key for key in links_of(attempt.owed.view).values() if key in attempt.coming]
    return NotYet(until, f"waits a moment for {missing[0]}", missing[0]) if missing and attempt.now < until else None


def _may_be_mended(attempt: Attempt) -> bool:
    """Say whether the text can be edited once what it names is there: a letter cannot, nor what a webhook has taken."""
    chat = attempt.services.chats.get(attempt.target.service)
    return not isinstance(attempt.owed.effect, MessageEffect) or chat is None or chat.capabilities.edits


def settle(attempt: Attempt) -> Done | NotYet | None:
    """Find out whether an earlier request was carried out; None: it was not, or repeating it is harmless.

    Looking proves something only once the service would surely show what an earlier request had made.
    """
    effect = attempt.owed.effect
    _forget_target(attempt)
    found = _find(attempt) if effect.traits.doubt.is_looked_for else None
    if found is not None:
        return found
    lag = attempt.tracker.search_lag if effect.traits.doubt is Doubt.MARKER else timedelta(0)
    shown_by = (attempt.owed.sent_at or attempt.now) + lag + attempt.in_flight  # it may arrive late, and be shown later
    return NotYet(shown_by, "waits until the service would show an earlier request") if attempt.now < shown_by else None


def _forget_target(attempt: Attempt) -> None:
    """Let the service be asked anew: the request may have been another Herald's, which wrote past our memory."""
    effect = attempt.owed.effect
    if attempt.known is None or isinstance(effect, MessageEffect):
        return
    holder = attempt.tracker if isinstance(effect, TicketEffect) else attempt.wiki
    holder.forget(attempt.external_id)


def _find(attempt: Attempt) -> Done | None:
    effect = attempt.owed.effect
    if isinstance(effect, TicketEffect):
        return tickets.find(attempt, effect)
    if isinstance(effect, PageEffect):
        return pages.find(attempt, effect)
    if isinstance(effect, MessageEffect):
        return messages.find(attempt, effect)
    assert_never(effect)


def perform(attempt: Attempt) -> Done:
    """Carry the effect out; raises RetryableError or PermanentError."""
    effect = attempt.owed.effect
    if isinstance(effect, TicketEffect):
        return tickets.perform(attempt, effect)
    if isinstance(effect, PageEffect):
        return pages.perform(attempt, effect)
    if isinstance(effect, MessageEffect):
        return messages.perform(attempt, effect)
    assert_never(effect)


def find_fault(attempt: Attempt, error: PermanentError | AccountError) -> None:
    """Ask who we are before a refusal is believed; raises RetryableError where the effect is not at fault."""
    is_settled = isinstance(error, CannotTellError) or (
        isinstance(error, AccountError) and error.reach in (Reach.SERVICE, Reach.CHANNEL)
    )
    if not is_settled:
        attempt.services.confirm_access(attempt.target.service, right_for(attempt.owed.effect))


def right_for(effect: Effect) -> Right:
    """Return what an account needs to carry the effect out."""
    match effect:
        case OpenTicket() | OpenUmbrella() | PublishArchive() | PublishPage() | PublishDigest():
            return Right.CREATE
        case TellChannel() | ReplyInThread() | AnswerInThread() | PostDigest():
            return Right.CREATE
        case CommentTicket() | CommentUmbrella() | AnswerComment():
            return Right.COMMENT
        case ResolveTicket() | ReopenTicket():
            return Right.MOVE
        case LinkTicket():
            return Right.LINK
        case AttachToTicket() | AttachText() | AttachComment() | AttachToPage() | ShareChart():
            return Right.ATTACH
        case AttachExamples() | AttachExamplesToPage():
            return Right.ATTACH
        case LabelPage() | UpdateSection() | UpdateLedger() | AssignTicket():
            return Right.EDIT
        case _:
            assert_never(effect)
