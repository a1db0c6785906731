"""A message document -> the Markdown of DingTalk, whose lines end in two spaces and whose marks have no escape."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bot.domain.message import MessageDocument, Part, fit
from bot.domain.views import Tone
from bot.text.escape import JOINER, to_lookalikes
from bot.text.pieces import Piece, plain, rewrite

_COLORS = {Tone.BAD: "#d63a3a", Tone.WATCH: "#e3a008", Tone.GOOD: "#2f9e5b"}
_LONGEST_TITLE = 100  # characters
_BULLET = "• "
_GREY = '<font color="#888888">{text}</font>'


@dataclass(frozen=True, slots=True)
class TitledText:
    title: str  # what lists of chats show
    text: str


def build_markdown(document: MessageDocument, budget: int) -> TitledText:
    """Write a message in *budget* bytes; where it is too long, paragraphs are left out, and a note says so."""
    document = fit(document, lambda one: len(_written(one).encode()) <= budget)
    title = " ".join(plain(document.headline).replace(JOINER, "").split())
    cut = title if len(title) <= _LONGEST_TITLE else f"{title[: _LONGEST_TITLE - 1]}…"
    return TitledText(cut, _written(document))


def _written(document: MessageDocument) -> str:
    mark = f'<font color="{_COLORS[document.tone]}">●</font> ' if document.tone else ""
    return "\n\n".join([f"#### {mark}{_on_one_line(document.headline)}", *_paragraphs(document)])


def _on_one_line(text: str) -> str:
    return " ".join(rewrite(text, _piece).split("\n"))


def _paragraphs(document: MessageDocument) -> Iterator[str]:
    for each in document.body:
        lines = rewrite(each.text, _piece).split("\n")
        match each.part:
            case Part.DIVIDER:
                yield "---"
            case Part.CONTEXT:
                yield "  \n".join(_GREY.format(text=line) for line in lines)
            case Part.SECTION:
                yield "\n".join(f"- {x.removeprefix(_BULLET)}" if x.startswith(_BULLET) else f"{x}  \n" for x in lines)


def _piece(piece: Piece) -> str:
    shown = to_lookalikes(piece.text)
    if piece.address:
        return f"[{shown}]({piece.address})"
    return f"**{shown}**" if piece.is_strong else shown
