"""A message document -> what Slack shows: a top-level text, blocks and a coloured bar.

The document is text in Slack's mrkdwn, already escaped where it holds what people or runs wrote:

- an optional first line `tone: bad`, `tone: watch` or `tone: good` colours a bar beside all but the headline;
- paragraphs are separated by blank lines; the first is the headline, and what a notification shows;
- each other paragraph is a section; one whose lines all start with `> ` is small print;
- a line `---` is a divider.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from bot.errors import PermanentError
from bot.services.cutting import ELLIPSIS, shorten_mrkdwn

if TYPE_CHECKING:
    from slack_sdk.models.blocks import Block

_LONGEST_SECTION = 3000  # characters; Slack's limit of a section's text
_MOST_BLOCKS = 50
_LONGEST_MESSAGE = 12_500  # Slack refuses from about 13,200 on, and counts the blocks' own keys
_PER_BLOCK = 60  # of those
_COLORS = {"bad": "#d63a3a", "watch": "#e3a008", "good": "#2f9e5b"}
_TONE = re.compile(r"\s*tone:[ \t]*(bad|watch|good)[ \t]*(?:\n|$)")
_DIVIDER = re.compile(r"^---[ \t]*$", re.MULTILINE)


class Shape(StrEnum):
    SECTION = "section"
    SMALL = "small"
    DIVIDER = "divider"


@dataclass(frozen=True, slots=True)
class Part:
    shape: Shape
    text: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """What is posted. *plain* is the whole in one mrkdwn text, for receivers that know no blocks."""

    text: str
    blocks: tuple[dict[str, Any], ...]
    attachments: tuple[dict[str, Any], ...]
    color: str | None
    plain: str  # all but the headline


def load() -> None:
    """Import what laying out needs, before threads do."""
    import slack_sdk.models.blocks  # noqa: F401


def build_message(document: str) -> Message:
    """Lay out a message document within Slack's limits, cut with an ellipsis where it is longer.

    Raises PermanentError where it holds no text.
    """
    color, parts = parse_document(document)
    headline, *rest = _within_limits(parts)
    blocks = _blocks([headline])
    attachments: tuple[dict[str, Any], ...] = ()
    if color is None:
        blocks += _blocks(rest)
    elif rest:
        attachments = ({"color": color, "fallback": headline.text, "blocks": list(_blocks(rest))},)
    plain = "\n\n".join("---" if part.shape is Shape.DIVIDER else part.text for part in rest)
    return Message(headline.text, blocks, attachments, color, plain)


def parse_document(document: str) -> tuple[str | None, tuple[Part, ...]]:
    """Split a document into its colour and its parts, the first of which is a section."""
    document = document.replace("\r\n", "\n")
    tone = _TONE.match(document)
    body = document[tone.end() :] if tone else document
    parts: list[Part] = []
    for index, stretch in enumerate(_DIVIDER.split(body)):
        if index and parts:
            parts.append(Part(Shape.DIVIDER))
        paragraphs = (_part(each.strip("\n")) for each in re.split(r"\n[ \t]*\n", stretch))
        parts += [each for each in paragraphs if each.text.strip()]
    while parts and parts[-1].shape is Shape.DIVIDER:
        parts.pop()
    if not parts:
        raise PermanentError("The message was not sent: it holds no text. Look at the template of the message.")
    parts[0] = Part(Shape.SECTION, parts[0].text)
    return (_COLORS[tone[1]] if tone else None), tuple(parts)


def _part(paragraph: str) -> Part:
    lines = paragraph.split("\n")
    if all(line.startswith("> ") or line == ">" for line in lines):
        return Part(Shape.SMALL, "\n".join(line[2:] for line in lines))
    return Part(Shape.SECTION, paragraph)


def _within_limits(parts: Sequence[Part]) -> list[Part]:
    kept: list[Part] = []
    room = _LONGEST_MESSAGE
    for index, part in enumerate(parts):
        text = shorten_mrkdwn(part.text, _LONGEST_SECTION)
        full = len(kept) == _MOST_BLOCKS - 1 and index < len(parts) - 1
        if full or len(text) + _PER_BLOCK > room:
            kept.append(Part(Shape.SMALL, ELLIPSIS))
            break
        kept.append(Part(part.shape, text))
        room -= len(text) + _PER_BLOCK
    return kept


def _blocks(parts: Sequence[Part]) -> tuple[dict[str, Any], ...]:
    return tuple(_block(part).to_dict() for part in parts)


def _block(part: Part) -> Block:
    # here, so that the in-memory chat can read a document without loading Slack's package
    from slack_sdk.models.blocks import ContextBlock, DividerBlock, MarkdownTextObject, SectionBlock

    match part.shape:
        case Shape.DIVIDER:
            return DividerBlock()
        case Shape.SMALL:
            return ContextBlock(elements=[MarkdownTextObject(text=part.text, verbatim=True)])
        case Shape.SECTION:
            return SectionBlock(text=MarkdownTextObject(text=part.text, verbatim=True))
