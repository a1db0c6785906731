"""A chat that keeps everything in memory: what a dry run and unit tests talk to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bot.domain.capabilities import ChatCapabilities, Promise, TextForm
from bot.domain.message import MessageDocument
from bot.domain.rate_limits import Allowance
from bot.errors import GoneError, PermanentError
from bot.ports import Attachment, MarkedMessage, Posted, Right
from bot.services.memory.faults import Faults

_NOT_FOUND = 404
_TEXT_FORM = TextForm("Slack", dialect="mrkdwn", folder="slack", limit=10_000, paragraph_limit=2_900)
_CAPABILITIES = ChatCapabilities(edits=True, threads=True, charts=True)


@dataclass(slots=True)
class MemoryMessage:
    message_id: str
    channel: str
    mark: str
    text: str
    posted_at: datetime
    edits: list[str] = field(default_factory=list)  # earlier texts, oldest first
    replies: list[tuple[str, str]] = field(default_factory=list)  # mark and text, oldest first
    files: dict[str, bytes] = field(default_factory=dict)


class MemoryChat:
    """Channels as :class:`bot.ports.Chat`; one that cannot edit behaves as a webhook."""

    allowance: Allowance | None = None

    def __init__(
        self,
        capabilities: ChatCapabilities = _CAPABILITIES,
        text_form: TextForm = _TEXT_FORM,
        *,
        promise: Promise = Promise.AT_MOST_ONCE,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.messages: list[MemoryMessage] = []  # oldest first
        self.faults = Faults()
        self._capabilities = capabilities
        self._text_form = text_form
        self._promise = Promise.ONCE if capabilities.edits else promise
        self._clock = clock

    @property
    def text_form(self) -> TextForm:
        return self._text_form

    @property
    def capabilities(self) -> ChatCapabilities:
        return self._capabilities

    @property
    def promise(self) -> Promise:
        return self._promise

    def post(self, channel: str, mark: str, document: MessageDocument) -> Posted:
        with self.faults.during("post"):
            message = MemoryMessage(str(len(self.messages) + 1), channel, mark, str(document), self._clock())
            self.messages.append(message)
            return _posted(message)

    def edit(self, posted: Posted, mark: str, document: MessageDocument) -> None:
        with self.faults.during("edit"):
            if not self._capabilities.edits:
                raise PermanentError("A webhook cannot edit what it posted.")
            message = self._message(posted)
            message.edits.append(message.text)
            message.text, message.mark = str(document), mark

    def has_moved(self, channel: str, posted: Posted) -> bool:
        return channel != posted.channel

    def confirm_access(self, right: Right | None = None) -> None:
        with self.faults.during("confirm_access"):
            del right

    def find(self, channel: str, mark: str, since: datetime) -> Posted | None:
        with self.faults.during("find"):
            if not self._capabilities.edits:
                return None
            fitting = (m for m in self.messages if (m.channel, m.mark) == (channel, mark) and m.posted_at >= since)
            return next((_posted(message) for message in fitting), None)

    def reply(self, posted: Posted, mark: str, document: MessageDocument) -> None:
        with self.faults.during("reply"):
            self._threaded(posted).replies.append((mark, str(document)))

    def has_reply(self, posted: Posted, mark: str) -> bool:
        with self.faults.during("has_reply"):
            return self._capabilities.edits and any(mark == held for held, _ in self._message(posted).replies)

    def share(self, posted: Posted, attachment: Attachment) -> None:
        with self.faults.during("share"):
            self._threaded(posted).files.setdefault(attachment.filename, attachment.content)

    def marked(self, channel: str, since: datetime) -> Sequence[MarkedMessage]:
        with self.faults.during("marked"):
            ours = (
                m for m in self.messages if self._capabilities.edits and m.channel == channel and m.posted_at >= since
            )
            return [MarkedMessage(message.mark, _posted(message)) for message in ours]

    def _threaded(self, posted: Posted) -> MemoryMessage:
        if not self._capabilities.edits:
            raise PermanentError("A webhook has no threads.")
        return self._message(posted)

    def _message(self, posted: Posted) -> MemoryMessage:
        for message in self.messages:
            if (message.channel, message.message_id) == (posted.channel, posted.message_id):
                return message
        raise GoneError(f"There is no message {posted.message_id} in {posted.channel}.", status=_NOT_FOUND)


def _posted(message: MemoryMessage) -> Posted:
    return Posted(message.channel, message.message_id, f"memory://chat/{message.channel}/{message.message_id}")
