"""Confluence's older interface: what is left of it on Cloud, and all of Data Center."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert
from werkzeug.wrappers import Response

from bot.sandbox import cql, tables
from bot.sandbox.confluence_store import (
    NewPage,
    Page,
    ancestors_of,
    children_of,
    find_page,
    find_space,
    forget_page,
    home_page,
    index_page,
    labels_of,
    list_pages,
    properties_of,
    searchable,
    set_status,
    space_of,
    version_of,
    visible_spaces,
    web_path,
)
from bot.sandbox.confluence_writing import create, operations, permit, read_parent, read_storage, read_title, update
from bot.sandbox.jira_store import attachments_of
from bot.sandbox.tables import next_number
from bot.sandbox.uploads import Upload, read_upload, send_file, store_upload
from bot.sandbox.web import Call, Handler, Routes, iso_time, json_answer, row_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.sandbox.seed import Space

cloud = Routes()  # behind /wiki
datacenter = Routes()

# Confluence takes none of these in a label.
_NOT_IN_A_LABEL = re.compile(r"[:;,.\s?&\[\]()#^*@!<>\\/|~`'\"{}=+%$]")
LABEL_LIMIT = 255
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


def both(method: str, path: str) -> Callable[[Handler], Handler]:
    """Register a handler at Cloud's address and at Data Center's."""

    def register(handler: Handler) -> Handler:
        cloud.on(method, f"/wiki{path}")(handler)
        datacenter.on(method, path)(handler)
        return handler

    return register


def _prefix(call: Call) -> str:
    return "/wiki" if call.service.is_cloud else ""


def page_or_refuse(call: Call, number: str, statuses: tuple[str, ...] = ("current",)) -> Page:
    page = find_page(call, row_id(number))
    if page is None or page.status not in statuses:
        raise call.refuse(404, f"No content found with id: ContentId{{id={number[:40]}}}")
    return page


# ---- the JSON of content


def person_json(call: Call, account_id: str) -> dict[str, Any]:
    account = call.seed.account(account_id)
    name = account.display_name if account else "Former user"
    answer: dict[str, Any] = {"type": "known", "displayName": name}
    if call.service.is_cloud:
        return answer | {"accountId": account_id, "accountType": "atlassian", "publicName": name}
    return answer | {"username": account.name if account else "former", "userKey": f"key-{account_id}"}


@both("GET", "/rest/api/user/current")
def show_who_calls(call: Call) -> Response:
    return json_answer(person_json(call, call.caller.account_id))


def _version(call: Call, page: Page) -> dict[str, Any]:
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
        "_links": {"webui": f"/spaces/{space.key}", "self": f"{call.base}{_prefix(call)}/rest/api/space/{space.key}"},
        "_expandable": {},
    }
    if call.service.is_cloud:
        names = ("settings", "metadata", "operations", "lookAndFeel", "permissions", "icon", "description", "theme")
        answer["_expandable"] = dict.fromkeys((*names, "history", "homepage", "identifiers"), "")
        answer["alias"] = space.key
    return answer


_EXPANDABLE = ("space", "version", "ancestors", "history", "container", "body", "metadata", "children", "descendants")


def content_json(call: Call, page: Page, expand: tuple[str, ...]) -> dict[str, Any]:
    own = f"{call.base}{_prefix(call)}/rest/api/content/{page.id}"
    links = {"webui": web_path(call, page), "self": own, "tinyui": f"/x/{page.id:x}", "base": call.base + _prefix(call)}
    answer: dict[str, Any] = {"id": str(page.id), "type": "page", "status": page.status, "title": page.title}
    answer |= {"extensions": {"position": "none"}, "_links": links, "_expandable": dict.fromkeys(_EXPANDABLE, "")}
    if "version" in expand:
        answer["version"] = _version(call, page)
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


def download_path(page: int, row: Any) -> str:
    return f"/download/attachments/{page}/{quote(row.filename)}?version={row.version}"


def attachment_json(call: Call, page: Page, row: Any) -> dict[str, Any]:
    identity = f"att{row.id}"
    own = f"{call.base}{_prefix(call)}/rest/api/content/{identity}"
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
    answer["_links"] = {"base": call.base + _prefix(call), "context": _prefix(call), "self": call.request.base_url}
    if total is not None and start + limit < total:
        answer["_links"]["next"] = f"{call.request.path}?start={start + limit}&limit={limit}"
    return answer


# ---- what Cloud has taken away


@cloud.on("GET", "/wiki/rest/api/content")
@cloud.on("POST", "/wiki/rest/api/content")
def content_removed(call: Call) -> Response:
    raise call.refuse(410, "This deprecated endpoint has been removed.")


@cloud.on("GET", "/wiki/rest/api/content/<number>")
@cloud.on("PUT", "/wiki/rest/api/content/<number>")
@cloud.on("DELETE", "/wiki/rest/api/content/<number>")
@cloud.on("GET", "/wiki/rest/api/content/<number>/label")
@cloud.on("GET", "/wiki/rest/api/content/<number>/property")
@cloud.on("GET", "/wiki/rest/api/content/<number>/child/attachment")
def one_content_removed(call: Call, number: str) -> Response:  # noqa: ARG001 - the address has it
    raise call.refuse(410, "This deprecated endpoint has been removed.")


@cloud.on("POST", "/wiki/rest/api/content/archive")
def archive_pages(call: Call) -> Response:
    """Archive pages; Cloud does it some time after it has answered, this at once."""
    given = call.json_object().get("pages")
    ids = [str(one.get("id")) for one in given if isinstance(one, dict)] if isinstance(given, list) else []
    if not ids:
        raise call.refuse(400, "The pages to archive must be given.")
    for number in ids:
        set_status(call, page_or_refuse(call, number), "archived")
    return json_answer({"id": ids[0], "links": {"status": f"/rest/api/longtask/{ids[0]}"}}, 202)


@cloud.on("GET", "/wiki/rest/api/space")
def spaces_removed(call: Call) -> Response:
    raise call.refuse(410, "This deprecated endpoint has been removed.")


# ---- labels


@both("POST", "/rest/api/content/<number>/label")
def add_labels(call: Call, number: str) -> Response:
    page = page_or_refuse(call, number)
    permit(call, "label")
    given = call.json_body()
    for one in given if isinstance(given, list) else [given]:
        prefix, name = _label(call, one)
        statement = insert(tables.page_label).values(page=page.id, prefix=prefix, name=name)
        call.db.execute(statement.on_conflict_do_nothing())
    index_page(call, page)
    labels = [label_json(row) for row in labels_of(call, page)]
    return json_answer(listed(call, labels, limit=LARGEST_PAGE))


def _label(call: Call, given: Any) -> tuple[str, str]:
    name = given.get("name") if isinstance(given, dict) else None
    prefix = given.get("prefix", "global") if isinstance(given, dict) else None
    if not isinstance(name, str) or not name or prefix not in ("global", "my", "team"):
        raise call.refuse(400, "A label needs a name, and one of the prefixes global, my and team.")
    if _NOT_IN_A_LABEL.search(name) or len(name) > LABEL_LIMIT:
        raise call.refuse(400, f"The label '{name[:60]}' is too long or contains invalid characters.")
    return prefix, name.lower()


@datacenter.on("GET", "/rest/api/content/<number>/label")
def get_labels(call: Call, number: str) -> Response:
    page = page_or_refuse(call, number)
    return json_answer(listed(call, [label_json(row) for row in labels_of(call, page)], limit=LARGEST_PAGE))


@both("DELETE", "/rest/api/content/<number>/label")
def remove_label_by_query(call: Call, number: str) -> Response:
    return remove_label(call, number, call.request.args.get("name", ""))


@both("DELETE", "/rest/api/content/<number>/label/<name>")
def remove_label(call: Call, number: str, name: str) -> Response:
    page = page_or_refuse(call, number)
    permit(call, "label")
    where = (tables.page_label.c.page == page.id) & (tables.page_label.c.name == name)
    if not call.db.execute(tables.page_label.delete().where(where)).rowcount:
        raise call.refuse(404, f"The page {number} has no label '{name[:60]}'.")
    index_page(call, page)
    return Response(status=204)


# ---- attachments


def _checked_parts(call: Call) -> tuple[list[Upload], str]:
    token = call.request.headers.get("X-Atlassian-Token", "").lower()
    if token not in (("no-check", "nocheck") if call.service.is_cloud else ("no-check",)):
        raise call.refuse(403, "XSRF check failed")
    permit(call, "attach")
    parts = [read_upload(one) for one in call.request.files.getlist("file")]
    if not parts:
        raise call.refuse(400, "No file was uploaded: the part of a multipart body must be named 'file'.")
    return parts, call.request.form.get("comment", "")


@both("POST", "/rest/api/content/<number>/child/attachment")
def create_attachment(call: Call, number: str) -> Response:
    uploads, comment = _checked_parts(call)
    page = page_or_refuse(call, number)
    known = {row.filename for row in attachments_of(call, str(page.id))}
    doubled = next((one.filename for one in uploads if one.filename in known), None)
    may_double = not call.service.is_cloud and call.flag("allowDuplicated")
    if doubled and not may_double:
        text = f"Cannot add a new attachment with same file name as an existing attachment: {doubled}"
        raise call.refuse(400, text)
    numbers = {store_upload(call, str(page.id), one, comment) for one in uploads}
    return _attachments_answer(call, page, numbers)


@cloud.on("PUT", "/wiki/rest/api/content/<number>/child/attachment")
def create_or_update_attachment(call: Call, number: str) -> Response:
    uploads, comment = _checked_parts(call)
    page = page_or_refuse(call, number)
    known = {row.filename: row for row in attachments_of(call, str(page.id))}
    numbers = set()
    for one in uploads:
        if one.filename in known:
            _new_version(call, known[one.filename], one, comment)
            numbers.add(known[one.filename].id)
        else:
            numbers.add(store_upload(call, str(page.id), one, comment))
    return _attachments_answer(call, page, numbers)


@both("POST", "/rest/api/content/<number>/child/attachment/<attachment>/data")
def update_attachment(call: Call, number: str, attachment: str) -> Response:
    uploads, comment = _checked_parts(call)
    page = page_or_refuse(call, number)
    wanted = attachment.removeprefix("att")
    row = next((one for one in attachments_of(call, str(page.id)) if str(one.id) == wanted), None)
    if row is None:
        raise call.refuse(404, f"The page {number} has no attachment {attachment[:40]}.")
    _new_version(call, row, uploads[0], comment)
    row = next(one for one in attachments_of(call, str(page.id)) if one.id == row.id)
    return json_answer(attachment_json(call, page, row))


def _new_version(call: Call, row: Any, upload: Upload, comment: str) -> None:
    values = {"content": upload.content, "size": len(upload.content), "media_type": upload.media_type}
    values |= {"version": row.version + 1, "comment": comment, "author": call.caller.account_id, "created": call.now}
    call.db.execute(tables.attachment.update().where(tables.attachment.c.id == row.id).values(**values))


def _attachments_answer(call: Call, page: Page, numbers: set[int]) -> Response:
    rows = [row for row in attachments_of(call, str(page.id)) if row.id in numbers]
    return json_answer(listed(call, [attachment_json(call, page, row) for row in rows], limit=50))


@datacenter.on("GET", "/rest/api/content/<number>/child/attachment")
def list_attachments(call: Call, number: str) -> Response:
    page = page_or_refuse(call, number)
    wanted = call.request.args.get("filename")
    rows = [row for row in attachments_of(call, str(page.id)) if wanted in (None, row.filename)]
    start, limit = call.number("start", 0), call.number("limit", 50, low=1, high=LARGEST_PAGE)
    shown = [attachment_json(call, page, row) for row in rows[start : start + limit]]
    return json_answer(listed(call, shown, start=start, limit=limit, total=len(rows)))


def send_attachment(call: Call, number: str, filename: str) -> Response:
    page = page_or_refuse(call, number)
    where = (
        (tables.attachment.c.service == call.service)
        & (tables.attachment.c.owner == str(page.id))
        & (tables.attachment.c.filename == filename)
    )
    row = call.db.execute(select(tables.attachment).where(where).order_by(tables.attachment.c.id.desc())).first()
    if row is None:
        raise call.refuse(404, f"The page {number} has no attachment '{filename[:60]}'.")
    return send_file(row.media_type, row.filename, row.content)


cloud.on("GET", "/wiki/download/attachments/<number>/<path:filename>", is_open=True)(send_attachment)
datacenter.on("GET", "/download/attachments/<number>/<path:filename>", is_open=True)(send_attachment)


# ---- search


def _found(call: Call) -> tuple[str, list[Page], int, int, int]:
    """Run the query; return it, one page of what it found, start, limit and how many there are."""
    text = call.request.args.get("cql", "")
    if not text:
        raise call.refuse(400, "The query parameter cql is required.")
    if len(text) > 10_000:  # noqa: PLR2004
        raise call.refuse(400, "The query is too long.")
    try:
        hits = cql.select(searchable(call), text)
    except cql.CqlError as problem:
        raise call.refuse(400, str(problem)) from problem
    start, limit = call.number("start", 0), call.number("limit", 25, high=LARGEST_PAGE)
    pages = [find_page(call, hit.id) for hit in hits[start : start + limit]]
    return text, [page for page in pages if page is not None], start, limit, len(hits)


@both("GET", "/rest/api/content/search")
def search_content(call: Call) -> Response:
    _, pages, start, limit, total = _found(call)
    shown = [content_json(call, page, call.words("expand")) for page in pages]
    return json_answer(listed(call, shown, start=start, limit=limit, total=total))


@both("GET", "/rest/api/search")
def search(call: Call) -> Response:
    text, pages, start, limit, total = _found(call)
    shown = [_hit(call, page) for page in pages]
    answer = listed(call, shown, start=start, limit=limit, total=total)
    counted = {"totalSize": total, "cqlQuery": text, "searchDuration": 7}
    if not call.service.is_cloud:
        counted |= {"totalCount": total}
    return json_answer(answer | counted)


def _hit(call: Call, page: Page) -> dict[str, Any]:
    space = space_of(call, page)
    return {
        "content": content_json(call, page, ("version", "space") if call.service.is_cloud else ()),
        "title": page.title,
        "excerpt": re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.body)).strip()[:200],
        "url": web_path(call, page),
        "resultGlobalContainer": {"title": space.name, "displayUrl": f"/spaces/{space.key}"},
        "breadcrumbs": [],
        "entityType": "content",
        "iconCssClass": "aui-icon content-type-page",
        "lastModified": iso_time(page.updated),
        "friendlyLastModified": iso_time(page.updated)[:10],
        "score": 0.0,
    }


# ---- Data Center: pages


def _expand(call: Call, *always: str) -> tuple[str, ...]:
    return (*always, *call.words("expand"))


@datacenter.on("POST", "/rest/api/content")
def post_content(call: Call) -> Response:
    body = call.json_object()
    if body.get("type") == "comment":
        from bot.sandbox.confluence_comments import post_to_container

        return post_to_container(call, body)
    if body.get("type") != "page":
        raise call.refuse(400, "The stand-in keeps content of the types 'page' and 'comment' only.")
    space = _space_named(call, body.get("space"))
    title = read_title(call, body.get("title"))
    storage = storage_of(call, body)
    parent = read_parent(call, space, _parent(call, body))
    page = create(call, space, NewPage(space.id, parent, title, storage))
    return json_answer(content_json(call, page, _expand(call, "version", "space", "body.storage", "history")))


def _space_named(call: Call, given: Any) -> Space:
    key = given.get("key") if isinstance(given, dict) else None
    space = find_space(call, key=key) if isinstance(key, str) else None
    if space is None:
        raise call.refuse(404, f"No space with key : {key}")
    return space


def storage_of(call: Call, body: dict[str, Any]) -> str:
    parts = body.get("body")
    storage = parts.get("storage") if isinstance(parts, dict) else None
    if not isinstance(storage, dict) or storage.get("representation", "storage") != "storage":
        raise call.refuse(400, "The body must be given in the storage representation.")
    return read_storage(call, storage.get("value"))


def _parent(call: Call, body: dict[str, Any]) -> str | None:
    ancestors = body.get("ancestors")
    if not ancestors:
        return None
    if not isinstance(ancestors, list) or not isinstance(ancestors[-1], dict):
        raise call.refuse(400, "ancestors must be a list of objects with an id.")
    return str(ancestors[-1].get("id", ""))


@datacenter.on("GET", "/rest/api/content")
def list_content(call: Call) -> Response:
    key, title = call.request.args.get("spaceKey"), call.request.args.get("title")
    space = find_space(call, key=key) if key else None
    if key and space is None:
        raise call.refuse(404, f"No space with key : {key}")
    statuses = call.words("status") or ("current",)
    if "any" in statuses:
        statuses = ("current", "trashed", "draft", "archived")
    found = [
        page
        for page in list_pages(call, statuses=statuses)
        if (space is None or page.space == space.id) and title in (None, page.title)
    ]
    start, limit = call.number("start", 0), call.number("limit", 25, low=1, high=LARGEST_PAGE)
    shown = [content_json(call, page, call.words("expand")) for page in found[start : start + limit]]
    return json_answer(listed(call, shown, start=start, limit=limit, total=len(found)))


@datacenter.on("GET", "/rest/api/content/<number>")
def get_content(call: Call, number: str) -> Response:
    statuses = call.words("status") or ("current",)
    if "any" in statuses:
        statuses = ("current", "trashed", "draft", "archived")
    page = page_or_refuse(call, number, statuses)
    wanted = call.number("version", page.version)
    if wanted not in (0, page.version):
        row = version_of(call, page, wanted)
        if row is None:
            raise call.refuse(404, f"The page {number} has no version {wanted}.")
        page = replace(page, title=row.title, body=row.body, version=row.number, message=row.message, updated=row.at)
    expand = call.words("expand") or ("history", "space", "version")
    return json_answer(content_json(call, page, expand))


@datacenter.on("GET", "/rest/api/content/<number>/history")
def get_history(call: Call, number: str) -> Response:
    page = page_or_refuse(call, number, ("current", "draft", "trashed"))
    answer = {"latest": True, "createdBy": person_json(call, page.author), "createdDate": iso_time(page.created)}
    return json_answer(answer | {"lastUpdated": _version(call, page)})


@datacenter.on("PUT", "/rest/api/content/<number>")
def put_content(call: Call, number: str) -> Response:
    page = page_or_refuse(call, number, ("current", "draft", "trashed"))
    body = call.json_object()
    given = body.get("version")
    version = given.get("number") if isinstance(given, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise call.refuse(400, "Must supply an incremented version when updating Content. No version supplied.")
    space = find_space(call, number=page.space)
    assert space is not None  # the page could not be seen otherwise
    parent = read_parent(call, space, _parent(call, body)) if body.get("ancestors") else page.parent
    message = given.get("message", "") if isinstance(given, dict) else ""
    changed = replace(
        page,
        title=read_title(call, body.get("title", page.title)),
        body=storage_of(call, body) if body.get("body") else page.body,
        status="current",
        version=version,
        message=message if isinstance(message, str) else "",
        parent=parent,
    )
    written = update(call, page, changed)
    return json_answer(content_json(call, written, _expand(call, "version", "space", "body.storage", "history")))


@datacenter.on("DELETE", "/rest/api/content/<number>")
def delete_content(call: Call, number: str) -> Response:
    """Delete what has this id: a page (into the trash, or out of it with `status=trashed`), a comment, a file."""
    from bot.sandbox.confluence_comments import find_comment, remove_comment
    from bot.sandbox.confluence_files import find_file, remove_file

    permit(call, "delete")
    if (comment := find_comment(call, number)) is not None:
        remove_comment(call, comment)
    elif (file := find_file(call, number)) is not None:
        remove_file(call, file)
    elif call.request.args.get("status") == "trashed":
        forget_page(call, page_or_refuse(call, number, ("trashed",)))
    else:
        set_status(call, page_or_refuse(call, number), "trashed")
    return Response(status=204)


@datacenter.on("GET", "/rest/api/content/<number>/child/page")
def child_pages(call: Call, number: str) -> Response:
    page = page_or_refuse(call, number)
    found = children_of(call, page)
    start, limit = call.number("start", 0), call.number("limit", 25, low=1, high=LARGEST_PAGE)
    shown = [content_json(call, one, call.words("expand")) for one in found[start : start + limit]]
    return json_answer(listed(call, shown, start=start, limit=limit, total=len(found)))


@datacenter.on("GET", "/rest/api/space")
def list_spaces(call: Call) -> Response:
    keys = call.words("spaceKey")
    found = [one for one in visible_spaces(call) if not keys or one.key in keys]
    return json_answer(listed(call, [_expanded_space(call, one) for one in found]))


def _expanded_space(call: Call, space: Space) -> dict[str, Any]:
    answer = space_json(call, space)
    home = home_page(call, space.id)
    if "homepage" in call.words("expand") and home is not None:
        answer["homepage"] = content_json(call, home, ())
    return answer


@datacenter.on("GET", "/rest/api/space/<key>")
def get_space(call: Call, key: str) -> Response:
    return json_answer(_expanded_space(call, _space_named(call, {"key": key})))


# ---- Data Center: content properties


def _property_json(page: Page, row: Any, call: Call) -> dict[str, Any]:
    own = f"{call.base}/rest/api/content/{page.id}/property/{quote(row.key)}"
    version = {"number": row.version, "when": iso_time(row.at), "message": "", "minorEdit": False, "hidden": True}
    answer = {"id": str(row.id), "key": row.key, "value": row.value, "version": version, "_links": {"self": own}}
    return answer | {"_expandable": {"content": f"/rest/api/content/{page.id}"}}


def _property(call: Call, page: Page, key: str) -> Any | None:
    return next((row for row in properties_of(call, page) if row.key == key), None)


@datacenter.on("GET", "/rest/api/content/<number>/property")
def list_properties(call: Call, number: str) -> Response:
    page = page_or_refuse(call, number)
    return json_answer(listed(call, [_property_json(page, row, call) for row in properties_of(call, page)]))


@datacenter.on("GET", "/rest/api/content/<number>/property/<key>")
def get_property(call: Call, number: str, key: str) -> Response:
    page = page_or_refuse(call, number)
    row = _property(call, page, key)
    if row is None:
        raise call.refuse(404, f"No content property found with key: {key[:60]}")
    return json_answer(_property_json(page, row, call))


@datacenter.on("POST", "/rest/api/content/<number>/property")
def post_property(call: Call, number: str) -> Response:
    page = page_or_refuse(call, number)
    body = call.json_object()
    key = body.get("key")
    if not isinstance(key, str) or not 0 < len(key) <= LABEL_LIMIT or "value" not in body:
        raise call.refuse(400, "key (at most 255 characters) and value are required.")
    if _property(call, page, key) is not None:
        raise call.refuse(409, f"A property with the key {key} already exists.")
    return _insert_property(call, page, key, body["value"])


def _insert_property(call: Call, page: Page, key: str, value: Any) -> Response:
    number = next_number(call.db, "page_property", 131_073)
    values = {"id": number, "page": page.id, "key": key, "value": value, "version": 1, "at": call.now}
    call.db.execute(tables.page_property.insert().values(**values))
    return json_answer(_property_json(page, _property(call, page, key), call))


@datacenter.on("PUT", "/rest/api/content/<number>/property/<key>")
def put_property(call: Call, number: str, key: str) -> Response:
    page = page_or_refuse(call, number)
    body = call.json_object()
    if "value" not in body:
        raise call.refuse(400, "value is required.")
    given = body.get("version")
    version = given.get("number") if isinstance(given, dict) else None
    row = _property(call, page, key)
    if row is None:
        if version not in (None, 1):
            raise call.refuse(409, f"The property {key} does not exist yet; its first version is 1.")
        return _insert_property(call, page, key, body["value"])
    if version != row.version + 1:
        raise call.refuse(409, f"The version must be {row.version + 1}, not {version}.")
    where = tables.page_property.c.id == row.id
    call.db.execute(
        tables.page_property.update().where(where).values(value=body["value"], version=version, at=call.now)
    )
    return json_answer(_property_json(page, _property(call, page, key), call))
