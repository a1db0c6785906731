"""What chats have in common that only post: nothing of theirs can be edited, answered or looked for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.domain.message import MessageDocument
from bot.errors import PermanentError
from bot.ports import Attachment, MarkedMessage, Posted, Right


class PostingOnly:
    """The part of :class:`bot.ports.Chat` that a chat refuses which only posts; *who* it is, errors say."""

    who = "A webhook"

    def confirm_access(self, right: Right | None = None) -> None:
        """Ask nothing: what only takes messages says itself that it no longer takes any."""

    def edit(self, posted: Posted, mark: str, document: MessageDocument) -> None:  # noqa: ARG002 - a port's signature
        raise PermanentError(f"{self.who} cannot edit what it posted; use a chat that can, such as slack.")

    def has_moved(self, channel: str, posted: Posted) -> bool:  # noqa: ARG002 - a port's signature
        return False

    def find(self, channel: str, mark: str, since: datetime) -> Posted | None:  # noqa: ARG002 - a port's signature
        return None

    def reply(self, posted: Posted, mark: str, document: MessageDocument) -> None:  # noqa: ARG002 - a port's signature
        raise PermanentError(f"{self.who} cannot answer in a thread; use a chat that can, such as slack.")

    def has_reply(self, posted: Posted, mark: str) -> bool:  # noqa: ARG002 - a port's signature
        return False

    def share(self, posted: Posted, attachment: Attachment) -> None:  # noqa: ARG002 - a port's signature
        raise PermanentError(f"{self.who} cannot show a file by itself; use a chat that can, such as slack.")

    def marked(self, channel: str, since: datetime) -> Sequence[MarkedMessage]:  # noqa: ARG002 - a port's signature
        return ()
