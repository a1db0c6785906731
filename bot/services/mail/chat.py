"""Mail as a chat: a channel is an address, or several with commas between them."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parseaddr

from bot.domain.capabilities import ChatCapabilities, Promise, TextForm
from bot.domain.message import MessageDocument
from bot.domain.rate_limits import Allowance
from bot.errors import PermanentError
from bot.ports import Posted
from bot.services.mail.config import MailSection
from bot.services.mail.exchange import exchange
from bot.services.mail.letter import write_letter
from bot.services.posting import PostingOnly


class MailChat(PostingOnly):
    """A mail server as :class:`bot.ports.Chat`."""

    who = "Mail"
    allowance: Allowance | None = None

    def __init__(self, config: MailSection) -> None:
        self._config = config

    def __repr__(self) -> str:
        return "MailChat()"

    @property
    def text_form(self) -> TextForm:
        return self._config.text_form

    @property
    def capabilities(self) -> ChatCapabilities:
        return self._config.capabilities

    @property
    def promise(self) -> Promise:
        """Send again what may have been sent: it has the same Message-ID, and mail programs show it as one."""
        return Promise.AT_LEAST_ONCE

    def post(self, channel: str, mark: str, document: MessageDocument) -> Posted:
        to = addresses_in(channel)
        letter = write_letter(self._config.sender, to, mark, document, datetime.now(UTC))
        with exchange(self._config) as server:
            server.offer(to, len(letter.as_bytes()))
            server.send(letter)
        return Posted(channel, str(letter["Message-ID"]))


def addresses_in(channel: str) -> tuple[str, ...]:
    """Read the addresses that a channel names; raises PermanentError where one is none."""
    found = tuple(each.strip() for each in channel.split(",") if each.strip())
    for each in found:
        local, _, domain = parseaddr(each)[1].rpartition("@")
        if not local or not domain or parseaddr(each)[1] != each:
            raise PermanentError(f"channel: {each!r} is no address; name some, such as a@example.com,b@example.com")
    if not found:
        raise PermanentError(f"channel: {channel!r} names no address")
    return found
