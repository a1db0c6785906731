"""Markdown, as CommonMark reads it: what its top paragraphs say, and the lines that go on below a list's item.

A line that stands at the very beginning below an item belongs to it by CommonMark's rule, though whoever wrote it
there began anew. Below a quotation that holds for nobody: it is shown within it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

from bot.text.comment_lines.speech import SHOWN, physical_lines

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_LISTS = frozenset({"bullet_list_open", "ordered_list_open", "list_item_open"})
_SPEECH = frozenset({"strong_open", "strong_close", "em_open", "em_close"})
_BREAKS = frozenset({"softbreak", "hardbreak"})


def markdown_lines(body: str) -> Iterator[str]:
    """Give the lines of a text in Markdown, with what is shown signed."""
    source = physical_lines(body)
    within: list[str] = []
    for token in _reader().parse("\n".join(source)):
        if token.nesting > 0:
            within.append(token.type)
        elif token.nesting < 0:
            within.pop()
        elif token.type == "inline" and within == ["paragraph_open"]:
            yield from _words(token.children or ()).split("\n")
        elif token.type == "inline" and _LISTS.issuperset(within[:-1]) and within[-1] == "paragraph_open":
            yield from _begun_anew(token, source)
        elif token.type == "html_block":
            yield from (SHOWN + line for line in token.content.split("\n"))
        else:
            yield SHOWN


@cache
def _reader() -> MarkdownIt:
    from markdown_it import MarkdownIt

    # Tables and strikes are GitHub's, which some services read and some do not. Without `text_join` what was escaped
    # stays apart from what was not.
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).disable("text_join")


def _begun_anew(token: Token, source: Sequence[str]) -> Iterator[str]:
    """Give the lines of an item's paragraph, after its first, that stand at the beginning of theirs."""
    yield SHOWN
    first, end = token.map or (0, 0)
    lines = _words(token.children or ()).split("\n")
    if len(lines) == end - first:
        for line, written in zip(lines[1:], source[first + 1 : end], strict=True):
            yield line if written[:1] not in (" ", "\t") else SHOWN


def _words(children: Sequence[Token]) -> str:
    """Write what stands within a paragraph; of what goes on over several lines, such as a link, each is shown."""
    pieces: list[str] = []
    depth = 0  # of links and strikes
    for child in children:
        if child.type in _SPEECH:
            continue
        depth += child.nesting
        is_speech = child.type == "text" or (child.type == "text_special" and not _is_hiding(child.content))
        if child.type in _BREAKS:
            pieces.append(f"\n{SHOWN}" if depth else "\n")
        elif is_speech and not depth:
            pieces.append(child.content)
        else:
            pieces.append(SHOWN + " ".join(child.content.split("\n")))
    return "".join(pieces)


def _is_hiding(character: str) -> bool:
    """Say whether a character needs no escape and no entity: it is written as one only to be overlooked."""
    return character == "/" or (character.isascii() and character.isalnum())
