"""View and template become text, a ticket, a page, a message; long, since it has a method a text.

A team's own templates replace ours by name. One that is broken is complained of, with its file and line, and ours is
used instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bot.domain.capabilities import TextForm
from bot.domain.judge.findings import Outcome
from bot.domain.message import MessageDocument
from bot.domain.objects import Bound
from bot.domain.page_views import (
    ComparisonPage,
    DigestDetail,
    DigestList,
    IncidentDetail,
    OverviewLine,
    OverviewPage,
    PipelineDetail,
    RunDetail,
    SimplePage,
    SlicesPage,
)
from bot.domain.replay_views import ReplayPageView, ReplayView
from bot.domain.views import (
    AnswerView,
    ArchivePageView,
    CommentView,
    DigestView,
    LedgerView,
    LegendView,
    MessageView,
    PairsView,
    PipelinePageView,
    RunPageView,
    SeriesView,
    StretchesView,
    TicketView,
    UmbrellaOverView,
    UmbrellaView,
    VerdictView,
)
from bot.errors import TemplateError, abridge
from bot.render.fitting import checked, clean_title, cut_lines, fits_paragraphs, shortened, size_of, tidy, units
from bot.render.form import (
    ANSWER_TEXT,
    ARCHIVE_PAGE,
    DIGEST_PAGE,
    DIGEST_ROOMS,
    DIGEST_TEXT,
    LEDGER,
    PAIRS,
    PICTURE,
    PIPELINE_SECTION,
    REPLAY_LINES,
    REPLAY_PAGE,
    RUN_PAGE,
    SERIES,
    STRETCHES,
    TICKET_TITLE_CHARS,
    TITLE,
    UMBRELLA_TITLE,
    VERDICT,
    WHOLE_COMMENT,
    WHOLE_TICKET,
    Form,
    of_message,
    of_page,
    of_ticket,
)
from bot.render.limits import Room
from bot.render.lookup import WORDS, Lookup
from bot.render.templates import our_templates
from bot.text.escape import to_plain
from bot.text.locales import Locale

if TYPE_CHECKING:
    from bot.domain.views import Unset
    from bot.render.confined import Budget


Bindings = Mapping[str, Bound | None]
LinkedView = (
    TicketView
    | CommentView
    | RunPageView
    | ArchivePageView
    | PipelinePageView
    | MessageView
    | DigestView
    | AnswerView
    | LedgerView
    | UmbrellaView
    | UmbrellaOverView
)
WebView = (
    OverviewPage
    | OverviewLine
    | PipelineDetail
    | IncidentDetail
    | RunDetail
    | ComparisonPage
    | SlicesPage
    | DigestList
    | DigestDetail
    | SimplePage
)
JudgedView = SeriesView | StretchesView | PairsView | VerdictView


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
class PictureText:
    """What a picture shows, for who cannot see it, and what stands below it."""

    alt: str
    caption: str


@dataclass(frozen=True, slots=True)
class PageText:
    title: str
    body: str


_TICKET_FIELDS = ("priority", "assignee", "components", "labels")  # for which we have words
_UNSET_VALUE, _UNSET_WORDS, _UNSET_ALL = 60, 200, 600  # characters; the services take some more than a ticket's limit


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
        title, _ = self._render(TITLE, view, bound)
        body, cut = self._render(of_ticket("ticket", reader), view, bound)
        return TicketText(clean_title(title, TICKET_TITLE_CHARS), body, cut)

    def render_unset(self, reader: TextForm, unset: Iterable[Unset]) -> str:
        """Say in one line what a tracker refused to set on a ticket, which goes below its body."""
        from bot.render import dialects

        said = [
            self.word("unset_item").format(
                field=self.word(f"unset_{each.field}") if each.field in _TICKET_FIELDS else each.field,
                value=shortened(each.value, _UNSET_VALUE),
                words=abridge(" ".join(to_plain(each.words).split()), _UNSET_WORDS),
            )
            for each in unset
        ]
        listed = shortened(self.word("unset_between").join(said), _UNSET_ALL)
        line = self.word("unset").format(tracker=reader.name, fields=listed)
        return dialects.named(reader.dialect).write(line)

    def render_whole(self, view: TicketView | CommentView, bound: Bindings) -> str:
        """Render what had to be cut as a file of Markdown, whatever its tracker reads, with all its rows."""
        return self._render(WHOLE_TICKET if isinstance(view, TicketView) else WHOLE_COMMENT, view, bound)[0]

    def render_comment(self, reader: TextForm, view: CommentView, bound: Bindings) -> CommentText:
        return CommentText(*self._render(of_ticket("comment", reader), view, bound))

    def render_umbrella(self, reader: TextForm, view: UmbrellaView, bound: Bindings) -> TicketText:
        """Render the ticket above those of many incidents."""
        title, _ = self._render(UMBRELLA_TITLE, view, bound)
        body, cut = self._render(of_ticket("umbrella", reader), view, bound)
        return TicketText(clean_title(title, TICKET_TITLE_CHARS), body, cut)

    def render_umbrella_over(self, reader: TextForm, view: UmbrellaOverView, bound: Bindings) -> CommentText:
        """Render what is said there once all below it is over."""
        return CommentText(*self._render(of_ticket("umbrella_over", reader), view, bound))

    def render_answer(self, reader: TextForm, view: AnswerView, bound: Bindings) -> CommentText:
        """Render the reply to what somebody said on a ticket."""
        return CommentText(*self._render(of_ticket("answer", reader), view, bound))

    def render_answer_in_thread(self, reader: TextForm, view: AnswerView, bound: Bindings) -> MessageDocument:
        return self._render_message(of_message("answer", reader), view, bound)

    def render_answer_text(self, view: AnswerView, bound: Bindings) -> str:
        """Render the reply to what somebody said on the command line."""
        return self._render(ANSWER_TEXT, view, bound)[0]

    def render_run_page(self, view: RunPageView, bound: Bindings) -> PageText:
        return PageText(clean_title(view.title), self._render(RUN_PAGE, view, bound)[0])

    def render_archive_page(self, view: ArchivePageView, bound: Bindings) -> PageText:
        return PageText(clean_title(view.title), self._render(ARCHIVE_PAGE, view, bound)[0])

    def render_pipeline_section(self, view: PipelinePageView, bound: Bindings) -> str:
        return self._render(PIPELINE_SECTION, view, bound)[0]

    def render_ledger(self, view: LedgerView, bound: Bindings) -> str:
        return self._render(LEDGER, view, bound)[0]

    def render_message(self, reader: TextForm, view: MessageView, bound: Bindings) -> MessageDocument:
        return self._render_message(of_message("message", reader), view, bound)

    def render_reply(self, reader: TextForm, view: CommentView, bound: Bindings) -> MessageDocument:
        """Render what is said in a message's thread."""
        return self._render_message(of_message("reply", reader), view, bound)

    def render_picture(self, view: LegendView) -> PictureText:
        """Render what is said of a chart that goes with a message, or into its thread."""
        alt, _, caption = self._fit(PICTURE, view, {}, theirs=False)[0].partition("\n")
        return PictureText(alt.strip(), caption.strip())

    def render_digest(self, reader: TextForm, view: DigestView, bound: Bindings) -> MessageDocument:
        return self._render_message(of_message("message", reader, "digest", DIGEST_ROOMS), view, bound)

    def render_digest_page(self, view: DigestView, bound: Bindings) -> str:
        return self._render(DIGEST_PAGE, view, bound)[0]

    def render_digest_text(self, view: DigestView, bound: Bindings) -> str:
        """Render lines for a terminal."""
        return self._render(DIGEST_TEXT, view, bound)[0]

    def render_judged(self, view: JudgedView) -> str:
        """Render sentences in one line: of what `herald judge` was handed, or of how a run stands."""
        match view:
            case SeriesView():
                form = SERIES
            case StretchesView():
                form = STRETCHES
            case PairsView():
                form = PAIRS
            case VerdictView():
                form = VERDICT
        return self._fit(form, view, {}, theirs=False)[0].replace("\n", " ")

    def render_replay(self, view: ReplayPageView) -> str:
        """Render a page of HTML that needs nothing besides itself."""
        return self._fit(REPLAY_PAGE, view, {}, theirs=False)[0]

    def render_replay_lines(self, view: ReplayView) -> str:
        """Render lines for a terminal: what one pipeline's history came to."""
        return self._fit(REPLAY_LINES, view, {}, theirs=False)[0]

    def render_web(self, kind: str, view: WebView) -> str:
        """Render a page for a browser, of at most 150 KB: of what there is no room for it says how much there is."""
        return self._fit(of_page(kind), view, {}, theirs=False)[0]

    def render_piece(self, kind: str, view: WebView) -> str:
        """Render a piece of a page, as markup that goes into it as it is."""
        from markupsafe import Markup

        return Markup(self.render_web(kind, view))  # noqa: S704  its template has escaped what is in it

    def word(self, name: str) -> str:
        """Return a plain string of ours that `words.j2` sets."""
        return self._maker("plain", theirs=False).read_word(WORDS, name)

    def outcome(self, outcome: Outcome) -> str:
        """Return our name for an outcome."""
        return self._maker("plain", theirs=False).render("judge/outcome.txt.j2", Room(), {"outcome": outcome}).strip()

    def _render_message(self, form: Form, view: LinkedView, bound: Bindings) -> MessageDocument:
        document = MessageDocument.read(self._render(form, view, bound)[0])
        return replace(document, note=self._note(form.dialect), language=self.locale)

    def _note(self, dialect: str) -> str:
        """Say in a chat's markup that paragraphs were left out of its message."""
        from bot.render import dialects

        before, number, after = self.word("parts_left_out").partition("{n}")
        write = dialects.named(dialect).write
        return f"{write(before.rstrip())}{before[len(before.rstrip()) :]}{number}{write(after)}"

    def _render(self, form: Form, view: LinkedView, bound: Bindings) -> tuple[str, bool]:
        bound = {name: bound.get(name) for name in view.links}
        if any(self._theirs.files(name) for name in (form.template, form.lines, WORDS)):
            try:
                return self._fit(form, view, bound, theirs=True)
            except TemplateError as error:
                if self._complain is not None:
                    self._complain(error)
        return self._fit(form, view, bound, theirs=False)

    def _fit(
        self,
        form: Form,
        view: LinkedView | JudgedView | ReplayPageView | ReplayView | WebView | LegendView,
        bound: Bindings,
        *,
        theirs: bool,
    ) -> tuple[str, bool]:
        """Render with less and less room until the text fits; cut it at a line where it never does."""
        from bot.render.confined import BudgetError

        maker = self._maker(form.dialect, theirs=theirs)
        note = maker.read_word(WORDS, "value_cut")
        values = {"view": view, "bound": bound, "locale": self.locale}
        text = ""
        for place, (value_chars, rows) in enumerate(form.rooms, start=1):
            room = Room(value_chars, rows, note)
            try:
                text = tidy(form, maker.render(form.template, room, values))
                if size_of(form, text) <= form.limit and fits_paragraphs(form, text):
                    return checked(form, text), room.cut
            except TemplateError as error:  # of far too much output, say
                if place == len(form.rooms) or isinstance(error, BudgetError):
                    raise
        return checked(form, self._cut(form, maker, text)), True

    def _cut(self, form: Form, maker: Maker, text: str) -> str:
        from bot.render import dialects

        if form.dialect in {"storage", "html"}:
            raise TemplateError(
                f"{form.template}: puts out {units(text):,} characters, and a page takes {form.limit:,}"
            )
        if form in (TITLE, UMBRELLA_TITLE):
            return clean_title(text, form.limit)
        note = dialects.named(form.dialect).write(maker.read_word(WORDS, "text_cut"))
        if form.paragraph_limit is not None:
            paragraphs = [cut_lines(p, form.paragraph_limit, note) for p in text.split("\n\n")]
            text = "\n\n".join(paragraphs)
        return cut_lines(text, form.limit, note)

    def _maker(self, dialect: str, *, theirs: bool) -> Maker:
        key = (dialect, theirs)
        if key not in self._makers:
            from bot.render import dialects
            from bot.render.confined import Budget, Confined
            from bot.render.environment import PageEnvironment, TemplateEnvironment

            if theirs:
                both = Lookup(self.locale, (*self._theirs.folders, *self._ours.folders))
                self._makers[key] = Confined(dialect, both, self._budget or Budget())
            else:
                environment = PageEnvironment if dialect == "html" else TemplateEnvironment
                self._makers[key] = environment(dialects.named(dialect), self._ours)
        return self._makers[key]


@cache
def shared(locale: Locale) -> Renderer:
    """Return one renderer of our own templates for all who read a language."""
    return Renderer(locale)


def said_in(locale: Locale, view: JudgedView) -> str:
    """Say in a plain sentence how something stands."""
    return shared(locale).render_judged(view)


def load() -> None:
    """Import what rendering needs, before threads do."""
    for module in ("bot.text.storage_format", "bot.render.confined", "bot.render.dialects", "bot.render.environment"):
        import_module(module)
