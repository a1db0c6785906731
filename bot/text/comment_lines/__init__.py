"""What people said in a comment: its lines of plain speech, outside of quotations, code and whatever else is shown."""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

from bot.text.comment_lines.adf import adf_lines
from bot.text.comment_lines.markdown import markdown_lines
from bot.text.comment_lines.mrkdwn import mrkdwn_lines
from bot.text.comment_lines.speech import spoken
from bot.text.comment_lines.storage import storage_lines
from bot.text.comment_lines.wiki import wiki_lines
from bot.text.escape import storable

_LONGEST = 500_000  # characters; no service takes so long a comment


class Markup(StrEnum):
    """How the text of a comment is written, as the service hands it out."""

    WIKI = "wiki"
    ADF = "adf"  # a document of Atlassian's format, as JSON
    STORAGE = "storage"
    MARKDOWN = "markdown"
    MRKDWN = "mrkdwn"


def said_lines(body: str, markup: Markup) -> tuple[str, ...]:
    """Return the lines that somebody said; before what is shown in one stands an OBJECT REPLACEMENT CHARACTER.

    A link's text, a mention and code are shown, and a line that begins with one is no line here; nor is what stands in
    a quotation, a panel, a list, a heading, a table or a quoted mail. A text that cannot be read has none.
    """
    if len(body) > _LONGEST:
        return ()
    body = storable(body)
    match markup:
        case Markup.WIKI:
            lines = wiki_lines(body)
        case Markup.ADF:
            lines = adf_lines(body)
        case Markup.STORAGE:
            lines = storage_lines(body)
        case Markup.MARKDOWN:
            lines = markdown_lines(body)
        case Markup.MRKDWN:
            lines = mrkdwn_lines(body)
        case _:
            assert_never(markup)
    return spoken(lines)
