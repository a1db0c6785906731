"""What hangs on a card of Trello: files, and links, each known by its identity behind the `#` of its address."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from urllib.parse import urldefrag

from bot.errors import RetryableError
from bot.ports import Attachment, RemoteLink
from bot.services.evidence import rows_in
from bot.services.last_seen import BRIEFLY, LastSeen
from bot.services.trello.answers import CardFile, file_of, linked, uploaded
from bot.services.trello.connection import TrelloConnection, quoted_path


class CardFiles:
    """Attaches to cards what is not there yet."""

    def __init__(self, link: TrelloConnection) -> None:
        self._link = link
        self._known: LastSeen[Sequence[CardFile]] = LastSeen(BRIEFLY)  # by id of the card

    def know(self, key: str, there: Sequence[CardFile]) -> None:
        """Take note of what a card holds."""
        self._known.keep(key, there)

    def forget(self, key: str) -> None:
        self._known.forget(key)

    def link(self, key: str, link: RemoteLink) -> None:
        """Attach the address, then take away what the same identity stood for before."""
        tag = _tag(link.identity)
        address = link.url if "#" in link.url else f"{link.url}#{tag}"
        there = self._there(key)
        same = [each for each in there if each.url == address or urldefrag(each.url).fragment == tag]
        standing = next((each for each in same if (each.url, each.name) == (address, link.title)), None)
        if standing is None:
            arguments = {"url": address, "name": link.title}
            send = partial(self._link.request, "POST", f"cards/{quoted_path(key)}/attachments", arguments)
            standing = self._link.wire.ask(f"link {link.url} to {key}", send, partial(linked, address), write=True)
            there = (*there, standing)
        if outdated := [each for each in same if each is not standing]:
            there = self._drop(key, outdated)
        self._known.keep(key, there)

    def _drop(self, key: str, outdated: Sequence[CardFile]) -> Sequence[CardFile]:
        """Take links off the card and return what it holds then: the answers say nothing of what they took."""
        for each in outdated:
            path = f"cards/{quoted_path(key)}/attachments/{quoted_path(each.attachment_id)}"
            send = partial(self._link.request, "DELETE", path)
            self._link.wire.ask(f"drop an old link of {key}", send, lambda answer: answer, write=True)
        there = self.listed(key)
        left = {each.attachment_id for each in there} & {each.attachment_id for each in outdated}
        if left:
            raise RetryableError(f"Trello did not drop an old link of {key}: it is still there.", doubtful=False)
        return there

    def attach(self, key: str, attachment: Attachment) -> None:
        there = self._there(key)
        sizes = {None, len(attachment.content)}
        if any(each.name == attachment.filename and each.size in sizes for each in there):
            self._known.keep(key, there)
            return
        arguments = {"name": attachment.filename, "mimeType": attachment.media_type, "setCover": "false"}
        file = {"file": (attachment.filename, attachment.content, attachment.media_type)}
        send = partial(self._link.request, "POST", f"cards/{quoted_path(key)}/attachments", arguments, files=file)
        parse = partial(uploaded, attachment)
        made = self._link.wire.ask(f"attach {attachment.filename} to {key}", send, parse, write=True)
        self._known.keep(key, (*there, made))

    def _there(self, key: str) -> Sequence[CardFile]:
        """Take what we know of a card's attachments, or ask for them."""
        there = self._known.take(key)
        return self.listed(key) if there is None else there

    def listed(self, key: str) -> Sequence[CardFile]:
        send = partial(
            self._link.request, "GET", f"cards/{quoted_path(key)}/attachments", {"fields": "id,name,url,bytes"}
        )
        return self._link.wire.ask(
            f"list the files of {key}", send, lambda answer: [file_of(each) for each in rows_in(answer)]
        )


def _tag(identity: str) -> str:
    return f"herald-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"
