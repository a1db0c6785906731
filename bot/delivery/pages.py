"""How effects on pages are carried out, and found again after a doubtful end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, assert_never

from bot.delivery.attachments import chart_file, csv_file
from bot.delivery.attempt import Attempt, Done
from bot.domain.effects import (
    AttachExamplesToPage,
    AttachToPage,
    LabelPage,
    PageEffect,
    PublishArchive,
    PublishDigest,
    PublishPage,
    UpdateLedger,
    UpdateSection,
)
from bot.domain.objects import Bound, ObjectKey
from bot.domain.views import ArchivePageView, LedgerView, PipelinePageView, RunPageView
from bot.errors import GoneError, PermanentError
from bot.ports import Page, PageDraft
from bot.render.renderer import Bindings
from bot.store.objects import KnownObject

_NOT_FOUND = 404

V = TypeVar("V", PipelinePageView, LedgerView)


def perform(attempt: Attempt, effect: PageEffect) -> Done:
    """Carry the effect out; raises RetryableError or PermanentError."""
    match effect:
        case PublishArchive():
            return _known(attempt) or _create(attempt, _archive(attempt, attempt.shown_by(effect)))
        case PublishPage():
            return _known(attempt) or _create(attempt, _run_page(attempt, attempt.shown_by(effect)))
        case PublishDigest():
            view = attempt.shown_by(effect)
            body = attempt.renderer.render_digest_page(view, attempt.bind(view.links))
            return _create(attempt, PageDraft(view.title, body))
        case UpdateSection():
            shown = attempt.shown_by(effect)
            return _update_section(attempt, shown.title, attempt.renderer.render_pipeline_section, shown)
        case UpdateLedger():
            ledger = attempt.shown_by(effect)
            return _update_section(attempt, ledger.title, attempt.renderer.render_ledger, ledger)
        case LabelPage():
            attempt.wiki.label(attempt.external_id, attempt.shown_by(effect).labels)
        case AttachToPage():
            attempt.wiki.attach(attempt.external_id, chart_file(attempt.shown_by(effect)))
        case AttachExamplesToPage():
            attempt.wiki.attach(attempt.external_id, csv_file(attempt.shown_by(effect)))
        case _:
            assert_never(effect)
    return Done()


def find(attempt: Attempt, effect: PageEffect) -> Done | None:
    """Look for what an earlier request may have made; None: it is not there, or the same again changes nothing."""
    match effect:
        case PublishArchive() | PublishPage() | PublishDigest():
            page = attempt.wiki.find(attempt.target.name)
            return None if page is None else Done(_made(attempt, page))
        case UpdateSection() | UpdateLedger() | LabelPage() | AttachToPage() | AttachExamplesToPage():
            return None
        case _:
            assert_never(effect)


def _known(attempt: Attempt) -> Done | None:
    return None if attempt.known is None else Done(attempt.known)


def _create(attempt: Attempt, draft: PageDraft) -> Done:
    return Done(_made(attempt, attempt.wiki.create(draft)))


def _archive(attempt: Attempt, view: ArchivePageView) -> PageDraft:
    text = attempt.renderer.render_archive_page(view, attempt.bind(view.links))
    return PageDraft(text.title, text.body, (), *_parent(attempt, view.links.get("pipeline")))


def _run_page(attempt: Attempt, view: RunPageView) -> PageDraft:
    text = attempt.renderer.render_run_page(view, attempt.bind(view.links))
    return PageDraft(text.title, text.body, view.labels, *_parent(attempt, view.links.get("archive")))


def _parent(attempt: Attempt, key: ObjectKey | None) -> tuple[str | None, str | None]:
    """Return id and title of the page below which another goes."""
    parent = None if key is None else attempt.objects.get(key)
    return (None, None) if parent is None else (parent.bound.external_id, parent.bound.title)


def _update_section(attempt: Attempt, title: str, render: Callable[[V, Bindings], str], view: V) -> Done:
    """Write our section of a page that is kept up to date; the page of that title, where there is none yet."""
    section = render(view, attempt.bind(view.links))
    unbound, known = attempt.unbound(view.links), attempt.known
    if known is not None and attempt.is_overtaken:
        return Done()
    if known is not None:
        try:
            attempt.wiki.replace_section(known.bound.external_id, section)
        except PermanentError as error:
            if not _is_gone(attempt, error, known):
                raise
        else:
            return Done(unbound=unbound)
    page = attempt.wiki.find(title) or attempt.wiki.create(PageDraft(title, ""))
    attempt.wiki.replace_section(page.page_id, section)
    return Done(_made(attempt, page), unbound)


def _is_gone(attempt: Attempt, error: PermanentError, known: KnownObject) -> bool:
    if isinstance(error, GoneError):
        return True
    return error.status == _NOT_FOUND and attempt.wiki.read(known.bound.external_id) is None


def _made(attempt: Attempt, page: Page) -> KnownObject:
    return attempt.made(Bound(page.title, page.url, page.page_id))
