"""A message document -> a card of Feishu: a coloured head, texts in its Markdown, small notes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from bot.domain.message import MessageDocument, Part, fit
from bot.domain.views import Tone
from bot.text.escape import JOINER
from bot.text.pieces import Piece, plain, rewrite

_COLORS = {Tone.BAD: "red", Tone.WATCH: "orange", Tone.GOOD: "green"}
_LONGEST_TITLE = 200  # characters; what is longer stands whole below it
# Marks are written as the entities of HTML: open.feishu.cn, feishu-cards, the Markdown component.
_MARK = re.compile(r"[*_~`\[\]<>&\\#@|!$]")


def build_card(document: MessageDocument, budget: int) -> dict[str, Any]:
    """Lay out a message in *budget* bytes; where it is too large, paragraphs are left out, and a note says so."""
    return _laid_out(fit(document, lambda one: size_of(_laid_out(one)) <= budget))


def size_of(card: dict[str, Any]) -> int:
    """Return how many bytes a card has, as it stands in a request: a text in JSON again."""
    return len(json.dumps(json.dumps(card, ensure_ascii=False), ensure_ascii=False).encode())


def _laid_out(document: MessageDocument) -> dict[str, Any]:
    title = " ".join(plain(document.headline).replace(JOINER, "").split())
    is_long = len(title) > _LONGEST_TITLE
    shown = f"{title[: _LONGEST_TITLE - 1].rpartition(' ')[0] or title[: _LONGEST_TITLE - 1]}…" if is_long else title
    head = {"title": {"tag": "plain_text", "content": shown}}
    return {
        "config": {"wide_screen_mode": True, "update_multi": True},  # so that all see an edit: patch of messages
        "header": head | {"template": _COLORS[document.tone] if document.tone else "blue"},
        "elements": [*([_text(document.headline)] if is_long else []), *_elements(document)] or [_text("…")],
    }


def _elements(document: MessageDocument) -> Iterator[dict[str, Any]]:
    for each in document.body:
        match each.part:
            case Part.DIVIDER:
                yield {"tag": "hr"}
            case Part.CONTEXT:
                yield {"tag": "note", "elements": [{"tag": "lark_md", "content": rewrite(each.text, _piece)}]}
            case Part.SECTION:
                yield _text(each.text)


def _text(text: str) -> dict[str, Any]:
    return {"tag": "div", "text": {"tag": "lark_md", "content": rewrite(text, _piece)}}


def _piece(piece: Piece) -> str:
    shown = _MARK.sub(lambda mark: f"&#{ord(mark[0])};", piece.text)
    if piece.address:
        return f"[{shown}]({piece.address})"
    return f"**{shown}**" if piece.is_strong else shown
