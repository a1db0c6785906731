"""The message document: a chat message as a template writes it, before a chat's own building blocks are made of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from bot.domain.views import Tone

# Only what templates lay out with: a name may begin or end with another space, and is kept as it is.
_LAYOUT = " \t\n"


class Part(StrEnum):
    SECTION = "section"
    CONTEXT = "context"  # small, grey
    DIVIDER = "divider"


@dataclass(frozen=True, slots=True)
class Paragraph:
    part: Part
    text: str = ""  # in the chat's markup; empty for a divider


@dataclass(frozen=True, slots=True)
class MessageDocument:
    """A rendered message, read.

    The text is a first line `tone: bad|watch|good`, then paragraphs between blank lines: the headline, which is also
    what a notification shows; sections; small context, whose lines start with `> `; dividers, `---`.
    """

    tone: Tone | None
    headline: str
    body: tuple[Paragraph, ...] = ()

    @classmethod
    def read(cls, text: str) -> MessageDocument:
        """Read a rendered message."""
        tone = None
        first = re.match(r"tone: (bad|watch|good)[ \t]*(?:\n|$)", text)
        if first is not None:
            tone, text = Tone(first[1]), text[first.end() :]
        paragraphs = [piece.strip(_LAYOUT) for piece in re.split(r"\n[ \t]*\n", text) if piece.strip(_LAYOUT)]
        return cls(tone, paragraphs[0] if paragraphs else "", tuple(map(_read_paragraph, paragraphs[1:])))


def _read_paragraph(text: str) -> Paragraph:
    if text == "---":
        return Paragraph(Part.DIVIDER)
    lines = text.split("\n")
    if all(line == ">" or line.startswith("> ") for line in lines):
        return Paragraph(Part.CONTEXT, "\n".join(line[2:] for line in lines))
    return Paragraph(Part.SECTION, text)
