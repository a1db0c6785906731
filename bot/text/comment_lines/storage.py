"""Confluence's storage format: what its top paragraphs say, and no other element of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING

from bot.text.comment_lines.speech import SHOWN

if TYPE_CHECKING:
    from lxml import etree

_SPEECH = frozenset({"strong", "b", "em", "i", "u", "span", "sub", "sup", "small"})
_COLOUR = re.compile(r"\s*(?:background-)?color\s*:[^;]*;?\s*")  # any other style may hide what it is of
_BLANK = re.compile(r"[ \t\r\n]+")


def storage_lines(body: str) -> Iterator[str]:
    """Give the lines of a text in storage format; none of what is not well-formed."""
    from bot.text.storage_format import NotWellFormedError, parse_storage

    try:
        root = parse_storage(body)
    except NotWellFormedError:
        return
    yield from _joined(root.text or "").split("\n")
    for element in root:
        yield from (_words(element) if element.tag == "p" and not element.attrib.get("style") else SHOWN).split("\n")
        yield from _joined(element.tail or "").split("\n")


def _joined(text: str) -> str:
    return _BLANK.sub(" ", text)


def _words(top: etree._Element) -> str:
    """Write the text of a paragraph; a line ends at a `br` alone. Nesting may be deep, so that nothing recurs here."""
    pieces: list[str] = []
    waiting: list[tuple[etree._Element, bool]] = [(top, True)]  # elements to enter; those left, for what follows them
    while waiting:
        element, enters = waiting.pop()
        if not enters:
            pieces.append(_joined(element.tail or ""))
            continue
        if element is not top:
            waiting.append((element, False))
        if element is top or _is_speech(element):
            pieces.append(_joined(element.text or ""))
            waiting += [(child, True) for child in reversed(element)]
        else:
            pieces.append(_stand_in(element))
    return "".join(pieces)


def _is_speech(element: etree._Element) -> bool:
    style = element.attrib.get("style")
    return element.tag in _SPEECH and (style is None or _COLOUR.fullmatch(style) is not None)


def _stand_in(element: etree._Element) -> str:
    if element.tag == "br":
        return "\n"
    if element.tag == "time":
        try:
            return date.fromisoformat(element.attrib.get("datetime", "")).isoformat()
        except ValueError:
            return SHOWN
    words = "".join(element.itertext()) if isinstance(element.tag, str) else ""
    return SHOWN + _joined(words)
