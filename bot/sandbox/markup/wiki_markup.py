"""Jira's wiki markup, rendered as HTML: the constructs that tickets use, everything else as literal text."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from bot.sandbox.markup.safe_html import escape, hue, is_web_address, link


@dataclass(frozen=True, slots=True)
class Context:
    """What a text may point at: pictures and people and tickets by name; None where there is no such thing."""

    picture: Callable[[str], str | None] = lambda _name: None
    person: Callable[[str], str | None] = lambda _name: None
    ticket: Callable[[str], str | None] = lambda _key: None


NOTHING = Context()

_HEADING = re.compile(r"[ \t]*h([1-6])\.[ \t]+(.*)")
_QUOTED_LINE = re.compile(r"[ \t]*bq\.[ \t]+(.*)")
_RULE = re.compile(r"[ \t]*-{4,}[ \t]*")
_ITEM = re.compile(r"[ \t]*([*#]+|-)[ \t]+(\S.*)")
_ROW = re.compile(r"[ \t]*\|.*\S.*")
_OPENING = re.compile(r"\{(noformat|code|panel|quote)(?::([^}\n]*))?\}")
_NESTING = 12  # marks within marks; deeper ones stay text

_ESCAPABLE = frozenset("*_-+~^?{}[]|!#()@\\")
_ADDRESS = re.compile(r"https?://[^\s<>\"'|\]\[{}\\]+|mailto:[^\s<>\"'|\]\[{}\\]+")
_KEY = re.compile(r"[A-Z][A-Z0-9_]{1,9}-[0-9]{1,9}(?![\w-])")
_ENTITY = re.compile(r"&(?:#[0-9]{2,6}|[A-Za-z]{2,8});")
_COLOUR = re.compile(r"\{color(?::([#\w]+))?\}")
_PICTURE = re.compile(r"!([^!\s|{}][^!|\n{}]*)(?:\|([^!\n]*))?!")
_LINK = re.compile(r"\[([^\[\]\n]*)\]")
_MARKS = {"*": "strong", "_": "em", "-": "del", "+": "ins", "^": "sup", "~": "sub"}
_EMOTICONS = {
    "(/)": "✔",
    "(x)": "✘",
    "(!)": "⚠",
    "(?)": "❓",
    "(i)": "ℹ",
    "(y)": "👍",
    "(n)": "👎",
    "(*)": "★",
    "(on)": "💡",
    "(+)": "⊕",
    "(-)": "⊖",
    ":)": "🙂",
    ":(": "🙁",
    ":D": "😀",
    ":P": "😛",
    ";)": "😉",
}


def render(text: str, context: Context = NOTHING) -> str:
    """Render wiki markup as HTML that holds nothing but what this module wrote."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return _Blocks(lines, context).all()


class _Blocks:
    """Reads a text line by line and block by block."""

    def __init__(self, lines: list[str], context: Context, depth: int = 0) -> None:
        self._lines = lines
        self._at = 0
        self._context = context
        self._depth = depth
        self._made: list[str] = []
        self._paragraph: list[str] = []

    def all(self) -> str:
        while self._at < len(self._lines):
            self._block(self._lines[self._at])
        self._end_paragraph()
        return "".join(self._made)

    def _block(self, line: str) -> None:
        opening = _OPENING.search(line)
        if opening and not _is_escaped(line, opening.start()) and self._enclosed(line, opening):
            return
        if not line.strip():
            self._end_paragraph()
            self._at += 1
        elif match := _HEADING.fullmatch(line):
            self._add(f"<h{match[1]}>{self._inline(match[2])}</h{match[1]}>")
        elif match := _QUOTED_LINE.fullmatch(line):
            self._add(f"<blockquote><p>{self._inline(match[1])}</p></blockquote>")
        elif _RULE.fullmatch(line):
            self._add("<hr>")
        elif _ITEM.fullmatch(line):
            self._list()
        elif _ROW.fullmatch(line):
            self._table()
        else:
            self._paragraph.append(line)
            self._at += 1

    def _inline(self, text: str) -> str:
        return inline(text.strip(), self._context)

    def _add(self, made: str, lines: int = 1) -> None:
        self._end_paragraph()
        self._made.append(made)
        self._at += lines

    def _end_paragraph(self) -> None:
        if self._paragraph:
            self._made.append(f"<p>{self._inline(chr(10).join(self._paragraph))}</p>")
            self._paragraph = []

    def _enclosed(self, line: str, opening: re.Match[str]) -> bool:
        """Take {noformat}...{noformat} and its kin, over lines; False where it is never closed."""
        name, rest = opening[1], [line[opening.end() :], *self._lines[self._at + 1 :]]
        closing = "{" + name + "}"
        for number, candidate in enumerate(rest):
            end = candidate.find(closing)
            if end < 0:
                continue
            body = [*rest[:number], candidate[:end]]
            if line[: opening.start()].strip():
                self._paragraph.append(line[: opening.start()])
            self._add(self._frame(name, opening[2] or "", body), 0)
            self._lines[self._at + number] = candidate[end + len(closing) :]
            self._at += number
            if not self._lines[self._at].strip():
                self._at += 1
            return True
        return False

    def _frame(self, name: str, given: str, body: list[str]) -> str:
        body = _trimmed(body)
        title = next((part[6:] for part in given.split("|") if part.startswith("title=")), "")
        heading = f'<div class="frame-title">{escape(title)}</div>' if title else ""
        if name == "noformat":
            return f"{heading}<pre>{escape(chr(10).join(body))}</pre>"
        if name == "code":
            return f"{heading}<pre><code>{escape(chr(10).join(body))}</code></pre>"
        if self._depth >= _NESTING:
            return f"<pre>{escape(chr(10).join(body))}</pre>"
        inner = _Blocks(body, self._context, self._depth + 1).all()
        return f"<blockquote>{inner}</blockquote>" if name == "quote" else f'<div class="frame">{heading}{inner}</div>'

    def _list(self) -> None:
        """Render items that belong together; the length of the marks is their depth."""
        items: list[tuple[str, str]] = []
        at = self._at
        while at < len(self._lines) and (match := _ITEM.fullmatch(self._lines[at])):
            items.append((match[1].replace("-", "*")[:_NESTING], match[2]))
            at += 1
            while at < len(self._lines) and self._continues(self._lines[at]):
                items[-1] = (items[-1][0], f"{items[-1][1]}\n{self._lines[at]}")
                at += 1
        count = at - self._at
        self._add(self._items(items), count)

    def _continues(self, line: str) -> bool:
        others = (_HEADING, _QUOTED_LINE, _RULE, _ITEM, _ROW)
        return bool(line.strip()) and not any(one.fullmatch(line) for one in others) and not _OPENING.search(line)

    def _items(self, items: list[tuple[str, str]]) -> str:
        made: list[str] = []
        open_lists: list[str] = []
        for marks, text in items:
            wanted = ["ol" if mark == "#" else "ul" for mark in marks]
            common = 0
            while common < min(len(wanted), len(open_lists)) and wanted[common] == open_lists[common]:
                common += 1
            while len(open_lists) > common:
                made.append(f"</li></{open_lists.pop()}>")
            if len(wanted) == common:
                made.append("</li><li>")
            for kind in wanted[common:]:
                made.append(f"<{kind}><li>")
                open_lists.append(kind)
            made.append(self._inline(text))
        made += [f"</li></{kind}>" for kind in reversed(open_lists)]
        return "".join(made)

    def _table(self) -> None:
        rows = []
        at = self._at
        while at < len(self._lines) and _ROW.fullmatch(self._lines[at]):
            rows.append(self._row(self._lines[at].strip()))
            at += 1
        count = at - self._at
        self._add(f"<table><tbody>{''.join(rows)}</tbody></table>", count)

    def _row(self, line: str) -> str:
        cells = []
        for is_head, text in split_row(line):
            kind = "th" if is_head else "td"
            cells.append(f"<{kind}>{self._inline(text)}</{kind}>")
        return f"<tr>{''.join(cells)}</tr>"


def split_row(line: str) -> list[tuple[bool, str]]:
    """Split a table's line at its bars, but not at those inside links, pictures, or behind a backslash."""
    cells: list[tuple[bool, str]] = []
    at, start, is_head = 0, None, False
    while at < len(line):
        if line[at] == "\\" and at + 1 < len(line):
            at += 2
        elif line[at] == "|":
            if start is not None:
                cells.append((is_head, line[start:at]))
            is_head = line.startswith("||", at)
            at += 2 if is_head else 1
            start = at
        elif line[at] in "[!" and (match := (_LINK if line[at] == "[" else _PICTURE).match(line, at)):
            at = match.end()
        else:
            at += 1
    if start is not None and line[start:].strip():
        cells.append((is_head, line[start:]))
    return cells


def _trimmed(lines: list[str]) -> list[str]:
    first = 1 if lines and not lines[0].strip() else 0
    last = len(lines) - 1 if len(lines) > first and not lines[-1].strip() else len(lines)
    return lines[first:last]


def _is_escaped(text: str, at: int) -> bool:
    return at > 0 and text[at - 1] == "\\"


def inline(text: str, context: Context, depth: int = 0) -> str:
    """Render marks, links, pictures and colours within a line or paragraph."""
    made: list[str] = []
    at = 0
    while at < len(text):
        piece, at = _piece(text, at, context, depth)
        made.append(piece)
    return "".join(made)


def _piece(text: str, at: int, context: Context, depth: int) -> tuple[str, int]:
    """Render what stands at *at*; return it and where the rest begins."""
    character = text[at]
    if depth < _NESTING and character in _READERS:
        found = _READERS[character](text, at, context, depth)
        if found:
            return found
    if character == "\n":
        return "<br>", at + 1
    if character in "hm" and not _follows_word(text, at) and (match := _ADDRESS.match(text, at)):
        address = match[0].rstrip(".,;:!?)'")
        return link(address, escape(address)), at + len(address)
    if character.isascii() and character.isupper() and not _follows_word(text, at) and (key := _KEY.match(text, at)):
        where = context.ticket(key[0])
        made = f'<a href="{escape(where)}">{escape(key[0])}</a>' if where else escape(key[0])
        return made, key.end()
    return escape(character), at + 1


def _follows_word(text: str, at: int) -> bool:
    return at > 0 and (text[at - 1].isalnum() or text[at - 1] in "_-")


Reader = Callable[[str, int, Context, int], tuple[str, int] | None]


def _read_backslash(text: str, at: int, _context: Context, _depth: int) -> tuple[str, int] | None:
    if text.startswith("\\\\", at):
        return "<br>", at + 2
    if at + 1 < len(text) and text[at + 1] in _ESCAPABLE:
        return escape(text[at + 1]), at + 2
    return None


def _read_brace(text: str, at: int, context: Context, depth: int) -> tuple[str, int] | None:
    if text.startswith("{{", at):
        end = text.find("}}", at + 2)
        if end > at + 2 and "\n" not in text[at:end]:
            return f"<code>{inline(text[at + 2 : end], context, depth + 1)}</code>", end + 2
    if text.startswith("{anchor:", at) and (end := text.find("}", at)) > 0:
        return "", end + 1
    opening = _COLOUR.match(text, at)
    if opening and opening[1]:
        closing = text.find("{color}", opening.end())
        if closing > 0:
            inner = inline(text[opening.end() : closing], context, depth + 1)
            return f'<span class="ink-{hue(opening[1])}">{inner}</span>', closing + len("{color}")
    return None


def _read_bracket(text: str, at: int, context: Context, depth: int) -> tuple[str, int] | None:
    match = _closed_bracket(text, at)
    if match is None:
        return None
    inside, end = match
    shown, bar, target = inside.rpartition("|")
    target = target.strip()
    if target.startswith("~") and not bar:
        name = target[1:].removeprefix("accountid:")
        person = context.person(name)
        return f'<span class="mention{"" if person else " unknown"}">@{escape(person or name)}</span>', end
    if target.startswith("^") and (where := context.picture(target[1:])):
        return f'<a href="{escape(where)}">{escape(shown or target[1:])}</a>', end
    if not is_web_address(target):
        return None
    return link(target, inline(shown, context, depth + 1) if bar else escape(target)), end


def _closed_bracket(text: str, at: int) -> tuple[str, int] | None:
    """Return what stands between brackets and where they end; a backslash before a bracket keeps it inside."""
    here = at + 1
    while here < len(text) and text[here] != "\n":
        if text[here] == "\\":
            here += 2
            continue
        if text[here] == "]":
            return text[at + 1 : here], here + 1
        if text[here] == "[":
            return None
        here += 1
    return None


def _read_picture(text: str, at: int, context: Context, _depth: int) -> tuple[str, int] | None:
    match = _PICTURE.match(text, at)
    if match is None or _follows_word(text, at) or match[1].endswith(" "):
        return None
    name = match[1].strip()
    looks_like_one = re.search(r"\.(?:png|jpe?g|gif|webp|svg)$", name, re.IGNORECASE)
    if not looks_like_one:
        return None
    where = context.picture(name)
    if where is None:
        return f'<span class="missing">{escape(name)}: no such picture here</span>', match.end()
    width = re.search(r"(?:^|,)\s*width=([0-9]{1,4})", match[2] or "")
    wide = f' width="{width[1]}"' if width else ""
    return f'<img src="{escape(where)}" alt="{escape(name)}"{wide}>', match.end()


def _read_mark(text: str, at: int, context: Context, depth: int) -> tuple[str, int] | None:
    """Read *strong* and its kin: the marks hug the words, and stand apart from other words."""
    mark = text[at]
    if mark == "-" and (dashes := re.match(r"-{2,3}(?!-)", text[at:])) and not text[:at].endswith("-"):
        around = text[at - 1 : at] in ("", " ") and text[at + len(dashes[0]) :][:1] in ("", " ")
        return ({2: "–", 3: "—"}[len(dashes[0])], at + len(dashes[0])) if around else None
    if at > 0 and (text[at - 1].isalnum() or text[at - 1] in "_\\"):
        return None
    if at + 1 >= len(text) or text[at + 1].isspace() or text[at + 1] == mark:
        return None
    end = _closing_mark(text, at, mark)
    if end is None:
        return None
    tag = _MARKS[mark]
    return f"<{tag}>{inline(text[at + 1 : end], context, depth + 1)}</{tag}>", end + 1


def _closing_mark(text: str, at: int, mark: str) -> int | None:
    """Find the mark that closes the one at *at*, on the same line."""
    ends = _possible_ends(text, mark)
    number = bisect_right(ends, at + 1)
    if number == len(ends) or "\n" in text[at : ends[number]]:
        return None
    return ends[number]


@lru_cache(maxsize=256)
def _possible_ends(text: str, mark: str) -> list[int]:
    """List where a mark could close; found in one go, since looking from each mark anew would take the square."""
    ends = []
    here = 1
    while here < len(text):
        if text[here] == "\\":
            here += 2
            continue
        following = text[here + 1 : here + 2]
        if text[here] == mark and not text[here - 1].isspace() and not (following.isalnum() or following == "_"):
            ends.append(here)
        here += 1
    return ends


def _read_emoticon(text: str, at: int, _context: Context, _depth: int) -> tuple[str, int] | None:
    for sign, shown in _EMOTICONS.items():
        if text.startswith(sign, at) and not _follows_word(text, at):
            return f'<span class="emoji" title="{escape(sign)}">{shown}</span>', at + len(sign)
    return None


def _read_entity(text: str, at: int, _context: Context, _depth: int) -> tuple[str, int] | None:
    """Let entities stand as they are, as Jira does."""
    match = _ENTITY.match(text, at)
    return (match[0], match.end()) if match else None


_READERS: dict[str, Reader] = {
    "\\": _read_backslash,
    "{": _read_brace,
    "[": _read_bracket,
    "!": _read_picture,
    "(": _read_emoticon,
    ":": _read_emoticon,
    ";": _read_emoticon,
    "&": _read_entity,
    **dict.fromkeys(_MARKS, _read_mark),
}
