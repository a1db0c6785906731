"""What makes a rendered text one that its service takes: its length, its lines, its form."""

from __future__ import annotations

import re

from bot.domain.message import MessageDocument
from bot.errors import TemplateError
from bot.render.form import Form
from bot.text.escape import mend_jira_row, to_plain

TITLE_CHARS = 255  # of a page, as Confluence takes them
_TITLE_END = 40  # of them are kept at the end: what makes a page's title unique stands there


def units(text: str) -> int:
    """Count as Java and JavaScript do: four-byte characters are two."""
    return len(text) + sum(1 for char in text if char > "\uffff")


def size_of(form: Form, text: str) -> int:
    """Measure a text as its limit is counted."""
    return len(text.encode()) if form.dialect == "html" else units(text)


def clean_title(title: str, limit: int = TITLE_CHARS) -> str:
    """Make a title that Jira and Confluence take: one line, *limit* characters, its end kept where it is cut.

    The same title again comes out the same.
    """
    title = " ".join(to_plain(title).split())
    if units(title) <= limit:
        return title
    end = title[-_TITLE_END:]
    start = title[: limit - units(end) - 1]
    while units(start) + 1 + units(end) > limit:
        start = start[:-1]
    return f"{start.rstrip()}…{end.lstrip()}"


def shortened(text: str, limit: int) -> str:
    text = " ".join(to_plain(text).split())
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"


def tidy(form: Form, text: str) -> str:
    """Drop the blank lines and ends of lines that template logic leaves, and mend the rows of Jira's tables."""
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip(" \t") for line in text.strip(" \t\n").split("\n")))
    if form.dialect != "wiki":
        return text
    prose = re.split(r"(^\{noformat\}$.*?^\{noformat\}$)", text, flags=re.DOTALL | re.MULTILINE)
    prose[::2] = [
        re.sub(r"^\|.*", lambda row: mend_jira_row(row[0]), piece, flags=re.MULTILINE) for piece in prose[::2]
    ]
    return "".join(prose)


def fits_paragraphs(form: Form, text: str) -> bool:
    limit = form.paragraph_limit
    return limit is None or all(units(paragraph) <= limit for paragraph in text.split("\n\n"))


def cut_lines(text: str, limit: int, note: str) -> str:
    """Cut at the end of a line, and say so; a block that was open is closed."""
    if units(text) <= limit:
        return text
    room = limit - units(note) - 20
    kept: list[str] = []
    for line in text.split("\n"):
        room -= units(line) + 1
        if room < 0:
            break
        kept.append(line)
    if sum(line == "{noformat}" for line in kept) % 2:
        kept.append("{noformat}")
    return "\n".join([*kept, note])


def checked(form: Form, text: str) -> str:
    """Return the text if its service would take it."""
    if form.dialect == "storage":
        _check_storage(text, form.template)
    if not text or (form.is_message and not MessageDocument.read(text).headline):
        raise TemplateError(f"{form.template}: puts out nothing")
    return text


def _check_storage(text: str, name: str) -> None:
    """Raise TemplateError unless *text* is well-formed storage format."""
    from bot.text.storage_format import NotWellFormedError, parse_storage

    try:
        parse_storage(text)
    except NotWellFormedError as error:
        at = f", at {error.line[:80]!r}" if error.line else ""
        raise TemplateError(f"{name}: puts out what is not XML{at}: {error}") from None
