"""Confluence's older interface: searching by CQL."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bot.sandbox.confluence import cql
from bot.sandbox.confluence.deployments import DeploymentRoutes
from bot.sandbox.confluence.page_rows import Page, find_page, searchable, space_of, web_path
from bot.sandbox.confluence.v1.content import LARGEST_PAGE, content_json, listed
from bot.sandbox.web.call import Call, iso_time, json_answer

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

routes = DeploymentRoutes()


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


@routes.both("GET", "/rest/api/content/search")
def search_content(call: Call) -> Response:
    _, pages, start, limit, total = _found(call)
    shown = [content_json(call, page, call.words("expand")) for page in pages]
    return json_answer(listed(call, shown, start=start, limit=limit, total=total))


@routes.both("GET", "/rest/api/search")
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
