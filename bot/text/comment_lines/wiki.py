"""Jira's wiki markup: what is said outside of its macros, quotations, lists, headings and tables.

A macro that is not closed hides all that follows, and where two readings are possible the one holds that hides more:
a command that is overlooked can be given again, one that nobody gave cannot be taken back unseen.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from html import unescape

from bot.text.comment_lines.speech import SHOWN, physical_lines

_RAW = frozenset({"code", "noformat"})
_FRAMES = frozenset(
    "adf cite column csv details excerpt expand html info note panel quote section spoiler tip warning".split()  # noqa: SIM905
)
_SEEN_THROUGH = frozenset({"color", "anchor"})
_MACRO = re.compile(r"\{\{[^{}\n]*\}\}|\{([A-Za-z][\w-]*)(:[^{}\n]*)?\}")
_BLOCK = re.compile(r"\s*(?:h[1-6]\.|bq\.|[*#]+\s|-+\s)")
_ROW = re.compile(r"\s*\|")
_INLINE = re.compile(
    r"(\\\\)|\\([-#*_+?^~|%{}\[\]()!@&:.])|(\{\{)|(\[[^\[\]\n]*\])|(![^!\s][^!\n]*!)"
    r"|(\{(?:color|anchor)(?::[^{}\n]*)?\}|\{[*_+^~]\})|(&#?\w{1,8};)",
    re.IGNORECASE,
)
_MONO_END = re.compile(r"\}\}(?!\})")
_MARKS = "*_+"
_MARKED = re.compile(rf"([{_MARKS}])(\S.*[^\s{SHOWN}])\1")  # a whole line in bold, say
_HIDING = re.compile(r"[A-Za-z0-9/]")  # what needs no entity, and is written as one only to be overlooked


def wiki_lines(body: str) -> Iterator[str]:
    """Give the lines of a text in wiki markup, with what is shown signed."""
    in_row = False
    for line in physical_lines(_outside_macros(body)):
        in_row = bool(line.strip()) and (in_row or _ROW.match(line) is not None)
        if in_row or _BLOCK.match(line):
            in_row = in_row and not line.rstrip().endswith("|")
            yield SHOWN
        else:
            yield from map(_unmarked, _decoded(line).split("\n"))


def _outside_macros(body: str) -> str:
    """Put the sign in the place of each macro and what it holds."""
    macros = [found for found in _MACRO.finditer(body) if found[1]]
    still_to_come = Counter(found[1].lower() for found in macros)
    opened: Counter[str] = Counter()
    last_opening: dict[str, int] = {}  # where what it holds begins
    raw = ""  # the macro that is open and in which nothing else is one
    pieces: list[str] = []
    begin = end = 0
    for found in macros:
        name, has_parameters = found[1].lower(), found[2] is not None
        still_to_come[name] -= 1
        escapes = _backslashes_before(body, found.start())
        was_open = bool(raw or opened)
        if raw:
            raw = raw if name != raw or has_parameters or escapes else ""
        elif opened[name] and not has_parameters and (escapes or body[last_opening[name] : found.start()].strip()):
            opened -= Counter({name: 0 if escapes else 1})
        elif name in _SEEN_THROUGH or escapes % 2:
            continue
        elif name in _RAW:
            raw = name
        elif name in _FRAMES or still_to_come[name]:  # one after the other with nothing between, both open
            opened[name] += 1
            last_opening[name] = found.end()
        opened += Counter()  # drops what has come to nothing
        if not was_open and (raw or opened):
            begin = found.start()
            pieces.append(body[end:begin])
        elif was_open and not (raw or opened):
            end = found.end()
            pieces.append(_sign(body[begin:end]))
    return "".join([*pieces, _sign(body[begin:]) if raw or opened else body[end:]])


def _sign(shown: str) -> str:
    return f"{SHOWN}\n{SHOWN}" if "\n" in shown or "\r" in shown else SHOWN


def _backslashes_before(body: str, at: int) -> int:
    first = at
    while first and body[first - 1] == "\\":
        first -= 1
    return at - first


def _decoded(line: str) -> str:
    """Write a line as it is seen; a forced break in it becomes a line's end."""
    last_closing = line.rfind("}}")
    pieces: list[str] = []
    at = 0
    while found := _INLINE.search(line, at):
        pieces.append(line[at : found.start()])
        at = found.end()
        line_break, escaped, mono, link, picture, seen_through, entity = found.groups()
        if line_break:
            pieces.append("\n")
        elif escaped:
            pieces.append(SHOWN + escaped if escaped in _MARKS else escaped)
        elif mono and last_closing >= at:
            closing = _MONO_END.search(line, at)
            at = closing.end() if closing else at
            pieces.append(SHOWN + line[found.end() : at].strip("{}"))  # Jira's own editor writes {{{}so{}}}
        elif link:
            pieces.append(SHOWN + link[1:-1].partition("|")[0])
        elif entity:
            pieces.append(_character(entity))
        elif not seen_through:
            pieces.append(mono or SHOWN + picture)
    return "".join([*pieces, line[at:]])


def _character(entity: str) -> str:
    decoded = unescape(entity).replace("\xa0", " ")
    return decoded if decoded.isprintable() and not _HIDING.search(decoded) else entity


def _unmarked(line: str) -> str:
    marked = _MARKED.fullmatch(line.strip())
    return marked[2] if marked else line
