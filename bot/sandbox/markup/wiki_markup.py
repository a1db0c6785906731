"""Jira's wiki markup, rendered as HTML: the constructs that tickets use, everything else as literal text."""

from __future__ import annotations

import re

from bot.sandbox.markup.safe_html import escape
from bot.sandbox.markup.wiki_inline import LINK, NESTING, NOTHING, PICTURE, WikiContext, inline, is_escaped

_HEADING = re.compile(r"[ \t]*h([1-6])\.[ \t]+(.*)")
_QUOTED_LINE = re.compile(r"[ \t]*bq\.[ \t]+(.*)")
_RULE = re.compile(r"[ \t]*-{4,}[ \t]*")
_ITEM = re.compile(r"[ \t]*([*#]+|-)[ \t]+(\S.*)")
_ROW = re.compile(r"[ \t]*\|.*\S.*")
_OPENING = re.compile(r"\{(noformat|code|panel|quote)(?::([^}\n]*))?\}")


def render(text: str, context: WikiContext = NOTHING) -> str:
    """Render wiki markup as HTML that holds nothing but what this module wrote."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return _Blocks(lines, context).all()


class _Blocks:
    """Reads a text line by line and block by block."""

    def __init__(self, lines: list[str], context: WikiContext, depth: int = 0) -> None:
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
        if opening and not is_escaped(line, opening.start()) and self._enclosed(line, opening):
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
        if self._depth >= NESTING:
            return f"<pre>{escape(chr(10).join(body))}</pre>"
        inner = _Blocks(body, self._context, self._depth + 1).all()
        return f"<blockquote>{inner}</blockquote>" if name == "quote" else f'<div class="frame">{heading}{inner}</div>'

    def _list(self) -> None:
        """Render items that belong together; the length of the marks is their depth."""
        items: list[tuple[str, str]] = []
        at = self._at
        while at < len(self._lines) and (match := _ITEM.fullmatch(self._lines[at])):
            items.append((match[1].replace("-", "*")[:NESTING], match[2]))
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
        elif line[at] in "[!" and (match := (LINK if line[at] == "[" else PICTURE).match(line, at)):
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
