"""What every reading of a comment has in common: the sign for what is shown, not said, and what is shown in plain text.

A reading puts SHOWN before whatever is no plain speech, so that this can neither begin a line nor be taken for a word
of a command. A line of which nothing was said is SHOWN, alone or before what it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

SHOWN = "\ufffc"  # OBJECT REPLACEMENT CHARACTER

_NEWLINE = re.compile("\r\n|[\n\r]")
_QUOTED = re.compile(rf"{SHOWN}?\s*(?:>|&gt;)")
_FENCE = re.compile(r"\s*(?:```|~~~)")
_TAG = re.compile(r"<(/?)(?:blockquote|pre|code|details|table|ul|ol|script|style)\b[^<>]*>|(<!--)|(-->)", re.IGNORECASE)
_ATTRIBUTION = re.compile(r"(?:On\s.+\s)?wrote\s?[:：]|.+写道\s?[:：]", re.IGNORECASE)
_LONGEST_ATTRIBUTION = 300  # characters: who wrote, and when
_FORWARDED = re.compile(r"\s*--+\s?(?:original message|forwarded message|原始邮件|转发的?邮件)\s?--+\s*", re.IGNORECASE)
_FROM = re.compile(r"\s*\*?(?:from|发件人)\s*[:：]", re.IGNORECASE)
_SENT = re.compile(r"\s*\*?(?:sent|date|发送时间|日期)\s*[:：]", re.IGNORECASE)


def physical_lines(body: str) -> list[str]:
    """Split where a line ends for every service; what else looks like a line's end is none."""
    return _NEWLINE.split(body)


def spoken(lines: Iterable[str]) -> tuple[str, ...]:
    """Leave out what people show by the means of plain text: quoted mails, fences, elements of HTML."""
    said = _outside_mails(list(_outside_fences(_outside_elements(lines))))
    return tuple(line for line in said if not line.startswith(SHOWN))


def _outside_elements(lines: Iterable[str]) -> Iterator[str]:
    """Leave out what stands between tags, or in a comment of HTML, though some services print both."""
    depth, in_comment = 0, False
    for line in lines:
        is_shown = depth > 0 or in_comment
        for tag in _TAG.finditer(line):
            if tag[2] or tag[3]:
                in_comment = bool(tag[2])
            elif not in_comment:
                depth = max(0, depth + (-1 if tag[1] else 1))
        yield SHOWN if is_shown else line


def _outside_fences(lines: Iterable[str]) -> Iterator[str]:
    is_open = False
    for line in lines:
        is_fence = _FENCE.match(line) is not None
        yield SHOWN if is_open or is_fence else line
        is_open ^= is_fence


def _outside_mails(lines: list[str]) -> Iterator[str]:
    """Leave out quoted lines, and all that follows where a mail is announced and not quoted line by line."""
    is_announced = False
    for at, line in enumerate(lines):
        if not line.strip():
            continue
        is_quoted = line == SHOWN or _QUOTED.match(line) is not None
        begins_mail = _FORWARDED.fullmatch(line) or (
            _FROM.match(line) and any(map(_SENT.match, lines[at + 1 : at + 3]))
        )
        if begins_mail or (is_announced and not is_quoted):
            return
        is_announced = _announces_mail(line.strip())
        if not is_quoted:
            yield line


def _announces_mail(line: str) -> bool:
    return len(line) <= _LONGEST_ATTRIBUTION and _ATTRIBUTION.fullmatch(line) is not None
