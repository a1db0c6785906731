"""A message document -> the Markdown of a WeCom robot, which knows colours, bold, links, code and quotations."""

from __future__ import annotations

from collections.abc import Iterator

from bot.domain.message import MessageDocument, Part, fit
from bot.domain.views import Tone
from bot.text.escape import to_lookalikes
from bot.text.pieces import Piece, rewrite

_COLORS = {Tone.BAD: "warning", Tone.WATCH: "warning", Tone.GOOD: "info"}  # orange and green; there is no red


def build_markdown(document: MessageDocument, budget: int) -> str:
    """Write a message in *budget* bytes; where it is too long, paragraphs are left out, and a note says so."""
    return _written(fit(document, lambda one: len(_written(one).encode()) <= budget))


def _written(document: MessageDocument) -> str:
    return "\n\n".join([_headline(document), *_paragraphs(document)])


def _headline(document: MessageDocument) -> str:
    mark = f'<font color="{_COLORS[document.tone]}">●</font> ' if document.tone else ""
    return f"{mark}**{rewrite(document.headline, _bare)}**"


def _paragraphs(document: MessageDocument) -> Iterator[str]:
    for each in document.body:
        match each.part:
            case Part.DIVIDER:
                continue
            case Part.CONTEXT:
                yield "\n".join(f"> {line}" for line in rewrite(each.text, _piece).split("\n"))
            case Part.SECTION:
                yield rewrite(each.text, _piece)


def _bare(piece: Piece) -> str:
    """Write a piece of what is bold as a whole."""
    return to_lookalikes(piece.text)


def _piece(piece: Piece) -> str:
    shown = to_lookalikes(piece.text)
    if piece.address:
        return f"[{shown}]({piece.address})"
    return f"**{shown}**" if piece.is_strong else shown
