"""A message document -> what Slack shows: a top-level text, blocks and a coloured bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from slack_sdk.models.blocks import Block, ContextBlock, DividerBlock, MarkdownTextObject, SectionBlock

from bot.domain.message import MessageDocument, Paragraph, Part
from bot.domain.views import Tone

_ELLIPSIS = "…"
_MOST_BLOCKS = 50
_LONGEST_MESSAGE = 12_500  # Slack refuses from about 13,200 on, and counts the blocks' own keys
_PER_BLOCK = 60  # of those
_COLORS = {Tone.BAD: "#d63a3a", Tone.WATCH: "#e3a008", Tone.GOOD: "#2f9e5b"}


@dataclass(frozen=True, slots=True)
class Message:
    """What is posted. *plain* is the whole in one mrkdwn text, for receivers that know no blocks."""

    text: str
    blocks: tuple[dict[str, Any], ...]
    attachments: tuple[dict[str, Any], ...]
    color: str | None
    plain: str  # all but the headline


def build_message(document: MessageDocument) -> Message:
    """Lay out a message document; where it has more paragraphs than Slack takes, an ellipsis stands for the rest."""
    color = _COLORS[document.tone] if document.tone else None
    headline, *rest = _within_limits([Paragraph(Part.SECTION, document.headline), *document.body])
    blocks = _blocks([headline])
    attachments: tuple[dict[str, Any], ...] = ()
    if color is None:
        blocks += _blocks(rest)
    elif rest:
        attachments = ({"color": color, "fallback": headline.text, "blocks": list(_blocks(rest))},)
    plain = "\n\n".join("---" if each.part is Part.DIVIDER else each.text for each in rest)
    return Message(headline.text, blocks, attachments, color, plain)


def _within_limits(paragraphs: Sequence[Paragraph]) -> list[Paragraph]:
    kept: list[Paragraph] = []
    room = _LONGEST_MESSAGE
    for index, paragraph in enumerate(paragraphs):
        full = len(kept) == _MOST_BLOCKS - 1 and index < len(paragraphs) - 1
        if full or len(paragraph.text) + _PER_BLOCK > room:
            kept.append(Paragraph(Part.CONTEXT, _ELLIPSIS))
            break
        kept.append(paragraph)
        room -= len(paragraph.text) + _PER_BLOCK
    return kept


def _blocks(paragraphs: Sequence[Paragraph]) -> tuple[dict[str, Any], ...]:
    return tuple(_block(each).to_dict() for each in paragraphs)


def _block(paragraph: Paragraph) -> Block:
    match paragraph.part:
        case Part.DIVIDER:
            return DividerBlock()
        case Part.CONTEXT:
            return ContextBlock(elements=[MarkdownTextObject(text=paragraph.text, verbatim=True)])
        case Part.SECTION:
            return SectionBlock(text=MarkdownTextObject(text=paragraph.text, verbatim=True))
