"""The texts that a view becomes: one for each template that shows it, with its reader."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from bot.domain.capabilities import TextForm
from bot.domain.message import MessageDocument
from bot.domain.page_views import IncidentDetail
from bot.domain.views import (
    AnswerView,
    ArchivePageView,
    ChartView,
    CommentView,
    DigestView,
    LedgerView,
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
from bot.preview.cases import Case
from bot.render import form as forms
from bot.render.form import Form
from bot.render.renderer import Renderer, TicketText
from bot.render.templates import our_templates

PICTURE = Form("picture", "chart", 0)
_WIKI, _TERMINAL, _BROWSER, _EVERYWHERE = "Confluence", "the terminal", "the browser", "tickets, pages and chats"

Body = str | MessageDocument
Make = Callable[[Renderer], tuple[str, Body]]  # title and body


@dataclass(frozen=True, slots=True)
class Readers:
    """Who may read a text: how trackers and chats read what is written for them."""

    trackers: tuple[TextForm, ...]
    chats: tuple[TextForm, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A text that can be rendered: what it shows, whom it is for, which template makes it."""

    case: Case
    reader: str  # as people know it
    form: Form
    make: Make  # raises TemplateError where not even our own template renders


def sheets_of(cases: Iterable[Case], readers: Readers) -> Iterator[Sheet]:
    """Yield every text of every case, for each of the readers that it is written for; a chart by its file's name."""
    for case in cases:
        for reader in _told(case, readers.trackers):
            yield from _in_tracker(case, reader)
        yield from (Sheet(case, _WIKI, form, make) for form, make in _on_pages(case))
        for reader in _told(case, readers.chats):
            yield from _in_chat(case, reader)
        if isinstance(case.view, IncidentDetail):
            yield Sheet(case, _BROWSER, forms.of_page("incident"), partial(_page, case.view))
        yield from (Sheet(case, _TERMINAL, form, make) for form, make in _in_terminal(case))
        if isinstance(case.view, ChartView):
            yield Sheet(case, _EVERYWHERE, PICTURE, partial(_named, case.view))


def _told(case: Case, readers: Iterable[TextForm]) -> Iterator[TextForm]:
    return (reader for reader in readers if case.only is None or reader == case.only)


def _in_tracker(case: Case, reader: TextForm) -> Iterator[Sheet]:
    view, bound = case.view, case.bound
    make: Make
    match view:
        case TicketView():
            kind, make = "ticket", lambda by: _titled(by.render_ticket(reader, view, bound))
        case UmbrellaView():
            kind, make = "umbrella", lambda by: _titled(by.render_umbrella(reader, view, bound))
        case UmbrellaOverView():
            kind, make = "umbrella_over", lambda by: ("", by.render_umbrella_over(reader, view, bound).body)
        case CommentView():
            kind, make = "comment", lambda by: ("", by.render_comment(reader, view, bound).body)
        case AnswerView():
            kind, make = "answer", lambda by: ("", by.render_answer(reader, view, bound).body)
        case _:
            return
    yield Sheet(case, reader.name, forms.of_ticket(kind, reader), make)


def _in_chat(case: Case, reader: TextForm) -> Iterator[Sheet]:
    view, bound, folder = case.view, case.bound, None
    make: Make
    match view:
        case MessageView():
            kind, make = "message", lambda by: ("", by.render_message(reader, view, bound))
        case CommentView():
            kind, make = "reply", lambda by: ("", by.render_reply(reader, view, bound))
        case AnswerView():
            kind, make = "answer", lambda by: ("", by.render_answer_in_thread(reader, view, bound))
        case DigestView():
            kind, folder = "message", "digest"
            make = lambda by: ("", by.render_digest(reader, view, bound))  # noqa: E731  as its neighbours
        case _:
            return
    form = forms.of_message(kind, reader, folder)
    if (our_templates() / form.template).is_file():  # not every chat has threads to answer in
        yield Sheet(case, reader.name, form, make)


def _on_pages(case: Case) -> Iterator[tuple[Form, Make]]:
    view, bound = case.view, case.bound
    match view:
        case RunPageView():
            yield forms.RUN_PAGE, lambda by: (view.title, by.render_run_page(view, bound).body)
        case ArchivePageView():
            yield forms.ARCHIVE_PAGE, lambda by: (view.title, by.render_archive_page(view, bound).body)
        case PipelinePageView():
            yield forms.PIPELINE_SECTION, lambda by: (view.title, by.render_pipeline_section(view, bound))
        case LedgerView():
            yield forms.LEDGER, lambda by: (view.title, by.render_ledger(view, bound))
        case DigestView():
            yield forms.DIGEST_PAGE, lambda by: (view.title, by.render_digest_page(view, bound))
        case _:
            return


def _in_terminal(case: Case) -> Iterator[tuple[Form, Make]]:
    view, bound = case.view, case.bound
    match view:
        case DigestView():
            yield forms.DIGEST_TEXT, lambda by: ("", by.render_digest_text(view, bound))
        case SeriesView():
            yield forms.SERIES, partial(_judged, view)
        case StretchesView():
            yield forms.STRETCHES, partial(_judged, view)
        case PairsView():
            yield forms.PAIRS, partial(_judged, view)
        case VerdictView():
            yield forms.VERDICT, partial(_judged, view)
        case _:
            return


def _judged(view: SeriesView | StretchesView | PairsView | VerdictView, by: Renderer) -> tuple[str, Body]:
    return "", by.render_judged(view)


def _page(incident: IncidentDetail, by: Renderer) -> tuple[str, Body]:
    return "", by.render_web("incident", incident)


def _named(chart: ChartView, _by: Renderer) -> tuple[str, Body]:
    return "", chart.filename


def _titled(text: TicketText) -> tuple[str, Body]:
    return text.title, text.body
