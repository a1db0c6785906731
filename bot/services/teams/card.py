"""A message document -> an Adaptive Card.

Text stands in runs, which know no Markdown (learn.microsoft.com, Adaptive Cards, TextRun), so nothing is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bot.domain.message import MessageDocument, Paragraph, Part, fit
from bot.domain.views import Tone
from bot.services.http import in_utf8
from bot.text.pieces import Piece, plain, read_pieces

_STYLES = {Tone.BAD: "attention", Tone.WATCH: "warning", Tone.GOOD: "good"}


def build_card(document: MessageDocument, budget: int) -> dict[str, Any]:
    """Lay out a message in *budget* bytes; where it is too large, paragraphs are left out, and a note says so."""
    return _laid_out(fit(document, lambda one: len(in_utf8(_laid_out(one))) <= budget))


def _laid_out(document: MessageDocument) -> dict[str, Any]:
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "fallbackText": plain(document.headline),
        "body": [_head(document), *_body(document)],
    }
    kind = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": kind, "contentUrl": None, "content": card}]}


def _head(document: MessageDocument) -> dict[str, Any]:
    lines = [_line(line, {"weight": "Bolder", "size": "Medium"}) for line in document.headline.split("\n")]
    style = _STYLES[document.tone] if document.tone else "emphasis"
    return {"type": "Container", "style": style, "bleed": True, "items": lines}


def _body(document: MessageDocument) -> Iterator[dict[str, Any]]:
    is_after_divider = False
    for each in document.body:
        if each.part is Part.DIVIDER:
            is_after_divider = True
            continue
        for at, line in enumerate(_lines(each)):
            yield line | {"spacing": "None" if at else "Medium"} | ({"separator": True} if is_after_divider else {})
            is_after_divider = False


def _lines(paragraph: Paragraph) -> Iterator[dict[str, Any]]:
    small = {"isSubtle": True, "size": "Small"} if paragraph.part is Part.CONTEXT else {}
    for line in paragraph.text.split("\n"):
        yield _line(line, small)


def _line(line: str, look: dict[str, Any]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [_run(piece, look) for piece in read_pieces(line)]}


def _run(piece: Piece, look: dict[str, Any]) -> dict[str, Any]:
    run = {"type": "TextRun", "text": piece.text, **look}
    if piece.is_strong:
        run["weight"] = "Bolder"
    if piece.is_code:
        run["fontType"] = "Monospace"
    if piece.address:
        run |= {"color": "Accent", "selectAction": {"type": "Action.OpenUrl", "url": piece.address}}
    return run
