"""The Markdown that Trello reads, rendered as HTML."""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import lru_cache

from bot.sandbox.markup.safe_html import escape, is_web_address, link

_FENCE = re.compile(r"(`{3,}|~{3,})[^`]*")
_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*")
_RULE = re.compile(r" {0,3}(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,}")
_BULLET = re.compile(r"[ \t]*[-*+][ \t]+(.*)")
_NUMBERED = re.compile(r"[ \t]*[0-9]{1,9}[.)][ \t]+(.*)")
_QUOTE = re.compile(r" {0,3}>[ \t]?(.*)")
_LINK = re.compile(r"!?\[((?:\\.|[^\[\]\\])*)\]\(([^()\s]*(?:\([^()\s]*\)[^()\s]*)*)\)")
_ANGLE = re.compile(r"<(https?://[^\s<>]+)>")
_ADDRESS = re.compile(r"https?://[^\s<>\"'\])]+")
_DOMAIN = re.compile(r"www\.[^\s<>\"'\])]+")
_BEFORE_DOMAIN = frozenset(" \t\n*_~(")  # and the start of the text
_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_NESTING = 8


def render(text: str) -> str:
    """Render Markdown as HTML that holds nothing but what this module wrote."""
    return _blocks(text.replace("\r\n", "\n").split("\n"), 0)


def _blocks(lines: list[str], depth: int) -> str:
    made: list[str] = []
    paragraph: list[str] = []

    def end() -> None:
        if paragraph:
            made.append(f"<p>{_inline(chr(10).join(one.strip() for one in paragraph))}</p>")
            paragraph.clear()

    at = 0
    while at < len(lines):
        line = lines[at]
        if not line.strip():
            end()
            at += 1
            continue
        block = _block(lines, at, depth)
        if block is None:
            paragraph.append(line)
            at += 1
            continue
        end()
        made.append(block[0])
        at = block[1]
    end()
    return "".join(made)


def _block(lines: list[str], at: int, depth: int) -> tuple[str, int] | None:
    """Render the block that begins here; None where it is but a paragraph."""
    line = lines[at]
    if fence := _FENCE.fullmatch(line.strip()):
        return _fenced(lines, at, fence[1])
    if heading := _HEADING.fullmatch(line):
        level = len(heading[1])
        return f"<h{level}>{_inline(heading[2])}</h{level}>", at + 1
    if _RULE.fullmatch(line):
        return "<hr>", at + 1
    if _QUOTE.fullmatch(line) and depth < _NESTING:
        end = at
        while end < len(lines) and _QUOTE.fullmatch(lines[end]):
            end += 1
        inner = [match[1] for one in lines[at:end] if (match := _QUOTE.fullmatch(one))]
        return f"<blockquote>{_blocks(inner, depth + 1)}</blockquote>", end
    for pattern, tag in ((_BULLET, "ul"), (_NUMBERED, "ol")):
        if pattern.fullmatch(line):
            return _list(lines, at, pattern, tag)
    return None


def _fenced(lines: list[str], at: int, fence: str) -> tuple[str, int]:
    end = at + 1
    while end < len(lines) and not (lines[end].strip().startswith(fence) and not lines[end].strip().strip(fence[0])):
        end += 1
    return f"<pre><code>{escape(chr(10).join(lines[at + 1 : end]))}</code></pre>", end + 1


def _list(lines: list[str], at: int, pattern: re.Pattern[str], tag: str) -> tuple[str, int]:
    items: list[str] = []
    while at < len(lines) and lines[at].strip():
        match = pattern.fullmatch(lines[at])
        if match and not _RULE.fullmatch(lines[at]):
            items.append(match[1])
        elif lines[at].startswith((" ", "\t")) and items:
            items[-1] += "\n" + lines[at].strip()
        else:
            break
        at += 1
    return f"<{tag}>{''.join(f'<li>{_inline(one)}</li>' for one in items)}</{tag}>", at


def _inline(text: str, depth: int = 0) -> str:
    made, at = [], 0
    while at < len(text):
        piece, at = _piece(text, at, depth)
        made.append(piece)
    return "".join(made)


def _piece(text: str, at: int, depth: int) -> tuple[str, int]:
    character = text[at]
    if character == "\\" and text[at + 1 : at + 2] in _PUNCTUATION and at + 1 < len(text):
        return escape(text[at + 1]), at + 2
    if character == "\n":
        return "<br>", at + 1
    if character == "`":
        return _code(text, at)
    if character in "[!" and (match := _LINK.match(text, at)) and is_web_address(match[2]):
        return link(match[2], _inline(match[1], depth + 1)), match.end()
    if character == "<" and (angle := _ANGLE.match(text, at)) and is_web_address(angle[1]):
        return link(angle[1], escape(angle[1])), angle.end()
    if character == "h" and not text[at - 1 : at].isalnum() and (bare := _ADDRESS.match(text, at)):
        address = bare[0].rstrip(".,;:!?*_~`")
        if is_web_address(address):
            return link(address, escape(address)), at + len(address)
    if character == "w" and (at == 0 or text[at - 1] in _BEFORE_DOMAIN) and (bare := _DOMAIN.match(text, at)):
        domain = bare[0].rstrip(".,;:!?*_~`")
        return link(f"http://{domain}", escape(domain)), at + len(domain)
    for mark, tag in (("**", "strong"), ("__", "strong"), ("~~", "del"), ("*", "em"), ("_", "em")):
        if depth < _NESTING and text.startswith(mark, at) and (end := _closing(text, at, mark)):
            return f"<{tag}>{_inline(text[at + len(mark) : end], depth + 1)}</{tag}>", end + len(mark)
    return escape(character), at + 1


def _code(text: str, at: int) -> tuple[str, int]:
    ticks = len(text) - at - len(text[at:].lstrip("`"))
    end = text.find("`" * ticks, at + ticks)
    if end < 0:
        return escape("`" * ticks), at + ticks
    return f"<code>{escape(text[at + ticks : end])}</code>", end + ticks


def _closing(text: str, at: int, mark: str) -> int | None:
    size = len(mark)
    if not text[at + size : at + size + 1].strip() or text[at + size] == mark[0]:
        return None
    if mark[0] == "_" and text[at - 1 : at].isalnum():
        return None
    ends = _possible_ends(text, mark)
    number = bisect_right(ends, at + size)
    return ends[number] if number < len(ends) else None


@lru_cache(maxsize=256)
def _possible_ends(text: str, mark: str) -> list[int]:
    """List where a mark could close; found in one go, since looking from each mark anew would take the square."""
    ends = []
    here, size = 0, len(mark)
    while (here := text.find(mark, here + 1)) > 0:
        following = text[here + size : here + size + 1]
        is_word_inside = mark[0] == "_" and following.isalnum()
        if not text[here - 1].isspace() and text[here - 1] != "\\" and following != mark[0] and not is_word_inside:
            ends.append(here)
    return ends
