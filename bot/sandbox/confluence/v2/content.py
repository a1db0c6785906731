"""Version 2 of Confluence Cloud's interface: the JSON of pages and what hangs on them, and reading bodies."""

from __future__ import annotations

from typing import Any

from bot.sandbox.confluence.page_rows import Page, download_path, find_page, web_path
from bot.sandbox.confluence.page_writes import operations, read_storage
from bot.sandbox.web.call import Call, iso_time, row_id


def operations_json(call: Call, own: str) -> dict[str, Any]:
    return {"results": operations(call), "meta": {"hasMore": False, "cursor": ""}, "_links": {"self": own}}


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


def single_page_json(call: Call, page: Page, *, with_body: bool = True) -> dict[str, Any]:
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


def storage_of(call: Call, body: Any) -> str:
    """Read {representation, value} or {storage: {...}} ."""
    if isinstance(body, dict) and "representation" not in body and isinstance(body.get("storage"), dict):
        body = {"representation": "storage", **body["storage"]}
    if not isinstance(body, dict) or body.get("representation") != "storage":
        raise call.refuse(400, "The body must be given in the storage representation.")
    return read_storage(call, body.get("value"))


def version_of_body(call: Call, given: Any) -> tuple[int, str]:
    number = given.get("number") if isinstance(given, dict) else None
    if not isinstance(number, int) or isinstance(number, bool):
        raise call.refuse(400, "version.number is required and must be a whole number.")
    message = given.get("message", "")
    if not isinstance(message, str):
        raise call.refuse(400, "version.message must be a string.")
    return number, message


def label_json(row: Any) -> dict[str, Any]:
    return {"id": str(row.id), "name": row.name, "prefix": row.prefix}


def attachment_json(call: Call, page: Page, row: Any) -> dict[str, Any]:
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


def property_json(row: Any, page: Page) -> dict[str, Any]:
    version = {
        "number": row.version,
        "message": "",
        "minorEdit": False,
        "authorId": page.editor,
        "createdAt": iso_time(row.at),
    }
    return {"id": str(row.id), "key": row.key, "value": row.value, "version": version}
