"""Owes edits to messages, digests and sections of pages that could not show an object, or show one that is no more."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection

from bot.domain.effects import UpdateSection
from bot.ports import Chat
from bot.store import outbox, stale_texts
from bot.store.objects import KnownObject
from bot.store.owed import Owed


def owe_rebindings(
    tx: Connection, chats: Mapping[str, Chat], made: KnownObject, incident_id: str | None, now: datetime
) -> None:
    """Owe an edit to every text that could not show what is there now."""
    messages = [] if incident_id is None else stale_texts.messages_missing(tx, made.key, incident_id)
    for text in (*messages, *stale_texts.texts_missing(tx, made.key)):
        owe_rebinding(tx, chats, text, made, now)


def owe_rebinding(tx: Connection, chats: Mapping[str, Chat], text: Owed, shown: KnownObject, now: datetime) -> None:
    """Owe an edit to one text, where its service lets it be edited."""
    chat = chats.get(text.effect.target.service)
    can_edit = isinstance(text.effect, UpdateSection) or (chat is not None and chat.capabilities.edits)
    # What is still owed on the same object will show it, and must not be undone by an older text that is bound anew.
    if can_edit and text.view is not None and not outbox.is_followed(tx, text):
        rebound = text.effect.rebind(shown.key.kind)
        outbox.owe(tx, text.pipeline, [(rebound, text.view)], now)
