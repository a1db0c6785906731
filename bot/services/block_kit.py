"""A message document -> what Slack shows: a top-level text, blocks and a coloured bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from slack_sdk.models.blocks import Block, ContextBlock, DividerBlock, MarkdownTextObject, SectionBlock

from bot.domain.message import MessageDocument, Paragraph, Part, fit
from bot.domain.views import Tone

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
    """Lay out a message document; where it is longer than Slack takes, paragraphs are left out, and a note says so."""
    color = _COLORS[document.tone] if document.tone else None
    document = fit(document, _is_taken)
    headline, *rest = Paragraph(Part.SECTION, document.headline), *document.body
    blocks = _blocks([headline])
    attachments: tuple[dict[str, Any], ...] = ()
    if color is None:
        blocks += _blocks(rest)
    elif rest:
        attachments = ({"color": color, "fallback": headline.text, "blocks": list(_blocks(rest))},)
    plain = "\n\n".join("---" if each.part is Part.DIVIDER else each.text for each in rest)
    return Message(headline.text, blocks, attachments, color, plain)


def _is_taken(document: MessageDocument) -> bool:
    texts = [document.headline, *(each.text for each in document.body)]
    return len(texts) <= _MOST_BLOCKS and sum(len(text) + _PER_BLOCK for text in texts) <= _LONGEST_MESSAGE


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
