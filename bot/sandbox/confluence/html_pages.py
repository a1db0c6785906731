"""Confluence's pages: a page with its tree, and the list of a space."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from markupsafe import Markup
from sqlalchemy import select
from werkzeug.utils import redirect

from bot.sandbox.confluence import tables
from bot.sandbox.confluence.page_rows import (
    Page,
    ancestors_of,
    find_page,
    find_space,
    labels_of,
    list_pages,
    space_of,
    visible_spaces,
    web_path,
)
from bot.sandbox.jira import html_pages as jira_pages
from bot.sandbox.jira import search as jira_search
from bot.sandbox.markup import storage_html
from bot.sandbox.rules import Service
from bot.sandbox.web.call import Call, row_id
from bot.sandbox.web.html_pages import Face, Moment, face, moment, not_there, page, size_words
from bot.sandbox.web.site import Routes
from bot.sandbox.web.uploads import attachments_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from werkzeug.wrappers import Response

    from bot.sandbox.seed import Space

cloud = Routes()
datacenter = Routes()


@dataclass(frozen=True, slots=True)
class Leaf:
    """A page in the tree beside the text."""

    title: str
    url: str
    is_here: bool
    leaves: list[Leaf]


@dataclass(frozen=True, slots=True)
class PageFile:
    name: str
    url: str
    size: str
    version: int


@dataclass(frozen=True, slots=True)
class PageComment:
    author: Face
    at: Moment
    body: Markup


@dataclass(frozen=True, slots=True)
class PageEntry:
    """A page in the list of a space."""

    title: str
    url: str
    author: Face
    updated: Moment
    labels: list[str]
    depth: int


def product_name(call: Call) -> str:
    return "Confluence (sandbox)" if call.service.is_cloud else "Confluence Data Center (sandbox)"


def site_base(call: Call) -> str:
    return f"{call.base}/wiki" if call.service.is_cloud else call.base


def page_url(call: Call, shown: Page) -> str:
    return site_base(call) + web_path(call, shown)


def space_url(call: Call, space: Space) -> str:
    return f"{site_base(call)}/spaces/{space.key}"


def _tree(call: Call, here: Page) -> list[Leaf]:
    """Build the tree of a space in one pass: pages under their parents, newest last."""
    below: dict[int | None, list[Page]] = {}
    for one in list_pages(call):
        if one.space == here.space:
            below.setdefault(one.parent, []).append(one)
    known = {one.id for pages in below.values() for one in pages}
    roots = [one for parent, pages in below.items() if parent is None or parent not in known for one in pages]

    def leaf(one: Page, depth: int) -> Leaf:
        children = below.get(one.id, []) if depth < 20 else []  # noqa: PLR2004 - deeper is not drawn
        return Leaf(one.title, page_url(call, one), one.id == here.id, [leaf(child, depth + 1) for child in children])

    return [leaf(one, 0) for one in roots]


def _surroundings(call: Call, here: Page) -> storage_html.Surroundings:
    names = {one.account_id: one.display_name for one in call.seed.accounts}
    return storage_html.Surroundings(
        attachment=_attachment_url(call, here),
        page=lambda title: _page_titled(call, here, title),
        person=names.get,
        tickets=lambda jql: tickets_by_jql(call, jql),
        children=lambda: [(one.title, page_url(call, one)) for one in list_pages(call) if one.parent == here.id],
    )


def _attachment_url(call: Call, here: Page) -> Callable[[str], str | None]:
    versions = {row.filename: row.version for row in attachments_of(call, str(here.id))}

    def url(name: str) -> str | None:
        if name not in versions:
            return None
        return f"{site_base(call)}/download/attachments/{here.id}/{quote(name)}?version={versions[name]}"

    return url


def _page_titled(call: Call, here: Page, title: str) -> str | None:
    found = next((one for one in list_pages(call) if one.space == here.space and one.title == title), None)
    return page_url(call, found) if found else None


def tickets_by_jql(call: Call, jql: str) -> list[storage_html.Ticket]:
    """Ask the neighbouring Jira, as the macro does when somebody opens the page."""
    service = Service.JIRA_CLOUD if call.service.is_cloud else Service.JIRA_DATACENTER
    jira = replace(call, service=service, base=f"{call.request.host_url.rstrip('/')}/{service}")
    rows = [jira_pages.row_of(jira, one) for one in jira_search.find_by_jql(jira, jql)]
    issues = {one.key: one for one in jira_search.find_by_jql(jira, jql)}
    return [
        storage_html.Ticket(
            key=row.key,
            url=row.url,
            summary=row.summary,
            status=row.status,
            category=issues[row.key].status.category,
            assignee=row.assignee.name,
            type=row.type,
        )
        for row in rows
    ]


def _show(call: Call, number: int | None) -> Response:
    reader = replace(call, account=None)
    here = find_page(reader, number)
    if here is None or here.status not in ("current", "archived"):
        return not_there("the page")
    around = _surroundings(reader, here)
    versions = {row.filename: row for row in attachments_of(reader, str(here.id))}
    return page(
        "wiki_page.html.j2",
        product=product_name(call),
        base=site_base(call),
        space=space_of(reader, here),
        space_url=space_url(reader, space_of(reader, here)),
        shown=here,
        body=Markup(storage_html.render(here.body, around)),  # noqa: S704 - the renderer escapes
        tree=_tree(reader, here),
        above=[(one.title, page_url(reader, one)) for one in ancestors_of(reader, here)],
        author=face(call.seed.account(here.author)),
        editor=face(call.seed.account(here.editor)),
        updated=moment(here.updated),
        labels=[row.name for row in labels_of(reader, here)],
        files=[
            PageFile(name, around.attachment(name) or "", size_words(row.size), row.version)
            for name, row in versions.items()
        ],
        comments=_comments(reader, here, around),
    )


def _comments(call: Call, here: Page, around: storage_html.Surroundings) -> list[PageComment]:
    where = tables.page_comment.c.page == here.id
    rows = call.db.execute(select(tables.page_comment).where(where).order_by(tables.page_comment.c.id))
    return [
        PageComment(
            author=face(call.seed.account(row.author)),
            at=moment(row.created),
            body=Markup(storage_html.render(row.body, around)),  # noqa: S704 - the renderer escapes
        )
        for row in rows
    ]


@cloud.on("GET", "/wiki/spaces/<key>/pages/<number>", is_open=True)
@cloud.on("GET", "/wiki/spaces/<key>/pages/<number>/<path:title>", is_open=True)
def show_on_cloud(call: Call, key: str, number: str, title: str = "") -> Response:  # noqa: ARG001 - the id decides
    return _show(call, row_id(number))


@datacenter.on("GET", "/pages/viewpage.action", is_open=True)
def show_on_datacenter(call: Call) -> Response:
    return _show(call, row_id(call.request.args.get("pageId", "")))


@cloud.on("GET", "/wiki/x/<short>", is_open=True)
@datacenter.on("GET", "/x/<short>", is_open=True)
def short_address(call: Call, short: str) -> Response:
    try:
        number = int(short, 16) if len(short) <= 15 else None  # noqa: PLR2004
    except ValueError:
        number = None
    return _show(call, number)


@cloud.on("GET", "/wiki/spaces/<key>", is_open=True)
@cloud.on("GET", "/wiki/spaces/<key>/pages", is_open=True)
@cloud.on("GET", "/wiki/spaces/<key>/overview", is_open=True)
@datacenter.on("GET", "/spaces/<key>", is_open=True)
@datacenter.on("GET", "/display/<key>", is_open=True)
def show_space(call: Call, key: str) -> Response:
    reader = replace(call, account=None)
    space = find_space(reader, key=key)
    if space is None:
        return not_there(f"the space {key[:60]}")
    entries = [
        PageEntry(
            title=one.title,
            url=page_url(reader, one),
            author=face(call.seed.account(one.editor)),
            updated=moment(one.updated),
            labels=[row.name for row in labels_of(reader, one)],
            depth=len(ancestors_of(reader, one)),
        )
        for one in sorted(list_pages(reader), key=lambda one: one.updated, reverse=True)
        if one.space == space.id
    ]
    return page(
        "wiki_space.html.j2",
        product=product_name(call),
        base=site_base(call),
        space=space,
        space_url=space_url(reader, space),
        entries=entries,
    )


@cloud.on("GET", "/", is_open=True)
@cloud.on("GET", "/wiki", is_open=True)
@datacenter.on("GET", "/", is_open=True)
def front(call: Call) -> Response:
    reader = replace(call, account=None)
    return redirect(space_url(reader, visible_spaces(reader)[0]))
