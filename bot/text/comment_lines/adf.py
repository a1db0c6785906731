"""The Atlassian Document Format: what its top paragraphs say, and no other node of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from bot.text.comment_lines.speech import SHOWN

_SPEECH_MARKS = frozenset({"strong", "em", "underline", "textColor", "backgroundColor", "subsup", "annotation"})
_MOST_MILLISECONDS = 253_402_300_799_999  # the last of the year 9999


def adf_lines(body: str) -> Iterator[str]:
    """Give the lines of a document; none of what is no document."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return
    for node in _children(document):
        if isinstance(node, dict) and node.get("type") == "paragraph":
            yield from "".join(map(_words, _children(node))).split("\n")
        else:
            yield SHOWN


def _children(node: object) -> list[Any]:
    content = node.get("content") if isinstance(node, dict) else None
    return content if isinstance(content, list) else []


def _words(node: object) -> str:
    """Write a node within a paragraph; a line ends at a break alone."""
    if not isinstance(node, dict):
        return SHOWN
    match node:
        case {"type": "hardBreak"}:
            return "\n"
        case {"type": "text", "text": str(text)}:
            marks = node.get("marks") or []
            is_speech = isinstance(marks, list) and all(
                isinstance(mark, dict) and mark.get("type") in _SPEECH_MARKS for mark in marks
            )
            return ("" if is_speech else SHOWN) + " ".join(text.split("\n"))
        case {"type": "date", "attrs": {"timestamp": str(stamp)}} if stamp.isdecimal() and stamp.isascii():
            return _day(int(stamp[:16]))
        case {"type": "mention" | "emoji" | "status", "attrs": {"text": str(text)}}:
            return SHOWN + " ".join(text.split("\n"))
        case {"type": "inlineCard", "attrs": {"url": str(url)}}:
            return SHOWN + " ".join(url.split("\n"))
        case _:
            return SHOWN


def _day(milliseconds: int) -> str:
    """Write a day as a command takes it: an editor makes its own node of a date that is picked."""
    seconds = min(milliseconds, _MOST_MILLISECONDS) // 1000
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
