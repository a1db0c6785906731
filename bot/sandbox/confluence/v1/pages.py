"""Confluence's older interface: pages, which Cloud has only to archive them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from werkzeug.wrappers import Response

from bot.sandbox.confluence.comments import find_comment, post_to_container, remove_comment
from bot.sandbox.confluence.deployments import DeploymentRoutes
from bot.sandbox.confluence.page_rows import (
    NewPage,
    children_of,
    find_space,
    forget_page,
    list_pages,
    set_status,
    version_of,
)
from bot.sandbox.confluence.page_writes import create, permit, read_parent, read_title, update
from bot.sandbox.confluence.v1.content import (
    LARGEST_PAGE,
    content_json,
    listed,
    page_or_refuse,
    person_json,
    storage_of,
    version_json,
)
from bot.sandbox.confluence.v1.spaces import space_or_refuse
from bot.sandbox.confluence.v2.attachments import find_file, remove_file
from bot.sandbox.web.call import Call, iso_time, json_answer

routes = DeploymentRoutes()


@routes.cloud.on("POST", "/wiki/rest/api/content/archive")
def archive_pages(call: Call) -> Response:
    """Archive pages; Cloud does it some time after it has answered, this at once."""
    given = call.json_object().get("pages")
    ids = [str(one.get("id")) for one in given if isinstance(one, dict)] if isinstance(given, list) else []
    if not ids:
        raise call.refuse(400, "The pages to archive must be given.")
    for number in ids:
        set_status(call, page_or_refuse(call, number), "archived")
    return json_answer({"id": ids[0], "links": {"status": f"/rest/api/longtask/{ids[0]}"}}, 202)


def _expand(call: Call, *always: str) -> tuple[str, ...]:
    return (*always, *call.words("expand"))


@routes.datacenter.on("POST", "/rest/api/content")
def post_content(call: Call) -> Response:
    body = call.json_object()
    if body.get("type") == "comment":
        return post_to_container(call, body)
    if body.get("type") != "page":
        raise call.refuse(400, "The stand-in keeps content of the types 'page' and 'comment' only.")
    space = space_or_refuse(call, body.get("space"))
    title = read_title(call, body.get("title"))
    storage = storage_of(call, body)
    parent = read_parent(call, space, _parent(call, body))
    page = create(call, space, NewPage(space.id, parent, title, storage))
    return json_answer(content_json(call, page, _expand(call, "version", "space", "body.storage", "history")))


def _parent(call: Call, body: dict[str, Any]) -> str | None:
    ancestors = body.get("ancestors")
    if not ancestors:
        return None
    if not isinstance(ancestors, list) or not isinstance(ancestors[-1], dict):
        raise call.refuse(400, "ancestors must be a list of objects with an id.")
    return str(ancestors[-1].get("id", ""))


@routes.datacenter.on("GET", "/rest/api/content")
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


@routes.datacenter.on("GET", "/rest/api/content/<number>")
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


@routes.datacenter.on("GET", "/rest/api/content/<number>/history")
def get_history(call: Call, number: str) -> Response:
    page = page_or_refuse(call, number, ("current", "draft", "trashed"))
    answer = {"latest": True, "createdBy": person_json(call, page.author), "createdDate": iso_time(page.created)}
    return json_answer(answer | {"lastUpdated": version_json(call, page)})


@routes.datacenter.on("PUT", "/rest/api/content/<number>")
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


@routes.datacenter.on("DELETE", "/rest/api/content/<number>")
def delete_content(call: Call, number: str) -> Response:
    """Delete what has this id: a page (into the trash, or out of it with `status=trashed`), a comment, a file."""
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


@routes.datacenter.on("GET", "/rest/api/content/<number>/child/page")
def child_pages(call: Call, number: str) -> Response:
    page = page_or_refuse(call, number)
    found = children_of(call, page)
    start, limit = call.number("start", 0), call.number("limit", 25, low=1, high=LARGEST_PAGE)
    shown = [content_json(call, one, call.words("expand")) for one in found[start : start + limit]]
    return json_answer(listed(call, shown, start=start, limit=limit, total=len(found)))
