"""The message document: a chat message as a template writes it, before a chat's own building blocks are made of it."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from enum import StrEnum

from bot.domain.views import Tone

_TONE = re.compile(r"\s*tone:[ \t]*(bad|watch|good)[ \t]*(?:\n|$)")
_DIVIDER = re.compile(r"^---[ \t]*$", re.MULTILINE)
_GAP = re.compile(r"\n[ \t]*\n")
_FALLS = re.compile(r"falls:[ \t]*([1-9])[ \t]*(?:\n|$)")


_SHORTEST = 40  # characters of a headline that is still worth sending


class Part(StrEnum):
    SECTION = "section"
    CONTEXT = "context"  # small, grey
    DIVIDER = "divider"


@dataclass(frozen=True, slots=True)
class Paragraph:
    part: Part
    text: str = ""  # in the chat's markup; empty for a divider
    falls: int | None = None  # where there is no room for all, the lowest number falls away first; None: it stays

    def __str__(self) -> str:
        """Write it as a template does, but for when it falls away."""
        match self.part:
            case Part.DIVIDER:
                return "---"
            case Part.CONTEXT:
                return "\n".join(f"> {line}" for line in self.text.split("\n"))
            case Part.SECTION:
                return self.text


@dataclass(frozen=True, slots=True)
class Picture:
    """What is shown with a message, where its chat attaches files."""

    filename: str  # holds a hash of the content
    content: bytes  # PNG
    alt: str = ""  # what it shows, for who cannot see it; empty: what the headline says
    caption: str = ""  # plain, below it


@dataclass(frozen=True, slots=True)
class MessageDocument:
    """A rendered message, read.

    The text may begin with a line `tone: bad`, `tone: watch` or `tone: good`. Then come paragraphs between blank lines:
    the headline, which is also what a notification shows; sections; small context, whose lines start with `> `. A line
    `---` is a divider. A paragraph's own first line may be `falls: 1`, up to 9: in that order paragraphs are left out
    where a chat takes no message as long as that.
    """

    tone: Tone | None
    headline: str  # empty where the text holds no word
    body: tuple[Paragraph, ...] = ()
    note: str = ""  # says in the chat's markup that something was left out; `{n}` is how many paragraphs
    cause: str = ""  # of the one delivery, the same in each attempt: what a service may know a repetition by
    pictures: tuple[Picture, ...] = ()
    language: str = "en"  # that it is written in

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
        """Write it as a template does, but for what paragraphs fall away."""
        first = f"tone: {self.tone}\n" if self.tone else ""
        return first + "\n\n".join([self.headline, *map(str, self.body)])


def _read_paragraph(text: str) -> Paragraph:
    text = text.strip("\n")
    declared = _FALLS.match(text)
    text = text[declared.end() :] if declared else text
    falls, lines = int(declared[1]) if declared else None, text.split("\n")
    if all(line == ">" or line.startswith("> ") for line in lines):
        return Paragraph(Part.CONTEXT, "\n".join(line[2:] for line in lines), falls)
    return Paragraph(Part.SECTION, text, falls)


def fit(document: MessageDocument, fits: Callable[[MessageDocument], bool]) -> MessageDocument:
    """Leave out paragraphs until the message *fits*: first those that fall away, in their order, then from the end.

    A note at its end says so. Where not even the headline fits, it is cut; what is returned then may still not fit.
    """
    if fits(document):
        return document
    body = document.body
    falling = sorted(
        (at for at, each in enumerate(body) if each.falls is not None), key=lambda at: (body[at].falls or 0, -at)
    )
    leaving = [*falling, *(at for at in reversed(range(len(body))) if body[at].falls is None)]

    def without(number: int) -> MessageDocument:
        return _without(document, frozenset(leaving[:number]))

    number = bisect_left(range(len(leaving)), x=True, key=lambda number: fits(without(number)))
    shorter = without(number)
    while len(shorter.headline) > _SHORTEST and not fits(shorter):
        shorter = replace(shorter, headline=f"{shorter.headline[: len(shorter.headline) * 3 // 4]}…")
    return shorter


def _without(document: MessageDocument, gone: Collection[int]) -> MessageDocument:
    """Leave out the paragraphs of those places, with dividers that then divide nothing."""
    body = [each for at, each in enumerate(document.body) if at not in gone]
    left_out = sum(document.body[at].part is not Part.DIVIDER for at in gone)
    kept = [
        each
        for at, each in enumerate(body)
        if each.part is not Part.DIVIDER or (0 < at < len(body) - 1 and body[at + 1].part is not Part.DIVIDER)
    ]
    note = Paragraph(Part.CONTEXT, (document.note or "…").replace("{n}", str(left_out)))
    return replace(document, body=(*kept, note))
