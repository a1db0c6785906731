"""View and template become text: a ticket, a comment, a page, a section, a message.

A team's own templates replace ours by name. One that is broken is complained of, with its file and line, and ours is
used instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol

from bot.domain.judge.findings import Outcome
from bot.domain.message import MessageDocument
from bot.domain.objects import Bound
from bot.domain.views import (
    ArchivePageView,
    CommentView,
    DigestView,
    MessageView,
    PairsView,
    PipelinePageView,
    RunPageView,
    SeriesView,
    StretchesView,
    TicketView,
)
from bot.errors import TemplateError, abridge
from bot.ports import TextForm
from bot.render.limits import Room
from bot.render.lookup import WORDS, Lookup, replaceable
from bot.text.escape import mend_jira_row, to_plain
from bot.text.locales import Locale

if TYPE_CHECKING:
    from bot.domain.views import Unset
    from bot.render.confined import Budget

TITLE_CHARS = 255  # of a page, as Confluence takes them
TICKET_TITLE_CHARS = 254  # Jira: `Summary must be less than 255 characters`
_TITLE_END = 40  # of them are kept at the end: what makes a page's title unique stands there

Bindings = Mapping[str, Bound | None]
Rooms = tuple[tuple[int, int], ...]
LinkedView = TicketView | CommentView | RunPageView | ArchivePageView | PipelinePageView | MessageView | DigestView
JudgedView = SeriesView | StretchesView | PairsView


@dataclass(frozen=True, slots=True)
class TicketText:
    """A ticket's title, one plain line, and body; *cut*: something was left out, and the body says so."""

    title: str
    body: str
    cut: bool = False


@dataclass(frozen=True, slots=True)
class CommentText:
    body: str
    cut: bool = False  # something was left out, and the body says so


@dataclass(frozen=True, slots=True)
class PageText:
    title: str
    body: str


@dataclass(frozen=True, slots=True)
class _Form:
    """One kind of text: the language and template that make it, and how long it may be.

    *rooms* are the sizes tried one after the other, `(characters of a value, rows of a table)`, until the text fits.
    """

    dialect: str
    template: str
    limit: int  # in UTF-16 units, as the services count
    rooms: Rooms = ((1000, 100), (200, 40), (60, 15))
    is_message: bool = False
    paragraph_limit: int | None = None  # in those units

    @property
    def lines(self) -> str:
        """Name what several templates of a folder may share."""
        return str(PurePosixPath(self.template).with_name("lines.j2"))


# Confluence takes 5 MB; what trackers and chats take, each of them says itself.
_TITLE = _Form("plain", "ticket_title.txt.j2", TICKET_TITLE_CHARS, ((120, 1), (60, 1), (40, 1)))
_PAGE_ROOMS = ((4000, 1000), (1000, 100), (200, 40), (60, 15))
_RUN_PAGE = _Form("storage", "confluence/run.storage.j2", 2_000_000, _PAGE_ROOMS)
_ARCHIVE_PAGE = _Form("storage", "confluence/archive.storage.j2", 2_000_000)
_PIPELINE_SECTION = _Form("storage", "confluence/pipeline.storage.j2", 2_000_000)
_MESSAGE_ROOMS = ((200, 8), (80, 4), (40, 2))
_DIGEST_ROOMS = ((200, 20), (80, 20), (40, 20))
_DIGEST_PAGE = _Form("storage", "digest/page.storage.j2", 2_000_000)
_DIGEST_TEXT = _Form("plain", "digest/digest.txt.j2", 100_000)
_SERIES = _Form("plain", "judge/series.txt.j2", 10_000)
_STRETCHES = _Form("plain", "judge/stretches.txt.j2", 10_000)
_PAIRS = _Form("plain", "judge/pairs.txt.j2", 10_000)
_WHOLE_ROOMS = ((200_000, 10_000), (10_000, 1_000), (200, 1_000))
_WHOLE_TICKET = _Form("markdown", "trello/ticket.md.j2", 2_000_000, _WHOLE_ROOMS)
_WHOLE_COMMENT = _Form("markdown", "trello/comment.md.j2", 2_000_000, _WHOLE_ROOMS)
_TICKET_FIELDS = ("priority", "assignee", "components", "labels")  # for which we have words
_UNSET_VALUE, _UNSET_WORDS, _UNSET_ALL = 60, 200, 600  # characters; the services take some more than a ticket's limit


def _of_ticket(kind: str, reader: TextForm) -> _Form:
    return _Form(reader.dialect, f"{reader.folder}/{kind}.{_suffix(reader)}.j2", reader.limit)


def _of_message(kind: str, reader: TextForm, folder: str | None = None, rooms: Rooms = _MESSAGE_ROOMS) -> _Form:
    template = f"{folder or reader.folder}/{kind}.{_suffix(reader)}.j2"
    return _Form(reader.dialect, template, reader.limit, rooms, is_message=True, paragraph_limit=reader.paragraph_limit)


def _suffix(reader: TextForm) -> str:
    from bot.render import dialects

    return dialects.named(reader.dialect).suffix


class Maker(Protocol):
    """Makes text of the templates of one output language; raises TemplateError for whatever is wrong with one."""

    def render(self, name: str, room: Room, values: Mapping[str, Any]) -> str:
        """Render one template; the room notes whether anything was left out."""

    def read_word(self, name: str, word: str) -> str:
        """Return a plain string that a template sets at its top."""


class Renderer:
    """Renders views in one language of people, with a team's own templates where *overrides* holds any.

    *overrides* is a folder laid out like ours, `jira/ticket.wiki.j2`, `words/en.j2`; what stands under `en/` or `zh/`
    there is for that language alone, and comes first.
    *complain* hears of each template of theirs that cannot be used, be it that it takes more than its *budget*. Every
    method raises TemplateError where not even our own template renders.
    """

    def __init__(
        self,
        locale: Locale,
        overrides: Path | None = None,
        complain: Callable[[TemplateError], None] | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.locale = locale
        self._budget = budget
        self._ours = Lookup(locale, (our_templates(),))
        self._theirs = Lookup(locale, () if overrides is None else (overrides,))
        self._complain = complain
        self._makers: dict[tuple[str, bool], Maker] = {}

    def render_ticket(self, reader: TextForm, view: TicketView, bound: Bindings) -> TicketText:
        title, _ = self._render(_TITLE, view, bound)
        body, cut = self._render(_of_ticket("ticket", reader), view, bound)
        return TicketText(clean_title(title, TICKET_TITLE_CHARS), body, cut)

    def render_unset(self, reader: TextForm, unset: Iterable[Unset]) -> str:
        """Say in one line what a tracker refused to set on a ticket, which goes below its body."""
        from bot.render import dialects

        said = [
            self.word("unset_item").format(
                field=self.word(f"unset_{each.field}") if each.field in _TICKET_FIELDS else each.field,
                value=_short(each.value, _UNSET_VALUE),
                words=abridge(" ".join(to_plain(each.words).split()), _UNSET_WORDS),
            )
            for each in unset
        ]
        listed = _short(self.word("unset_between").join(said), _UNSET_ALL)
        line = self.word("unset").format(tracker=reader.name, fields=listed)
        return dialects.named(reader.dialect).write(line)

    def render_whole(self, view: TicketView | CommentView, bound: Bindings) -> str:
        """Render what had to be cut as a file of Markdown, whatever its tracker reads, with all its rows."""
        return self._render(_WHOLE_TICKET if isinstance(view, TicketView) else _WHOLE_COMMENT, view, bound)[0]

    def render_comment(self, reader: TextForm, view: CommentView, bound: Bindings) -> CommentText:
        return CommentText(*self._render(_of_ticket("comment", reader), view, bound))

    def render_run_page(self, view: RunPageView, bound: Bindings) -> PageText:
        return PageText(clean_title(view.title), self._render(_RUN_PAGE, view, bound)[0])

    def render_archive_page(self, view: ArchivePageView, bound: Bindings) -> PageText:
        return PageText(clean_title(view.title), self._render(_ARCHIVE_PAGE, view, bound)[0])

    def render_pipeline_section(self, view: PipelinePageView, bound: Bindings) -> str:
        return self._render(_PIPELINE_SECTION, view, bound)[0]

    def render_message(self, reader: TextForm, view: MessageView, bound: Bindings) -> MessageDocument:
        return self._render_message(_of_message("message", reader), view, bound)

    def render_reply(self, reader: TextForm, view: CommentView, bound: Bindings) -> MessageDocument:
        """Render what is said in a message's thread."""
        return self._render_message(_of_message("reply", reader), view, bound)

    def render_digest(self, reader: TextForm, view: DigestView, bound: Bindings) -> MessageDocument:
        return self._render_message(_of_message("message", reader, "digest", _DIGEST_ROOMS), view, bound)

    def render_digest_page(self, view: DigestView, bound: Bindings) -> str:
        return self._render(_DIGEST_PAGE, view, bound)[0]

    def render_digest_text(self, view: DigestView, bound: Bindings) -> str:
        """Render lines for a terminal."""
        return self._render(_DIGEST_TEXT, view, bound)[0]

    def render_judged(self, view: JudgedView) -> str:
        """Render sentences, in one line, for whoever handed `herald judge` the numbers."""
        match view:
            case SeriesView():
                form = _SERIES
            case StretchesView():
                form = _STRETCHES
            case PairsView():
                form = _PAIRS
        return self._fit(form, view, {}, theirs=False)[0].replace("\n", " ")

    def word(self, name: str) -> str:
        """Return a plain string of ours that `words.j2` sets."""
        return self._maker("plain", theirs=False).read_word(WORDS, name)

    def outcome(self, outcome: Outcome) -> str:
        """Return our name for an outcome."""
        return self._maker("plain", theirs=False).render("judge/outcome.txt.j2", Room(), {"outcome": outcome}).strip()

    def _render_message(self, form: _Form, view: LinkedView, bound: Bindings) -> MessageDocument:
        return MessageDocument.read(self._render(form, view, bound)[0])

    def _render(self, form: _Form, view: LinkedView, bound: Bindings) -> tuple[str, bool]:
        bound = {name: bound.get(name) for name in view.links}
        if any(self._theirs.files(name) for name in (form.template, form.lines, WORDS)):
            try:
                return self._fit(form, view, bound, theirs=True)
            except TemplateError as error:
                if self._complain is not None:
                    self._complain(error)
        return self._fit(form, view, bound, theirs=False)

    def _fit(self, form: _Form, view: LinkedView | JudgedView, bound: Bindings, *, theirs: bool) -> tuple[str, bool]:
        """Render with less and less room until the text fits; cut it at a line where it never does."""
        from bot.render.confined import BudgetError

        maker = self._maker(form.dialect, theirs=theirs)
        note = maker.read_word(WORDS, "value_cut")
        values = {"view": view, "bound": bound, "locale": self.locale}
        text = ""
        for place, (value_chars, rows) in enumerate(form.rooms, start=1):
            room = Room(value_chars, rows, note)
            try:
                text = _tidy(form, maker.render(form.template, room, values))
                if _units(text) <= form.limit and _fits_sections(form, text):
                    return _checked(form, text), room.cut
            except TemplateError as error:  # of far too much output, say
                if place == len(form.rooms) or isinstance(error, BudgetError):
                    raise
        return _checked(form, self._cut(form, maker, text)), True

    def _cut(self, form: _Form, maker: Maker, text: str) -> str:
        from bot.render import dialects

        if form.dialect == "storage":
            raise TemplateError(
                f"{form.template}: puts out {_units(text):,} characters, and a page takes {form.limit:,}"
            )
        if form is _TITLE:
            return clean_title(text, form.limit)
        note = dialects.named(form.dialect).write(maker.read_word(WORDS, "text_cut"))
        if form.paragraph_limit is not None:
            paragraphs = [_cut_lines(p, form.paragraph_limit, note) for p in text.split("\n\n")]
            text = "\n\n".join(paragraphs)
        return _cut_lines(text, form.limit, note)

    def _maker(self, dialect: str, *, theirs: bool) -> Maker:
        key = (dialect, theirs)
        if key not in self._makers:
            from bot.render import dialects
            from bot.render.confined import Budget, Confined
            from bot.render.environment import TemplateEnvironment

            if theirs:
                both = Lookup(self.locale, (*self._theirs.folders, *self._ours.folders))
                self._makers[key] = Confined(dialect, both, self._budget or Budget())
            else:
                self._makers[key] = TemplateEnvironment(dialects.named(dialect), self._ours)
        return self._makers[key]


def load() -> None:
    """Import what rendering needs, before threads do."""
    for module in ("bot.text.storage_format", "bot.render.confined", "bot.render.dialects", "bot.render.environment"):
        import_module(module)


def check_overrides(overrides: Path) -> tuple[TemplateError, ...]:
    """Find what is wrong with a team's templates before one is needed: names that replace nothing, and syntax."""
    from difflib import get_close_matches

    from bot.render.environment import check_syntax

    ours = replaceable(path.relative_to(our_templates()).as_posix() for path in our_templates().rglob("*.j2"))
    found: list[TemplateError] = []
    for path in sorted(overrides.rglob("*.j2")):
        name = path.relative_to(overrides).as_posix()
        if name not in ours:
            near = get_close_matches(name, sorted(ours), n=1, cutoff=0)[0]
            found.append(TemplateError(f"{path}: replaces nothing; the nearest template is {near}"))
        elif error := check_syntax(path):
            found.append(error)
    return tuple(found)


@cache
def our_templates() -> Path:
    """Find our templates: inside the package once it is installed, beside it in a checkout."""
    installed = Path(str(files("bot"))) / "templates"
    return installed if installed.is_dir() else installed.parent.parent / "templates"


def _short(text: str, limit: int) -> str:
    text = " ".join(to_plain(text).split())
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"


def clean_title(title: str, limit: int = TITLE_CHARS) -> str:
    """Make a title that Jira and Confluence take: one line, *limit* characters, its end kept where it is cut.

    The same title again comes out the same.
    """
    title = " ".join(to_plain(title).split())
    if _units(title) <= limit:
        return title
    end = title[-_TITLE_END:]
    start = title[: limit - _units(end) - 1]
    while _units(start) + 1 + _units(end) > limit:
        start = start[:-1]
    return f"{start.rstrip()}…{end.lstrip()}"


def _units(text: str) -> int:
    """Count as Java and JavaScript do: four-byte characters are two."""
    return len(text) + sum(1 for char in text if char > "\uffff")


def _tidy(form: _Form, text: str) -> str:
    """Drop the blank lines and ends of lines that template logic leaves, and mend the rows of Jira's tables."""
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip(" \t") for line in text.strip(" \t\n").split("\n")))
    if form.dialect != "wiki":
        return text
    prose = re.split(r"(^\{noformat\}$.*?^\{noformat\}$)", text, flags=re.DOTALL | re.MULTILINE)
    prose[::2] = [
        re.sub(r"^\|.*", lambda row: mend_jira_row(row[0]), piece, flags=re.MULTILINE) for piece in prose[::2]
    ]
    return "".join(prose)


def _fits_sections(form: _Form, text: str) -> bool:
    limit = form.paragraph_limit
    return limit is None or all(_units(paragraph) <= limit for paragraph in text.split("\n\n"))


def _cut_lines(text: str, limit: int, note: str) -> str:
    """Cut at the end of a line, and say so; a block that was open is closed."""
    if _units(text) <= limit:
        return text
    room = limit - _units(note) - 20
    kept: list[str] = []
    for line in text.split("\n"):
        room -= _units(line) + 1
        if room < 0:
            break
        kept.append(line)
    if sum(line == "{noformat}" for line in kept) % 2:
        kept.append("{noformat}")
    return "\n".join([*kept, note])


def _checked(form: _Form, text: str) -> str:
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
