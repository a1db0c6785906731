"""The message document: a chat message as a template writes it, before a chat's own building blocks are made of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from bot.domain.views import Tone

_TONE = re.compile(r"\s*tone:[ \t]*(bad|watch|good)[ \t]*(?:\n|$)")
_DIVIDER = re.compile(r"^---[ \t]*$", re.MULTILINE)
_GAP = re.compile(r"\n[ \t]*\n")


class Part(StrEnum):
    SECTION = "section"
    CONTEXT = "context"  # small, grey
    DIVIDER = "divider"


@dataclass(frozen=True, slots=True)
class Paragraph:
    part: Part
    text: str = ""  # in the chat's markup; empty for a divider

    def __str__(self) -> str:
        """Write it as a template does."""
        match self.part:
            case Part.DIVIDER:
                return "---"
            case Part.CONTEXT:
                return "\n".join(f"> {line}" for line in self.text.split("\n"))
            case Part.SECTION:
                return self.text


@dataclass(frozen=True, slots=True)
class MessageDocument:
    """A rendered message, read.

    The text may begin with a line `tone: bad`, `tone: watch` or `tone: good`. Then come paragraphs between blank lines:
    the headline, which is also what a notification shows; sections; small context, whose lines start with `> `. A line
    `---` is a divider.
    """

    tone: Tone | None
    headline: str  # empty where the text holds no word
    body: tuple[Paragraph, ...] = ()

    @classmethod
    def read(cls, text: str) -> MessageDocument:
        """Read a rendered message."""
        text = text.replace("\r\n", "\n")
        tone = _TONE.match(text)
        stretches = _DIVIDER.split(text[tone.end() :] if tone else text)
        parts: list[Paragraph] = []
        for stretch in stretches:
            found = [each for each in map(_read_paragraph, _GAP.split(stretch)) if each.text.strip()]
            parts += [*found, Paragraph(Part.DIVIDER)] if found or parts else []
        while parts and parts[-1].part is Part.DIVIDER:
            parts.pop()
        return cls(Tone(tone[1]) if tone else None, parts[0].text if parts else "", tuple(parts[1:]))

    def __str__(self) -> str:
        """Write it as a template does."""
        first = f"tone: {self.tone}\n" if self.tone else ""
        return first + "\n\n".join([self.headline, *map(str, self.body)])


def _read_paragraph(text: str) -> Paragraph:
    text = text.strip("\n")
    lines = text.split("\n")
    if all(line == ">" or line.startswith("> ") for line in lines):
        return Paragraph(Part.CONTEXT, "\n".join(line[2:] for line in lines))
    return Paragraph(Part.SECTION, text)
