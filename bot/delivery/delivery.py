"""How each effect is carried out, and how a doubtful end is settled before anything is sent again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from bot.delivery.refused_fields import refused_in, without
from bot.domain.effects import (
    AttachComment,
    AttachText,
    AttachToPage,
    AttachToTicket,
    CommentTicket,
    Effect,
    LabelPage,
    LinkTicket,
    OpenTicket,
    PostDigest,
    PublishArchive,
    PublishDigest,
    PublishPage,
    ReplyInThread,
    ResolveTicket,
    ShareChart,
    TellChannel,
    UpdateSection,
)
from bot.domain.objects import Bound, ObjectKey, ObjectKind, channel_of, family_of
from bot.domain.rate_limits import Allowance
from bot.domain.views import (
    ArchivePageView,
    ChartView,
    CommentView,
    DigestView,
    LabelsView,
    LinkView,
    MessageView,
    PipelinePageView,
    RunPageView,
    TicketView,
    Unset,
    View,
    links_of,
)
from bot.errors import AccountError, FieldsRefusedError, GoneError, PermanentError, Reach
from bot.ports import (
    Attachment,
    Chat,
    Page,
    PageDraft,
    Posted,
    Promise,
    RemoteLink,
    Right,
    Ticket,
    TicketDraft,
    TicketState,
    Tracker,
    Wiki,
)
from bot.render.charts import draw_history
from bot.render.renderer import CommentText, Renderer, TicketText
from bot.store.outbox import KnownObject, Owed

_CLOCK_SKEW = timedelta(minutes=5)  # between us and a service, when its history is searched
_MOMENT = timedelta(seconds=10)
_NOT_FOUND = 404
_NAMES_OTHERS = frozenset(
    {
        TellChannel.kind,
        ReplyInThread.kind,
        OpenTicket.kind,
        CommentTicket.kind,
        PublishPage.kind,
        PostDigest.kind,
        PublishDigest.kind,
    }
)
_NEEDS_PAUSE = timedelta(seconds=15)
_LONGEST_NEEDS_PAUSE = timedelta(minutes=10)
_RIGHTS = {  # what an account needs to carry an effect out
    OpenTicket.kind: Right.CREATE,
    CommentTicket.kind: Right.COMMENT,
    ResolveTicket.kind: Right.MOVE,
    LinkTicket.kind: Right.LINK,
    AttachToTicket.kind: Right.ATTACH,
    AttachText.kind: Right.ATTACH,
    AttachComment.kind: Right.ATTACH,
    PublishArchive.kind: Right.CREATE,
    PublishPage.kind: Right.CREATE,
    PublishDigest.kind: Right.CREATE,
    LabelPage.kind: Right.EDIT,
    AttachToPage.kind: Right.ATTACH,
    UpdateSection.kind: Right.EDIT,
    TellChannel.kind: Right.CREATE,
    ReplyInThread.kind: Right.CREATE,
    ShareChart.kind: Right.ATTACH,
    PostDigest.kind: Right.CREATE,
}

V = TypeVar("V", bound=View)


class CannotTellError(PermanentError):
    """A request may have been carried out, and the service cannot be asked: a person decides about the next."""


@dataclass(frozen=True, slots=True)
class Services:
    """The services that config names."""

    trackers: Mapping[str, Tracker]
    wikis: Mapping[str, Wiki]
    chats: Mapping[str, Chat]

    def allowance(self, name: str) -> Allowance | None:
        """Return what the service of that name says it will still take."""
        service = self.trackers.get(name) or self.wikis.get(name) or self.chats.get(name)
        return None if service is None else service.allowance

    def confirm_access(self, name: str, right: Right) -> None:
        """Ask the service of that name, where config still has it, whether our account may do that."""
        service = self.trackers.get(name) or self.wikis.get(name) or self.chats.get(name)
        if service is not None:
            service.confirm_access(right)


@dataclass(frozen=True, slots=True)
class TicketFields:
    """What a pipeline's config adds to the tickets it opens."""

    priority: str | None = None
    assignee: str | None = None
    labels: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    required: frozenset[str] = frozenset()  # without these there is no ticket


@dataclass(frozen=True, slots=True)
class Done:
    """The effect stands; *made* is the object it brought about, *unbound* what it could not show yet."""

    made: KnownObject | None = None
    unbound: tuple[ObjectKey, ...] = ()
    posted: bool = False  # a message has just gone to its channel
    owes: tuple[tuple[Effect, View], ...] = ()  # what only carrying this out has shown to be needed


@dataclass(frozen=True, slots=True)
class NotYet:
    """The effect has to wait, without an attempt being made."""

    until: datetime
    why: str
    needs: ObjectKey | None = None  # what it waits for, where that is an object


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt at an effect: everything that carrying it out may lean on."""

    owed: Owed
    services: Services
    renderer: Renderer
    fields: TicketFields
    known: Mapping[ObjectKey, KnownObject]  # of the effect's target, needs and links
    now: datetime
    in_flight: timedelta = timedelta(0)  # how long a request may be on its way after its sender died
    coming: frozenset[ObjectKey] = frozenset()  # of these, what is owed and has not failed yet
    place: str | None = None  # of a message: the id of its channel, as an earlier message there shows it
    is_overtaken: bool = False  # newer words stand there already: what waited for a person must not undo them
    asked_at: datetime | None = None  # when the message was asked for by an earlier effect, parked in doubt

    @property
    def target(self) -> ObjectKey:
        return self.owed.effect.target

    def check_needs(self) -> NotYet | None:
        missing = [key for key in self.owed.effect.needs if key not in self.known]
        if missing:
            waited = self.now - self.owed.created_at  # thousands may wait, and are woken once it is there
            pause = min(max(waited, _NEEDS_PAUSE), _LONGEST_NEEDS_PAUSE)
            return NotYet(self.now + pause, f"waits for {missing[0]}", missing[0])
        return self._wait_a_moment() if self.owed.effect.traits.names_others else None

    def _wait_a_moment(self) -> NotYet | None:
        """Let a text wait for what it names while that is on its way, or it would have to say `pending`."""
        until = self.owed.created_at + _MOMENT
        missing = [key for key in links_of(self.owed.view).values() if key in self.coming]
        return NotYet(until, f"waits a moment for {missing[0]}", missing[0]) if missing and self.now < until else None

    def find_fault(self, error: PermanentError | AccountError) -> None:
        """Ask who we are before a refusal is believed; raises RetryableError where the effect is not at fault."""
        is_settled = isinstance(error, CannotTellError) or (
            isinstance(error, AccountError) and error.reach in (Reach.SERVICE, Reach.CHANNEL)
        )
        if not is_settled:
            self.services.confirm_access(self.target.service, _RIGHTS[self.owed.effect.kind])

    def settle(self) -> Done | NotYet | None:
        """Find out whether an earlier request was carried out; None: it was not, or repeating it is harmless."""
        match self.owed.effect:
            case OpenTicket():
                ticket = self._tracker.find(self.target.name)
                found = self._opened(ticket, self._ticket_text()) if ticket else None
                return found or self._not_before(max(self._tracker.search_lag, self.in_flight))
            case CommentTicket():
                mark = self._view(CommentView).mark
                is_there = self._tracker.has_comment(self._external_id(self.target), mark)
                found = self._commented(self._comment_text()) if is_there else None
            case PublishArchive() | PublishPage() | PublishDigest():
                page = self._wiki.find(self.target.name)
                found = Done(self._made_page(page)) if page else None
            case ReplyInThread():
                found = Done() if self._was_said() else None
            case TellChannel() | PostDigest():
                found = self._settle_message()
            case _:
                found = None  # the port promises that the same again changes nothing
        return found or self._not_before(self.in_flight)

    def perform(self) -> Done:
        """Carry the effect out; raises RetryableError or PermanentError."""
        match self.target.kind:
            case ObjectKind.TICKET:
                return self._tend_ticket()
            case ObjectKind.PAGE:
                return self._publish()
            case ObjectKind.MESSAGE:
                return self._speak()

    def _tend_ticket(self) -> Done:
        match self.owed.effect:
            case OpenTicket():
                return self._open_ticket()
            case CommentTicket():
                return self._comment()
            case ResolveTicket():
                self._tracker.move(self._external_id(self.target), TicketState.DONE)
            case LinkTicket():
                self._link_ticket()
            case AttachToTicket():
                self._tracker.attach(self._external_id(self.target), self._chart())
            case AttachText() | AttachComment():
                self._tracker.attach(self._external_id(self.target), self._whole_text())
        return Done()

    def _publish(self) -> Done:
        match self.owed.effect:
            case PublishArchive() | PublishPage():
                return self._publish_page()
            case UpdateSection():
                return self._update_section()
            case PublishDigest():
                return self._tell_digest()
            case LabelPage():
                self._wiki.label(self._external_id(self.target), self._view(LabelsView).labels)
            case AttachToPage():
                self._wiki.attach(self._external_id(self.target), self._chart())
        return Done()

    def _speak(self) -> Done:
        match self.owed.effect:
            case TellChannel():
                return self._tell_channel()
            case ReplyInThread():
                return self._reply()
            case PostDigest():
                return self._tell_digest()
            case ShareChart():
                self._chat.share(self._posted(), self._chart())
        return Done()

    def _open_ticket(self) -> Done:
        if self.target in self.known:  # found again by its marker after the state was lost
            return Done(self.known[self.target])
        text = self._ticket_text()
        draft = TicketDraft(
            text.title,
            text.body,
            (family_of(self.target.name), *self.fields.labels),
            self.fields.priority,
            self.fields.assignee,
            self.fields.components,
        )
        return self._opened(self._create(draft, family_of(self.target.name)), text)

    def _create(self, draft: TicketDraft, family: str) -> Ticket:
        """Create the ticket, without those fields that its tracker refuses: such a refusal made nothing."""
        whole, unset = draft, tuple[Unset, ...]()
        while True:
            try:
                return self._tracker.create(self.target.name, draft)
            except FieldsRefusedError as error:
                slimmer = without(draft, error.fields, family)
                if slimmer is None or self.fields.required & error.fields.keys():
                    raise
                unset += refused_in(error)
            said = self.renderer.render_unset(self._tracker.text_form, unset)
            draft = replace(slimmer, body=f"{whole.body}\n\n{said}")

    def _ticket_text(self) -> TicketText:
        view = self._view(TicketView)
        return self.renderer.render_ticket(self._tracker.text_form, view, self._bind(view.links))

    def _opened(self, ticket: Ticket, text: TicketText) -> Done:
        """Bind the ticket; where its text was cut, the whole of it is owed as a file."""
        owes = self._whole_of(AttachText, self._view(TicketView)) if text.cut else ()
        return Done(self._made_ticket(ticket), owes=owes)

    def _comment(self) -> Done:
        text = self._comment_text()
        self._tracker.comment(self._external_id(self.target), self._view(CommentView).mark, text.body)
        return self._commented(text)

    def _comment_text(self) -> CommentText:
        view = self._view(CommentView)
        return self.renderer.render_comment(self._tracker.text_form, view, self._bind(view.links))

    def _commented(self, text: CommentText) -> Done:
        return Done(owes=self._whole_of(AttachComment, self._view(CommentView)) if text.cut else ())

    def _whole_of(self, kind: type[AttachText | AttachComment], view: View) -> tuple[tuple[Effect, View]]:
        effect = self.owed.effect
        return ((kind(self.target, effect.cause, effect.incident_id, needs=(self.target,)), view),)

    def _link_ticket(self) -> None:
        report = self.known[self._view(LinkView).links["report"]]
        link = RemoteLink(f"herald={report.key.name}", report.bound.url, report.bound.title)
        self._tracker.link(self._external_id(self.target), link)

    def _publish_page(self) -> Done:
        if self.target in self.known:
            return Done(self.known[self.target])
        return Done(self._made_page(self._wiki.create(self._page_draft())))

    def _page_draft(self) -> PageDraft:
        if isinstance(self.owed.effect, PublishArchive):
            archive = self._view(ArchivePageView)
            text = self.renderer.render_archive_page(archive, self._bind(archive.links))
            return PageDraft(text.title, text.body, (), *self._parent(archive.links.get("pipeline")))
        view = self._view(RunPageView)
        text = self.renderer.render_run_page(view, self._bind(view.links))
        return PageDraft(text.title, text.body, view.labels, *self._parent(view.links.get("archive")))

    def _parent(self, key: ObjectKey | None) -> tuple[str | None, str | None]:
        """Return id and title of the page below which another goes."""
        parent = None if key is None else self.known.get(key)
        return (None, None) if parent is None else (parent.bound.external_id, parent.bound.title)

    def _update_section(self) -> Done:
        view = self._view(PipelinePageView)
        section = self.renderer.render_pipeline_section(view, self._bind(view.links))
        unbound = tuple(key for key in view.links.values() if key not in self.known)
        known = self.known.get(self.target)
        if known is not None and self.is_overtaken:
            return Done()
        if known is not None:
            try:
                self._wiki.replace_section(known.bound.external_id, section)
            except PermanentError as error:
                if not self._is_page_gone(error, known):
                    raise
            else:
                return Done(unbound=unbound)
        page = self._wiki.find(view.title) or self._wiki.create(PageDraft(view.title, ""))
        self._wiki.replace_section(page.page_id, section)
        return Done(self._made_page(page), unbound)

    def _is_page_gone(self, error: PermanentError, known: KnownObject) -> bool:
        if isinstance(error, GoneError):
            return True
        return error.status == _NOT_FOUND and self._wiki.read(known.bound.external_id) is None

    def _tell_channel(self) -> Done:
        view = self._view(MessageView)
        return self._post(
            view.mark, self.renderer.render_message(self._chat.text_form, view, self._bind(view.links)), view.links
        )

    def _post(self, mark: str, text: str, links: Mapping[str, ObjectKey]) -> Done:
        """Post a message, or edit the one that is there."""
        unbound = tuple(key for key in links.values() if key not in self.known)
        known = self.known.get(self.target)
        if known is not None and self._chat.capabilities.edits and self.is_overtaken:
            return Done()
        if known is not None and self._chat.capabilities.edits:
            try:
                self._chat.edit(self._posted(), mark, text)
            except (GoneError, AccountError) as error:
                if not self._is_gone(error):
                    raise
            else:
                return Done(unbound=unbound)
            there = self._posted_afresh(mark)
            if there is not None:
                return Done(self._made_message(there), tuple(links.values()))
        if known is None and self.asked_at is not None and self._chat.capabilities.edits:
            there = self._find_message(mark, self.asked_at - _CLOCK_SKEW)
            if there is not None:
                self._chat.edit(there, mark, text)
                return Done(self._made_message(there), unbound)
        posted = self._chat.post(self._channel, mark, text)
        return Done(self._made_message(posted), unbound, posted=True)

    def _is_gone(self, error: GoneError | AccountError) -> bool:
        """Say whether a message is gone for good: it by itself, or with its channel, whose name another one has now."""
        if isinstance(error, GoneError):
            return True
        return error.reach is Reach.CHANNEL and self._chat.has_moved(self._channel, self._posted())

    def _posted_afresh(self, mark: str) -> Posted | None:
        """Find the message that an earlier attempt, whose end is not known, may have put in the place of a gone one."""
        if not self.owed.is_doubtful:
            return None
        found = self._find_message(mark, self.owed.created_at - _CLOCK_SKEW)
        return None if found is None or found.message_id == self._posted().message_id else found

    def _posted(self) -> Posted:
        known = self.known[self.target]
        return Posted(known.place, known.bound.external_id, known.bound.url)

    def _reply(self) -> Done:
        view = self._view(CommentView)
        text = self.renderer.render_reply(self._chat.text_form, view, self._bind(view.links))
        try:
            self._chat.reply(self._posted(), view.mark, text)
        except (GoneError, AccountError) as error:
            if not self._is_gone(error):
                raise
            self._chat.post(self._channel, view.mark, text)
        return Done(posted=True)

    def _was_said(self) -> bool:
        """Look for a reply in its thread, or in the channel where the thread is gone."""
        mark = self._view(CommentView).mark
        try:
            return self._chat.has_reply(self._posted(), mark)
        except (GoneError, AccountError) as error:
            if not self._is_gone(error):
                raise
        return self._find_message(mark, self.owed.created_at - _CLOCK_SKEW) is not None

    def _tell_digest(self) -> Done:
        view = self._view(DigestView)
        if isinstance(self.owed.effect, PostDigest):
            return self._post(
                view.mark, self.renderer.render_digest(self._chat.text_form, view, self._bind(view.links)), view.links
            )
        body = self.renderer.render_digest_page(view, self._bind(view.links))
        return Done(self._made_page(self._wiki.create(PageDraft(view.title, body))))

    def _settle_message(self) -> Done | None:
        if self.target in self.known and self._chat.capabilities.edits:
            return None  # an edit: the same again changes nothing
        if self._chat.promise is Promise.AT_LEAST_ONCE:
            return None
        if self._chat.promise is Promise.AT_MOST_ONCE:
            raise CannotTellError(
                f"{self.target.service}: the message may or may not have been posted, and a webhook cannot be asked; "
                "it is not sent again by itself, so that nobody reads it twice"
            )
        since = (self.owed.sent_at or self.owed.created_at) - _CLOCK_SKEW
        view = self.owed.view
        assert isinstance(view, MessageView | DigestView)
        posted = self._find_message(view.mark, since)
        if posted is None:
            return None
        return Done(self._made_message(posted), tuple(view.links.values()))

    def _find_message(self, mark: str, since: datetime) -> Posted | None:
        """Find a message; where the app may not look its channel up, by the id that an earlier message there shows."""
        try:
            return self._chat.find(self._channel, mark, since)
        except AccountError:
            if self.place in (None, self._channel):
                raise
        assert self.place is not None
        return self._chat.find(self.place, mark, since)

    def _not_before(self, lag: timedelta) -> NotYet | None:
        """Wait until the service would surely show what an earlier request had made."""
        shown_by = (self.owed.sent_at or self.now) + lag
        return (
            NotYet(shown_by, "waits until the service would show an earlier request") if self.now < shown_by else None
        )

    def _chart(self) -> Attachment:
        chart = self._view(ChartView)
        return Attachment(chart.filename, draw_history(chart), "image/png")

    def _whole_text(self) -> Attachment:
        view = self.owed.view
        assert isinstance(view, TicketView | CommentView)
        content = self.renderer.render_whole(view, self._bind(view.links)).encode()
        return Attachment(f"whole-text-{hashlib.sha256(content).hexdigest()[:8]}.md", content, "text/markdown")

    def _bind(self, links: Mapping[str, ObjectKey]) -> dict[str, Bound | None]:
        return {name: self.known[key].bound if key in self.known else None for name, key in links.items()}

    def _external_id(self, key: ObjectKey) -> str:
        if key not in self.known:
            raise PermanentError(f"{key}: was never made, because what should have made it was cancelled")
        return self.known[key].bound.external_id

    def _view(self, kind: type[V]) -> V:
        view = self.owed.view
        if not isinstance(view, kind):
            raise TypeError(f"{self.owed.effect.effect_id} carries a {type(view).__name__}, not a {kind.__name__}")
        return view

    @property
    def _channel(self) -> str:
        channel = channel_of(self.target)
        assert channel is not None
        return channel

    @property
    def _tracker(self) -> Tracker:
        return _configured(self.services.trackers, self.target)

    @property
    def _wiki(self) -> Wiki:
        return _configured(self.services.wikis, self.target)

    @property
    def _chat(self) -> Chat:
        return _configured(self.services.chats, self.target)

    def _made_ticket(self, ticket: Ticket) -> KnownObject:
        return KnownObject(self.target, Bound(ticket.name or ticket.key, ticket.url, ticket.key), "", self.now)

    def _made_page(self, page: Page) -> KnownObject:
        return KnownObject(self.target, Bound(page.title, page.url, page.page_id), "", self.now)

    def _made_message(self, posted: Posted) -> KnownObject:
        return KnownObject(self.target, Bound("", posted.url, posted.message_id), posted.channel, self.now)


S = TypeVar("S")


def _configured(services: Mapping[str, S], target: ObjectKey) -> S:
    try:
        return services[target.service]
    except KeyError:
        raise PermanentError(
            f"{target.service}: is no longer in the configuration; add it again, or cancel what is owed to it"
        ) from None
