"""Confluence Cloud, version 2 of its interface: spaces, pages, properties, comments."""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from werkzeug.wrappers import Response

from bot.sandbox import tables
from bot.sandbox.confluence_store import (
    NewPage,
    Page,
    children_of,
    find_page,
    find_space,
    forget_page,
    home_page,
    labels_of,
    list_pages,
    properties_of,
    set_status,
    version_of,
    versions_of,
    visible_spaces,
    web_path,
)
from bot.sandbox.confluence_writing import create, operations, permit, read_parent, read_storage, read_title, update
from bot.sandbox.tables import next_number
from bot.sandbox.web import Call, Routes, iso_time, json_answer, row_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.sandbox.seed import Space

routes = Routes()

API = "/wiki/api/v2"
PAGE_SIZE = 25
LARGEST_PAGE = 250
STATUSES = ("current", "archived", "deleted", "trashed", "draft", "historical")


def error(status: int, text: str) -> Response:
    codes = {400: "INVALID_REQUEST_PARAMETER", 401: "UNAUTHORIZED", 403: "FORBIDDEN", 404: "NOT_FOUND", 409: "CONFLICT"}
    said = {"status": status, "code": codes.get(status, "ERROR"), "title": text, "detail": None}
    return json_answer({"errors": [said]}, status)


# ---- pages of lists


def paged_answer(call: Call, items: Sequence[dict[str, Any]]) -> Response:
    """Answer one page of a list, with a cursor to the next."""
    size = call.number("limit", PAGE_SIZE, low=1, high=LARGEST_PAGE)
    start = _cursor(call)
    answer: dict[str, Any] = {"results": list(items[start : start + size]), "_links": {"base": f"{call.base}/wiki"}}
    headers = {}
    if start + size < len(items):
        cursor = base64.urlsafe_b64encode(f"at:{start + size}".encode()).decode()
        query = [(key, value) for key, value in call.request.args.items(multi=True) if key != "cursor"]
        following = f"{call.request.path}?{urlencode([*query, ('cursor', cursor)])}"
        answer["_links"]["next"] = following
        headers["Link"] = f'<{following}>; rel="next"'
    return json_answer(answer, headers=headers)


def _cursor(call: Call) -> int:
    text = call.request.args.get("cursor", "")
    if not text:
        return 0
    try:
        word, _, number = base64.urlsafe_b64decode(text.encode()).decode().partition(":")
    except (binascii.Error, ValueError) as problem:
        raise call.refuse(400, "The cursor is invalid.") from problem
    if word != "at" or not number.isascii() or not number.isdigit():
        raise call.refuse(400, "The cursor is invalid.")
    return int(number[:9])


def _ids(call: Call, name: str) -> frozenset[int]:
    words = call.words(name)
    ids = [row_id(word) for word in words]
    if None in ids:
        raise call.refuse(400, f"The parameter {name} must hold whole numbers.")
    return frozenset(one for one in ids if one is not None)


# ---- spaces


def _space_json(call: Call, space: Space) -> dict[str, Any]:
    home = home_page(call, space.id)
    return {
        "id": space.id,
        "key": space.key,
        "name": space.name,
        "type": "global",
        "status": "current",
        "authorId": call.seed.people[0].account_id,
        "createdAt": iso_time(home.created if home else call.now),
        "homepageId": str(home.id) if home else "",
        "_links": {"webui": f"/spaces/{space.key}"},
    }


@routes.on("GET", f"{API}/spaces")
def list_spaces(call: Call) -> Response:
    keys, ids = call.words("keys"), _ids(call, "ids")
    found = [one for one in visible_spaces(call) if (not keys or one.key in keys) and (not ids or int(one.id) in ids)]
    return paged_answer(call, [_space_json(call, one) for one in found])


def _space(call: Call, number: str, status: int = 404) -> Space:
    if row_id(number) is None:
        raise call.refuse(400, f"The space id '{number[:40]}' must be a whole number.")
    space = find_space(call, number=number)
    if space is None:
        raise call.refuse(status, f"The space {number} does not exist or you may not see it.")
    return space


@routes.on("GET", f"{API}/spaces/<number>")
def get_space(call: Call, number: str) -> Response:
    answer = _space_json(call, _space(call, number))
    if call.flag("include-operations"):
        answer["operations"] = _operations(call, f"/wiki/api/v2/spaces/{number}/operations")
    return json_answer(answer)


def _operations(call: Call, own: str) -> dict[str, Any]:
    return {"results": operations(call), "meta": {"hasMore": False, "cursor": ""}, "_links": {"self": own}}


# ---- pages


def page_json(call: Call, page: Page, *, with_body: bool = False) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "id": str(page.id),
        "status": page.status,
        "title": page.title,
        "spaceId": page.space,
        "authorId": page.author,
        "ownerId": page.author,
        "lastOwnerId": None,
        "createdAt": iso_time(page.created),
        "position": None,
        "version": {
            "number": page.version,
            "message": page.message,
            "minorEdit": False,
            "authorId": page.editor,
            "createdAt": iso_time(page.updated),
        },
        "body": {},
        "_links": {
            "webui": web_path(call, page),
            "editui": f"/pages/resumedraft.action?draftId={page.id}",
            "tinyui": f"/x/{page.id:x}",
        },
    }
    if page.parent is not None:
        answer |= {"parentId": str(page.parent), "parentType": "page"}
    if with_body:
        answer["body"] = {"storage": {"representation": "storage", "value": page.body}}
    return answer


def _single(call: Call, page: Page, *, with_body: bool = True) -> dict[str, Any]:
    answer = page_json(call, page, with_body=with_body)
    answer["_links"]["base"] = f"{call.base}/wiki"
    return answer


def page_or_refuse(call: Call, number: str, statuses: tuple[str, ...] = ("current", "archived")) -> Page:
    if row_id(number) is None:
        raise call.refuse(400, f"The page id '{number[:40]}' must be a whole number.")
    page = find_page(call, row_id(number))
    if page is None or page.status not in statuses:
        raise call.refuse(404, f"The page {number} does not exist or you may not see it.")
    return page


@routes.on("GET", f"{API}/pages")
def get_pages(call: Call) -> Response:
    spaces = _ids(call, "space-id")
    return _matching_pages(call, frozenset(map(str, spaces)) or None)


@routes.on("GET", f"{API}/spaces/<number>/pages")
def get_pages_in_space(call: Call, number: str) -> Response:
    return _matching_pages(call, frozenset((_space(call, number).id,)))


def _matching_pages(call: Call, spaces: frozenset[str] | None) -> Response:
    statuses = call.words("status") or ("current", "archived")
    if not set(statuses) <= set(STATUSES):
        raise call.refuse(400, f"The status must be among {', '.join(STATUSES)}.")
    ids, title = _ids(call, "id"), call.request.args.get("title")
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
    space = _space(call, body["spaceId"])
    status = body.get("status", "current")
    if status not in ("current", "draft"):
        raise call.refuse(400, "status must be current or draft.")
    title = "" if status == "draft" and not body.get("title") else read_title(call, body.get("title"))
    storage = storage_of(call, body.get("body", {"representation": "storage", "value": ""}))
    parent = None if call.flag("root-level") else read_parent(call, space, _parent_id(call, body))
    page = create(call, space, NewPage(space.id, parent, title, storage, status))
    return json_answer(_single(call, page))


def _parent_id(call: Call, body: dict[str, Any]) -> str | None:
    given = body.get("parentId")
    if given is not None and not isinstance(given, str):
        raise call.refuse(400, "parentId must be a string.")
    return given


def storage_of(call: Call, body: Any) -> str:
    """Read {representation, value} or {storage: {...}} ."""
    if isinstance(body, dict) and "representation" not in body and isinstance(body.get("storage"), dict):
        body = {"representation": "storage", **body["storage"]}
    if not isinstance(body, dict) or body.get("representation") != "storage":
        raise call.refuse(400, "The body must be given in the storage representation.")
    return read_storage(call, body.get("value"))


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
    answer = _single(call, page, with_body=form == "storage")
    if form == "view":
        from bot.sandbox.storageview import render_without_context

        answer["body"] = {"view": {"representation": "view", "value": render_without_context(page.body)}}
    _include(call, page, answer)
    return json_answer(answer)


def _include(call: Call, page: Page, answer: dict[str, Any]) -> None:
    """Add what the include- parameters ask for."""

    def listed(results: list[dict[str, Any]], name: str) -> dict[str, Any]:
        own = f"/wiki/api/v2/pages/{page.id}/{name}"
        return {"results": results, "meta": {"hasMore": False, "cursor": ""}, "_links": {"self": own}}

    if call.flag("include-labels"):
        answer["labels"] = listed([_label_json(row) for row in labels_of(call, page)], "labels")
    if call.flag("include-operations"):
        answer["operations"] = _operations(call, f"/wiki/api/v2/pages/{page.id}/operations")
    if call.flag("include-properties"):
        answer["properties"] = listed([_property_json(row, page) for row in properties_of(call, page)], "properties")
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
    space = _space(call, page.space)
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
    return json_answer(_single(call, update(call, page, changed)))


def version_of_body(call: Call, given: Any) -> tuple[int, str]:
    number = given.get("number") if isinstance(given, dict) else None
    if not isinstance(number, int) or isinstance(number, bool):
        raise call.refuse(400, "version.number is required and must be a whole number.")
    message = given.get("message", "")
    if not isinstance(message, str):
        raise call.refuse(400, "version.message must be a string.")
    return number, message


@routes.on("PUT", f"{API}/pages/<number>/title")
def put_title(call: Call, number: str) -> Response:
    page = page_or_refuse(call, number, ("current", "draft"))
    body = call.json_object()
    if body.get("status") not in ("current", "draft"):
        raise call.refuse(400, "status must be current or draft.")
    title = read_title(call, body.get("title"))
    return json_answer(_single(call, update(call, page, replace(page, title=title, version=page.version + 1))))


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


def _label_json(row: Any) -> dict[str, Any]:
    return {"id": str(row.id), "name": row.name, "prefix": row.prefix}


@routes.on("GET", f"{API}/pages/<number>/labels")
def get_labels(call: Call, number: str) -> Response:
    page = page_or_refuse(call, number)
    prefix = call.request.args.get("prefix")
    return paged_answer(call, [_label_json(row) for row in labels_of(call, page) if prefix in (None, row.prefix)])


@routes.on("GET", f"{API}/pages/<number>/attachments")
def get_attachments(call: Call, number: str) -> Response:
    from bot.sandbox.jira_store import attachments_of

    page = page_or_refuse(call, number)
    wanted = call.request.args.get("filename")
    rows = [row for row in attachments_of(call, str(page.id)) if wanted in (None, row.filename)]
    return paged_answer(call, [attachment_json(call, page, row) for row in rows])


def attachment_json(call: Call, page: Page, row: Any) -> dict[str, Any]:
    from bot.sandbox.confluence_v1 import download_path

    download = download_path(page.id, row)
    return {
        "id": f"att{row.id}",
        "status": "current",
        "title": row.filename,
        "createdAt": iso_time(row.created),
        "pageId": str(page.id),
        "mediaType": row.media_type,
        "mediaTypeDescription": row.media_type,
        "comment": row.comment,
        "fileId": f"file-{row.id}",
        "fileSize": row.size,
        "webuiLink": f"{web_path(call, page)}?preview={row.id}",
        "downloadLink": download,
        "version": {"number": row.version, "createdAt": iso_time(row.created), "authorId": row.author, "message": ""},
        "_links": {"webui": web_path(call, page), "download": download},
    }


# ---- content properties


def _property_json(row: Any, page: Page) -> dict[str, Any]:
    version = {
        "number": row.version,
        "message": "",
        "minorEdit": False,
        "authorId": page.editor,
        "createdAt": iso_time(row.at),
    }
    return {"id": str(row.id), "key": row.key, "value": row.value, "version": version}


@routes.on("GET", f"{API}/pages/<number>/properties")
def list_properties(call: Call, number: str) -> Response:
    page = page_or_refuse(call, number)
    wanted = call.request.args.get("key")
    return paged_answer(
        call, [_property_json(row, page) for row in properties_of(call, page) if wanted in (None, row.key)]
    )


@routes.on("POST", f"{API}/pages/<number>/properties")
def post_property(call: Call, number: str) -> Response:
    page = page_or_refuse(call, number)
    key, value = _key_and_value(call)
    if any(row.key == key for row in properties_of(call, page)):
        raise call.refuse(409, f"A property with the key {key} already exists.")
    property_id = next_number(call.db, "page_property", 131_073)
    values = {"id": property_id, "page": page.id, "key": key, "value": value, "version": 1, "at": call.now}
    call.db.execute(tables.page_property.insert().values(**values))
    return json_answer(_property_json(_property(call, page, str(property_id)), page))


def _key_and_value(call: Call) -> tuple[str, Any]:
    body = call.json_object()
    key = body.get("key")
    if not isinstance(key, str) or not 0 < len(key) <= 255 or "value" not in body:  # noqa: PLR2004
        raise call.refuse(400, "key (at most 255 characters) and value are required.")
    return key, body["value"]


def _property(call: Call, page: Page, number: str) -> Any:
    if row_id(number) is None:
        raise call.refuse(400, f"The property id '{number[:40]}' must be a whole number; it is not the key.")
    row = next((one for one in properties_of(call, page) if str(one.id) == number), None)
    if row is None:
        raise call.refuse(404, f"The page {page.id} has no property with the id {number}.")
    return row


@routes.on("GET", f"{API}/pages/<number>/properties/<property_id>")
def get_property(call: Call, number: str, property_id: str) -> Response:
    page = page_or_refuse(call, number)
    return json_answer(_property_json(_property(call, page, property_id), page))


@routes.on("PUT", f"{API}/pages/<number>/properties/<property_id>")
def put_property(call: Call, number: str, property_id: str) -> Response:
    page = page_or_refuse(call, number)
    row = _property(call, page, property_id)
    key, value = _key_and_value(call)
    version, _ = version_of_body(call, call.json_object().get("version"))
    if key != row.key:
        raise call.refuse(400, "The key of a property cannot be changed.")
    if version != row.version + 1:
        raise call.refuse(409, f"The version must be {row.version + 1}, not {version}.")
    where = tables.page_property.c.id == row.id
    call.db.execute(tables.page_property.update().where(where).values(value=value, version=version, at=call.now))
    return json_answer(_property_json(_property(call, page, property_id), page))


@routes.on("DELETE", f"{API}/pages/<number>/properties/<property_id>")
def delete_property(call: Call, number: str, property_id: str) -> Response:
    page = page_or_refuse(call, number)
    row = _property(call, page, property_id)
    call.db.execute(tables.page_property.delete().where(tables.page_property.c.id == row.id))
    return Response(status=204)
