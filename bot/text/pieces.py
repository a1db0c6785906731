"""A line of a message in Markdown, as pieces: each chat writes those in its own markup, or in none."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

_PIECE = re.compile(
    r"\\(?P<escaped>[!-/:-@\[-`{-~])"
    r"|`(?P<code>[^`\n]+)`"
    r"|(?P<strong>\*\*)"
    r"|\[(?P<text>(?:\\.|[^\]\\])*)\]\((?P<address>https?://[^\s()]+)\)"
    r"|(?P<plain>[^\\`*\[]+|.)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Piece:
    text: str
    is_strong: bool = False
    is_code: bool = False
    address: str = ""  # of a link


@lru_cache(maxsize=1024)  # a message that is too long is measured some times
def read_pieces(line: str) -> tuple[Piece, ...]:
    """Read one line, as `bot.render.dialects.MARKDOWN` writes it; marks of any other kind are text."""
    return tuple(_joined(_raw(line, is_strong=False)))


def _raw(line: str, *, is_strong: bool) -> Iterator[Piece]:
    for found in _PIECE.finditer(line):
        match found.lastgroup:
            case "strong":
                is_strong = not is_strong
            case "code":
                yield Piece(found["code"], is_strong, is_code=True)
            case "address":
                shown = "".join(each.text for each in _raw(found["text"], is_strong=False))
                yield Piece(shown, is_strong, address=found["address"])
            case "escaped" | "plain":
                yield Piece(found[found.lastgroup], is_strong)


def _joined(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Put plain pieces of one kind together."""
    last: Piece | None = None
    for each in pieces:
        is_marked = each.is_code or each.address or last is None or last.is_code or last.address
        if last and not is_marked and last.is_strong == each.is_strong:
            last = Piece(last.text + each.text, last.is_strong)
            continue
        if last:
            yield last
        last = each
    if last:
        yield last


def plain(text: str) -> str:
    """Return a text in Markdown without its marks; a link is its words."""
    return "\n".join("".join(piece.text for piece in read_pieces(line)) for line in text.split("\n"))


def rewrite(text: str, write: Callable[[Piece], str]) -> str:
    """Write a text in Markdown in another markup, piece by piece."""
    return "\n".join("".join(map(write, read_pieces(line))) for line in text.split("\n"))
