"""Pages as rows: loading, writing, versions, labels, and what search is told."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

from sqlalchemy import Connection, func, select

from bot.sandbox.confluence import tables
from bot.sandbox.confluence.cql import IndexedPage
from bot.sandbox.markup import storage_format
from bot.sandbox.search.index import index_document, visible_documents
from bot.sandbox.web.database import next_number
from bot.sandbox.web.uploads import delete_attachments_of

if TYPE_CHECKING:
    from bot.sandbox.rules import Service
    from bot.sandbox.seed import SandboxSeed, Space
    from bot.sandbox.web.call import Call

TITLE_LIMIT = 255
FIRST_PAGE = 98_305
DUPLICATE_TITLE = "A page with this title already exists: A page already exists with the same TITLE in this space"


@dataclass(frozen=True, slots=True)
class Page:
    id: int
    space: str  # space id
    parent: int | None
    title: str
    status: str  # current, draft, trashed, archived
    body: str  # normalised storage format
    version: int
    message: str
    author: str
    editor: str
    created: float
    updated: float


@dataclass(frozen=True, slots=True)
class NewPage:
    space: str
    parent: int | None
    title: str
    body: str
    status: str = "current"


def visible_spaces(call: Call) -> list[Space]:
    sees_all = call.account is None or call.account.sees_restricted
    return [one for one in call.seed.spaces if sees_all or not one.restricted]


def find_space(call: Call, *, key: str | None = None, number: str | None = None) -> Space | None:
    return next(
        (one for one in visible_spaces(call) if (key and one.key == key) or (number and one.id == number)), None
    )


def space_of(call: Call, page: Page) -> Space:
    return next(one for one in call.seed.spaces if one.id == page.space)


def _page(row: Any) -> Page:
    return Page(
        row.id,
        row.space,
        row.parent,
        row.title,
        row.status,
        row.body,
        row.version,
        row.message,
        row.author,
        row.editor,
        row.created,
        row.updated,
    )


def find_page(call: Call, number: int | None) -> Page | None:
    """Load a page; None where it is not there or may not be seen."""
    where = (tables.page.c.service == call.service) & (tables.page.c.id == (number or 0))
    row = call.db.execute(select(tables.page).where(where)).first()
    if row is None or find_space(call, number=row.space) is None:
        return None
    return _page(row)


def list_pages(call: Call, *, statuses: tuple[str, ...] = ("current",)) -> list[Page]:
    where = (tables.page.c.service == call.service) & tables.page.c.status.in_(statuses)
    rows = call.db.execute(select(tables.page).where(where).order_by(tables.page.c.id))
    spaces = {one.id for one in visible_spaces(call)}
    return [_page(row) for row in rows if row.space in spaces]


def children_of(call: Call, page: Page) -> list[Page]:
    return [one for one in list_pages(call) if one.parent == page.id]


def ancestors_of(call: Call, page: Page) -> list[Page]:
    """Return the pages above, the topmost first."""
    found: list[Page] = []
    at = page
    while at.parent is not None:
        parent = find_page(call, at.parent)
        if parent is None or parent.id == page.id or len(found) > 100:  # noqa: PLR2004 - a ring would never end
            break
        found.insert(0, parent)
        at = parent
    return found


def title_is_taken(call: Call, space: str, title: str, *, but: int | None = None) -> bool:
    where = (
        (tables.page.c.service == call.service)
        & (tables.page.c.space == space)
        & (tables.page.c.status.in_(("current", "archived")))
        & (func.lower(tables.page.c.title) == title.lower())
        & (tables.page.c.id != (but or 0))
    )
    return call.db.execute(select(tables.page.c.id).where(where)).first() is not None


def insert_page(call: Call, new: NewPage) -> Page:
    page = Page(
        id=next_number(call.db, "content", FIRST_PAGE),
        space=new.space,
        parent=new.parent,
        title=new.title,
        status=new.status,
        body=new.body,
        version=1,
        message="",
        author=call.caller.account_id,
        editor=call.caller.account_id,
        created=call.now,
        updated=call.now,
    )
    _insert(call.db, call.service, page)
    index_page(call, page)
    return page


def _insert(db: Connection, service: Service, page: Page) -> None:
    db.execute(
        tables.page.insert().values(
            service=service,
            **{name: getattr(page, name) for name in Page.__slots__},
        )
    )
    _keep_version(db, page)


def _keep_version(db: Connection, page: Page) -> None:
    db.execute(
        tables.page_version.insert().values(
            page=page.id,
            number=page.version,
            title=page.title,
            body=page.body,
            message=page.message,
            editor=page.editor,
            at=page.updated,
        )
    )


def write_page(call: Call, page: Page) -> None:
    """Store a page's new state as one more version."""
    values = {name: getattr(page, name) for name in Page.__slots__ if name != "id"}
    call.db.execute(tables.page.update().where(tables.page.c.id == page.id).values(**values))
    _keep_version(call.db, page)
    index_page(call, page)


def set_status(call: Call, page: Page, status: str) -> None:
    call.db.execute(tables.page.update().where(tables.page.c.id == page.id).values(status=status))
    index_document(call.db, call.service, str(page.id), call.now, None)


def forget_page(call: Call, page: Page) -> None:
    """Delete a page out of the trash, with all that hangs on it."""
    for table in (tables.page_version, tables.page_label, tables.page_property, tables.page_comment):
        call.db.execute(table.delete().where(table.c.page == page.id))
    delete_attachments_of(call, str(page.id))
    call.db.execute(tables.page.delete().where(tables.page.c.id == page.id))


def set_parent(call: Call, page: Page, parent: int | None) -> Page:
    """Hang a page elsewhere; that makes no version."""
    call.db.execute(tables.page.update().where(tables.page.c.id == page.id).values(parent=parent))
    moved = replace(page, parent=parent)
    for one in (moved, *descendants_of(call, moved)):
        index_page(call, one)  # whose ancestors are others now
    return moved


def descendants_of(call: Call, page: Page) -> list[Page]:
    """Return the pages below, each before those below it."""
    found: list[Page] = []
    waiting = children_of(call, page)
    while waiting:
        one = waiting.pop(0)
        found.append(one)
        waiting = children_of(call, one) + waiting
    return found


def version_of(call: Call, page: Page, number: int) -> Any | None:
    where = (tables.page_version.c.page == page.id) & (tables.page_version.c.number == number)
    return call.db.execute(select(tables.page_version).where(where)).first()


def versions_of(call: Call, page: Page) -> list[Any]:
    where = tables.page_version.c.page == page.id
    return list(call.db.execute(select(tables.page_version).where(where).order_by(tables.page_version.c.number.desc())))


def labels_of(call: Call, page: Page) -> list[Any]:
    where = tables.page_label.c.page == page.id
    return list(call.db.execute(select(tables.page_label).where(where).order_by(tables.page_label.c.id)))


def properties_of(call: Call, page: Page) -> list[Any]:
    where = tables.page_property.c.page == page.id
    return list(call.db.execute(select(tables.page_property).where(where).order_by(tables.page_property.c.id)))


def index_page(call: Call, page: Page) -> None:
    if page.status != "current":
        return
    document = {
        "type": "page",
        "space": space_of(call, page).key,
        "title": page.title,
        "labels": [row.name for row in labels_of(call, page)],
        "text": re.sub(r"<[^>]*>", " ", page.body)[:20_000],
        "parent": page.parent,
        "ancestors": [one.id for one in ancestors_of(call, page)],
        "created": page.created,
        "updated": page.updated,
    }
    index_document(call.db, call.service, str(page.id), call.now, document)


def searchable(call: Call) -> list[IndexedPage]:
    """Return what search sees now: everything as old as the lag."""
    lag = call.rulebook.confluence(call.service).search_lag
    documents = visible_documents(call.db, call.service, call.now - lag)
    seen = {one.key for one in visible_spaces(call)}
    return [
        IndexedPage(
            id=int(key),
            type=one["type"],
            space=one["space"],
            title=one["title"],
            labels=tuple(one["labels"]),
            text=one["text"],
            parent=one["parent"],
            ancestors=tuple(one["ancestors"]),
            created=one["created"],
            updated=one["updated"],
        )
        for key, one in documents.items()
        if one["space"] in seen
    ]


def web_path(call: Call, page: Page) -> str:
    """Return a page's address behind the site's base, as `_links.webui` gives it."""
    if call.service.is_cloud:
        return f"/spaces/{space_of(call, page).key}/pages/{page.id}/{quote_plus(page.title)}"
    return f"/pages/viewpage.action?pageId={page.id}"


def make_home_pages(db: Connection, service: Service, seed: SandboxSeed, now: float) -> None:
    """Give each space the home page that it is made with, once."""
    for space in seed.spaces:
        where = (tables.page.c.service == service) & (tables.page.c.space == space.id)
        if db.execute(select(tables.page.c.id).where(where)).first() is not None:
            continue
        body = f"<p>{storage_format.escape(space.name)}: what the team keeps.</p>"
        owner = seed.people[0].account_id if seed.people else seed.bot.account_id
        number = next_number(db, "content", FIRST_PAGE)
        home = Page(number, space.id, None, f"{space.name} Home", "current", body, 1, "", owner, owner, now, now)
        _insert(db, service, home)


def home_page(call: Call, space: str) -> Page | None:
    return next((one for one in list_pages(call) if one.space == space and one.parent is None), None)


def download_path(page: int, row: Any) -> str:
    return f"/download/attachments/{page}/{quote(row.filename)}?version={row.version}"
