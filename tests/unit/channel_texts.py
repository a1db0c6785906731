"""What each channel is sent, as text that is compared with stored ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from bot.domain.message import MessageDocument
from bot.ports import TextForm
from bot.services.mail.config import MailSection
from bot.services.mail.letter import write_letter

_NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def _html(document: MessageDocument) -> str:
    text = _body(document, "html").replace("><", ">\n<")
    assert f'<html lang="{document.language}">' in text
    return text.replace(f' lang="{document.language}"', "")  # which says nothing


def _plain(document: MessageDocument) -> str:
    return _body(document, "plain")


def _body(document: MessageDocument, kind: str) -> str:
    letter = write_letter("Herald <herald@example.com>", ("team@example.com",), "house-abc", document, _NOON)
    body = letter.get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n").strip()


CHANNELS: Mapping[str, tuple[TextForm, Callable[[MessageDocument], str]]] = {
    "mail.html": (MailSection.text_form, _html),
    "mail.txt": (MailSection.text_form, _plain),
}
