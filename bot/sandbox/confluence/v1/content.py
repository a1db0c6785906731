"""Confluence's older interface: the JSON of content, and finding a page or refusing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.sandbox.confluence.deployments import DeploymentRoutes
from bot.sandbox.confluence.page_rows import Page, ancestors_of, download_path, find_page, labels_of, space_of, web_path
from bot.sandbox.confluence.page_writes import operations, read_storage
from bot.sandbox.web.call import Call, iso_time, json_answer, row_id

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from bot.sandbox.seed import Space

routes = DeploymentRoutes()
LARGEST_PAGE = 200


def error(status: int, text: str) -> Response:
    data = {
        "authorized": status not in (401, 403),
        "valid": status not in (400, 409, 413),
        "errors": [],
        "successful": False,
    }
    reasons = {
        400: "Bad Request",
        401: "Unauthorized",
        403: "Forbidden",
        404: "Not Found",
        409: "Conflict",
        410: "Gone",
    }
    said = {"statusCode": status, "data": data, "message": text, "reason": reasons.get(status, "Error")}
    return json_answer(said, status)


def site_path(call: Call) -> str:
    return "/wiki" if call.service.is_cloud else ""


def page_or_refuse(call: Call, number: str, statuses: tuple[str, ...] = ("current",)) -> Page:
    page = find_page(call, row_id(number))
    if page is None or page.status not in statuses:
        raise call.refuse(404, f"No content found with id: ContentId{{id={number[:40]}}}")
    return page


def person_json(call: Call, account_id: str) -> dict[str, Any]:
    account = call.seed.account(account_id)
    name = account.display_name if account else "Former user"
    answer: dict[str, Any] = {"type": "known", "displayName": name}
    if call.service.is_cloud:
        return answer | {"accountId": account_id, "accountType": "atlassian", "publicName": name}
    return answer | {"username": account.name if account else "former", "userKey": f"key-{account_id}"}


@routes.both("GET", "/rest/api/user/current")
def show_who_calls(call: Call) -> Response:
    return json_answer(person_json(call, call.caller.account_id))


def version_json(call: Call, page: Page) -> dict[str, Any]:
    version: dict[str, Any] = {
        "by": person_json(call, page.editor),
        "when": iso_time(page.updated),
        "number": page.version,
        "message": page.message,
        "minorEdit": False,
    }
    if call.service.is_cloud:
        version |= {"friendlyWhen": iso_time(page.updated)[:10], "contentTypeModified": False}
    return version


def space_json(call: Call, space: Space) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "id": int(space.id),
        "key": space.key,
        "name": space.name,
        "type": "global",
        "status": "current",
        "_links": {"webui": f"/spaces/{space.key}", "self": f"{call.base}{site_path(call)}/rest/api/space/{space.key}"},
        "_expandable": {},
    }
    if call.service.is_cloud:
        names = ("settings", "metadata", "operations", "lookAndFeel", "permissions", "icon", "description", "theme")
        answer["_expandable"] = dict.fromkeys((*names, "history", "homepage", "identifiers"), "")
        answer["alias"] = space.key
    return answer


_EXPANDABLE = ("space", "version", "ancestors", "history", "container", "body", "metadata", "children", "descendants")


def content_json(call: Call, page: Page, expand: tuple[str, ...]) -> dict[str, Any]:
    base = call.base + site_path(call)
    own = f"{base}/rest/api/content/{page.id}"
    links = {"webui": web_path(call, page), "self": own, "tinyui": f"/x/{page.id:x}", "base": base}
    answer: dict[str, Any] = {"id": str(page.id), "type": "page", "status": page.status, "title": page.title}
    answer |= {"extensions": {"position": "none"}, "_links": links, "_expandable": dict.fromkeys(_EXPANDABLE, "")}
    if "version" in expand:
        answer["version"] = version_json(call, page)
    if "space" in expand:
        answer["space"] = space_json(call, space_of(call, page))
    if "ancestors" in expand:
        answer["ancestors"] = [content_json(call, one, ()) for one in ancestors_of(call, page)]
    if "history" in expand:
        created = {"latest": True, "createdBy": person_json(call, page.author), "createdDate": iso_time(page.created)}
        answer["history"] = created
    if "body.storage" in expand:
        answer["body"] = {"storage": {"value": page.body, "representation": "storage", "_expandable": {"content": ""}}}
        if call.service.is_cloud:
            answer["body"]["storage"]["embeddedContent"] = []
    if "operations" in expand:
        answer["operations"] = operations(call)
    if "metadata.labels" in expand:
        labels = [label_json(row) for row in labels_of(call, page)]
        answer["metadata"] = {"labels": {"results": labels, "start": 0, "limit": 200, "size": len(labels)}}
    return answer


def label_json(row: Any) -> dict[str, Any]:
    return {"prefix": row.prefix, "name": row.name, "id": str(row.id), "label": row.name}


def attachment_json(call: Call, page: Page, row: Any) -> dict[str, Any]:
    identity = f"att{row.id}"
    own = f"{call.base}{site_path(call)}/rest/api/content/{identity}"
    version: dict[str, Any] = {
        "by": person_json(call, row.author),
        "when": iso_time(row.created),
        "number": row.version,
    }
    version |= {"message": row.comment, "minorEdit": False}
    if call.service.is_cloud:
        version |= {"friendlyWhen": iso_time(row.created)[:10], "contentTypeModified": False}
    return {
        "id": identity,
        "type": "attachment",
        "status": "current",
        "title": row.filename,
        "version": version,
        "metadata": {"mediaType": row.media_type, "comment": row.comment},
        "extensions": {"mediaType": row.media_type, "fileSize": row.size, "comment": row.comment},
        "_links": {"webui": web_path(call, page), "download": download_path(page.id, row), "self": own},
        "_expandable": {"container": f"/rest/api/content/{page.id}"},
    }


def listed(
    call: Call, results: list[Any], *, start: int = 0, limit: int = 25, total: int | None = None
) -> dict[str, Any]:
    answer: dict[str, Any] = {"results": results, "start": start, "limit": limit, "size": len(results)}
    answer["_links"] = {"base": call.base + site_path(call), "context": site_path(call), "self": call.request.base_url}
    if total is not None and start + limit < total:
        answer["_links"]["next"] = f"{call.request.path}?start={start + limit}&limit={limit}"
    return answer


def storage_of(call: Call, body: dict[str, Any]) -> str:
    parts = body.get("body")
    storage = parts.get("storage") if isinstance(parts, dict) else None
    if not isinstance(storage, dict) or storage.get("representation", "storage") != "storage":
        raise call.refuse(400, "The body must be given in the storage representation.")
    return read_storage(call, storage.get("value"))
