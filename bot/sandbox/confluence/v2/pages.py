"""Version 2 of Confluence Cloud's interface: pages and their labels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from werkzeug.wrappers import Response

from bot.sandbox.confluence.page_rows import (
    NewPage,
    Page,
    children_of,
    forget_page,
    labels_of,
    list_pages,
    properties_of,
    set_status,
    version_of,
    versions_of,
)
from bot.sandbox.confluence.page_writes import create, permit, read_parent, read_title, update
from bot.sandbox.confluence.v2.content import (
    label_json,
    operations_json,
    page_json,
    page_or_refuse,
    property_json,
    single_page_json,
    storage_of,
    version_of_body,
)
from bot.sandbox.confluence.v2.paging import API, ids_of, paged_answer
from bot.sandbox.confluence.v2.spaces import space_or_refuse
from bot.sandbox.markup.storage_html import render_without_context
from bot.sandbox.web.call import Call, iso_time, json_answer
from bot.sandbox.web.site import Routes

routes = Routes()
STATUSES = ("current", "archived", "deleted", "trashed", "draft", "historical")


@routes.on("GET", f"{API}/pages")
def get_pages(call: Call) -> Response:
    spaces = ids_of(call, "space-id")
    return _matching_pages(call, frozenset(map(str, spaces)) or None)


@routes.on("GET", f"{API}/spaces/<number>/pages")
def get_pages_in_space(call: Call, number: str) -> Response:
    return _matching_pages(call, frozenset((space_or_refuse(call, number).id,)))


def _matching_pages(call: Call, spaces: frozenset[str] | None) -> Response:
    statuses = call.words("status") or ("current", "archived")
    if not set(statuses) <= set(STATUSES):
        raise call.refuse(400, f"The status must be among {', '.join(STATUSES)}.")
    ids, title = ids_of(call, "id"), call.request.args.get("title")
    found = [
        page
        for page in list_pages(call, statuses=statuses)
        if (spaces is None or page.space in spaces) and (not ids or page.id in ids) and title in (None, page.title)
    ]
    found = _sorted(call, found)
    with_body = call.request.args.get("body-format") == "storage"
    return paged_answer(call, [page_json(call, one, with_body=with_body) for one in found])


def _sorted(call: Call, pages: list[Page]) -> list[Page]:
    wanted = call.request.args.get("sort", "")
    match wanted.lstrip("-"):
        case "" | "id":
            pages = sorted(pages, key=lambda page: page.id)
        case "title":
            pages = sorted(pages, key=lambda page: page.title)
        case "created-date":
            pages = sorted(pages, key=lambda page: page.created)
        case "modified-date":
            pages = sorted(pages, key=lambda page: page.updated)
        case _:
            raise call.refuse(400, f"The sort order '{wanted[:40]}' is unknown.")
    return pages[::-1] if wanted.startswith("-") else pages


@routes.on("POST", f"{API}/pages")
def post_page(call: Call) -> Response:
    body = call.json_object()
    if not isinstance(body.get("spaceId"), str):
        raise call.refuse(400, "spaceId is required and must be a string.")
    space = space_or_refuse(call, body["spaceId"])
    status = body.get("status", "current")
    if status not in ("current", "draft"):
        raise call.refuse(400, "status must be current or draft.")
    title = "" if status == "draft" and not body.get("title") else read_title(call, body.get("title"))
    storage = storage_of(call, body.get("body", {"representation": "storage", "value": ""}))
    parent = None if call.flag("root-level") else read_parent(call, space, _parent_id(call, body))
    page = create(call, space, NewPage(space.id, parent, title, storage, status))
    return json_answer(single_page_json(call, page))


def _parent_id(call: Call, body: dict[str, Any]) -> str | None:
    given = body.get("parentId")
    if given is not None and not isinstance(given, str):
        raise call.refuse(400, "parentId must be a string.")
    return given


@routes.on("GET", f"{API}/pages/<number>")
def get_page(call: Call, number: str) -> Response:
    statuses = call.words("status") or ("current", "archived", "trashed")
    page = page_or_refuse(call, number, (*statuses, *(("draft",) if call.flag("get-draft") else ())))
    wanted = call.number("version", page.version)
    if wanted != page.version:
        row = version_of(call, page, wanted)
        if row is None:
            raise call.refuse(404, f"The page {number} has no version {wanted}.")
        page = replace(page, title=row.title, body=row.body, version=row.number, message=row.message, updated=row.at)
    form = call.request.args.get("body-format")
    answer = single_page_json(call, page, with_body=form == "storage")
    if form == "view":
        answer["body"] = {"view": {"representation": "view", "value": render_without_context(page.body)}}
    _include(call, page, answer)
    return json_answer(answer)


def _include(call: Call, page: Page, answer: dict[str, Any]) -> None:
    """Add what the include- parameters ask for."""

    def listed(results: list[dict[str, Any]], name: str) -> dict[str, Any]:
        own = f"/wiki/api/v2/pages/{page.id}/{name}"
        return {"results": results, "meta": {"hasMore": False, "cursor": ""}, "_links": {"self": own}}

    if call.flag("include-labels"):
        answer["labels"] = listed([label_json(row) for row in labels_of(call, page)], "labels")
    if call.flag("include-operations"):
        answer["operations"] = operations_json(call, f"/wiki/api/v2/pages/{page.id}/operations")
    if call.flag("include-properties"):
        answer["properties"] = listed([property_json(row, page) for row in properties_of(call, page)], "properties")
    if call.flag("include-versions"):
        versions = [
            {"number": row.number, "message": row.message, "authorId": row.editor, "createdAt": iso_time(row.at)}
            for row in versions_of(call, page)
        ]
        answer["versions"] = listed(versions, "versions")


@routes.on("PUT", f"{API}/pages/<number>")
def put_page(call: Call, number: str) -> Response:
    page = page_or_refuse(call, number, ("current", "archived", "draft", "trashed"))
    body = call.json_object()
    missing = [name for name in ("id", "status", "title", "body", "version") if name not in body]
    if missing:
        raise call.refuse(400, f"{missing[0]} is required.")
    if body["id"] != number:
        raise call.refuse(400, "The id of the body and of the address must be the same.")
    if body["status"] not in ("current", "draft"):
        raise call.refuse(400, "status must be current or draft.")
    version, message = version_of_body(call, body["version"])
    parent = page.parent
    space = space_or_refuse(call, page.space)
    if body.get("spaceId") not in (None, page.space):
        raise call.refuse(400, "A page cannot be moved to another space.")
    if body.get("parentId") is not None:
        parent = read_parent(call, space, _parent_id(call, body))
    changed = replace(
        page,
        title=read_title(call, body["title"]),
        status=body["status"],
        body=storage_of(call, body["body"]),
        version=version,
        message=message,
        parent=parent,
    )
    return json_answer(single_page_json(call, update(call, page, changed)))


@routes.on("PUT", f"{API}/pages/<number>/title")
def put_title(call: Call, number: str) -> Response:
    page = page_or_refuse(call, number, ("current", "draft"))
    body = call.json_object()
    if body.get("status") not in ("current", "draft"):
        raise call.refuse(400, "status must be current or draft.")
    title = read_title(call, body.get("title"))
    return json_answer(single_page_json(call, update(call, page, replace(page, title=title, version=page.version + 1))))


@routes.on("DELETE", f"{API}/pages/<number>")
def delete_page(call: Call, number: str) -> Response:
    is_purge = call.flag("purge")
    page = page_or_refuse(call, number, ("trashed",) if is_purge else ("current", "archived", "draft"))
    permit(call, "delete")
    if is_purge:
        forget_page(call, page)
    else:
        set_status(call, page, "trashed")
    return Response(status=204)


@routes.on("GET", f"{API}/pages/<number>/direct-children")
def direct_children(call: Call, number: str) -> Response:
    page = page_or_refuse(call, number)
    shown = [
        {
            "id": str(one.id),
            "status": one.status,
            "title": one.title,
            "type": "page",
            "spaceId": one.space,
            "childPosition": None,
        }
        for one in children_of(call, page)
    ]
    return paged_answer(call, shown)


@routes.on("GET", f"{API}/pages/<number>/labels")
def get_labels(call: Call, number: str) -> Response:
    page = page_or_refuse(call, number)
    prefix = call.request.args.get("prefix")
    return paged_answer(call, [label_json(row) for row in labels_of(call, page) if prefix in (None, row.prefix)])
