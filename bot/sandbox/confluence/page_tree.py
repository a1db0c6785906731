"""Confluence: where a page hangs, and moving it elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.sandbox.confluence.page_rows import (
    Page,
    ancestors_of,
    children_of,
    descendants_of,
    find_space,
    home_page,
    list_pages,
    set_parent,
    versions_of,
)
from bot.sandbox.confluence.page_writes import permit
from bot.sandbox.confluence.v1 import content as content_v1
from bot.sandbox.confluence.v2 import content as content_v2
from bot.sandbox.confluence.v2.paging import API, paged_answer
from bot.sandbox.web.call import Call, iso_time, json_answer
from bot.sandbox.web.site import Routes

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

cloud = Routes()
datacenter = Routes()

POSITIONS = ("append", "before", "after")


@cloud.on("PUT", "/wiki/rest/api/content/<number>/move/<position>/<target>")
def move_page(call: Call, number: str, position: str, target: str) -> Response:
    page = content_v1.page_or_refuse(call, number)
    if position not in POSITIONS:
        raise call.refuse(400, f"The position must be one of {', '.join(POSITIONS)}, not '{position[:40]}'.")
    beside = content_v1.page_or_refuse(call, target)
    permit(call, "update")
    _move(call, page, beside if position == "append" else None, beside)
    return json_answer({"pageId": str(page.id)})


def _move(call: Call, page: Page, above: Page | None, beside: Page) -> None:
    """Hang *page* below *above*, or, without one, where *beside* hangs."""
    parent = above.id if above is not None else beside.parent
    ring = {one.id for one in (page, *descendants_of(call, page))}
    if parent in ring:
        raise call.refuse(400, "A page cannot be moved below itself.")
    if beside.space != page.space:
        raise call.refuse(400, "The stand-in moves no page to another space.")
    set_parent(call, page, parent)


@datacenter.on("POST", "/pages/movepage.action")
def move_page_as_the_browser_does(call: Call) -> Response:
    """Move a page as Data Center's own pages ask for it, and clients with them."""
    given = call.request.values
    if call.request.headers.get("X-Atlassian-Token", "").lower() != "no-check":
        raise call.refuse(403, "XSRF check failed")
    page = content_v1.page_or_refuse(call, given.get("pageId", ""))
    position = given.get("position", "append")
    if position not in ("append", "above", "below", "topLevel"):
        raise call.refuse(400, f"The position '{position[:40]}' is unknown.")
    permit(call, "update")
    beside = _named(call, given.get("targetId"), given.get("targetTitle"), given.get("spaceKey", ""), position)
    _move(call, page, beside if position in ("append", "topLevel") else None, beside)
    return json_answer({"validationErrors": [], "actionErrors": [], "page": {"id": page.id, "title": page.title}})


def _named(call: Call, number: str | None, title: str | None, key: str, position: str) -> Page:
    if number:
        return content_v1.page_or_refuse(call, number)
    space = find_space(call, key=key)
    if space is None:
        raise call.refuse(404, f"No space with key : {key}")
    home = home_page(call, space.id)
    if position == "topLevel" and home is not None:
        return home
    found = next((one for one in list_pages(call) if one.space == space.id and one.title == title), None)
    if found is None:
        raise call.refuse(404, f"There is no page named '{title}' in {key}.")
    return found


# ---- reading the tree


def _brief(page: Page) -> dict[str, str | None]:
    parent = str(page.parent) if page.parent else None
    return {"id": str(page.id), "type": "page", "status": page.status, "title": page.title, "parentId": parent}


@cloud.on("GET", f"{API}/pages/<number>/ancestors")
def list_ancestors(call: Call, number: str) -> Response:
    page = content_v2.page_or_refuse(call, number)
    return paged_answer(call, [{"id": str(one.id), "type": "page"} for one in ancestors_of(call, page)])


@cloud.on("GET", f"{API}/pages/<number>/descendants")
def list_descendants(call: Call, number: str) -> Response:
    page = content_v2.page_or_refuse(call, number)
    depth = {page.id: 0}
    shown = []
    for one in descendants_of(call, page):
        depth[one.id] = depth[one.parent or page.id] + 1
        shown.append({**_brief(one), "depth": depth[one.id], "childPosition": None})
    return paged_answer(call, shown)


@cloud.on("GET", f"{API}/pages/<number>/children")
def list_children(call: Call, number: str) -> Response:
    page = content_v2.page_or_refuse(call, number)
    shown = [
        {"id": str(one.id), "status": one.status, "title": one.title, "spaceId": one.space, "childPosition": None}
        for one in children_of(call, page)
    ]
    return paged_answer(call, shown)


@cloud.on("GET", f"{API}/pages/<number>/versions")
def list_versions(call: Call, number: str) -> Response:
    page = content_v2.page_or_refuse(call, number)
    shown = [
        {
            "number": row.number,
            "message": row.message,
            "minorEdit": False,
            "authorId": row.editor,
            "createdAt": iso_time(row.at),
        }
        for row in versions_of(call, page)
    ]
    return paged_answer(call, shown)
