"""Confluence: what people say below a page, in either interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert
from werkzeug.wrappers import Response

from bot.sandbox.confluence import tables
from bot.sandbox.confluence.page_rows import Page, find_page, web_path
from bot.sandbox.confluence.page_writes import permit
from bot.sandbox.confluence.v1 import content as content_v1
from bot.sandbox.confluence.v2 import content as content_v2
from bot.sandbox.confluence.v2.paging import API, paged_answer
from bot.sandbox.web.call import Call, iso_time, json_answer, row_id
from bot.sandbox.web.database import next_number
from bot.sandbox.web.site import Routes

if TYPE_CHECKING:
    from collections.abc import Sequence

cloud = Routes()
datacenter = Routes()


def find_comment(call: Call, number: str) -> Any | None:
    """Load a comment; None where it is not there, or its page may not be seen."""
    where = tables.page_comment.c.id == (row_id(number) or 0)
    row = call.db.execute(select(tables.page_comment).where(where)).first()
    return row if row is not None and find_page(call, row.page) is not None else None


def _comments_of(call: Call, page: Page) -> Sequence[Any]:
    where = tables.page_comment.c.page == page.id
    return call.db.execute(select(tables.page_comment).where(where).order_by(tables.page_comment.c.id)).all()


def _insert(call: Call, page: Page, storage: str) -> Any:
    number = next_number(call.db, "content", 98_305)
    values = {"id": number, "page": page.id, "body": storage, "author": call.caller.account_id, "created": call.now}
    call.db.execute(tables.page_comment.insert().values(**values))
    return find_comment(call, str(number))


def remove_comment(call: Call, row: Any) -> None:
    call.db.execute(tables.page_comment.delete().where(tables.page_comment.c.id == row.id))
    call.db.execute(tables.page_comment_version.delete().where(tables.page_comment_version.c.comment == row.id))


def _version_of(call: Call, row: Any) -> int:
    where = tables.page_comment_version.c.comment == row.id
    return call.db.execute(select(tables.page_comment_version.c.number).where(where)).scalar_one_or_none() or 1


def _page_of(call: Call, row: Any) -> Page:
    page = find_page(call, row.page)
    assert page is not None  # find_comment has looked
    return page


# ---- Cloud


def _footer_json(call: Call, row: Any) -> dict[str, Any]:
    page = _page_of(call, row)
    version = {
        "number": _version_of(call, row),
        "createdAt": iso_time(row.created),
        "authorId": row.author,
        "message": "",
    }
    return {
        "id": str(row.id),
        "status": "current",
        "title": f"Re: {page.title}",
        "pageId": str(page.id),
        "version": version,
        "body": {"storage": {"representation": "storage", "value": row.body}},
        "_links": {"webui": f"{web_path(call, page)}?focusedCommentId={row.id}", "base": f"{call.base}/wiki"},
    }


def _footer(call: Call, number: str) -> Any:
    row = find_comment(call, number)
    if row is None:
        raise call.refuse(404, f"Comment {number[:40]} does not exist, or you may not see it.")
    return row


@cloud.on("POST", f"{API}/footer-comments")
def post_footer_comment(call: Call) -> Response:
    body = call.json_object()
    if not isinstance(body.get("pageId"), str):
        raise call.refuse(400, "pageId is required.")
    page = content_v2.page_or_refuse(call, body["pageId"])
    return json_answer(_footer_json(call, _insert(call, page, content_v2.storage_of(call, body.get("body")))), 201)


@cloud.on("GET", f"{API}/pages/<number>/footer-comments")
def list_footer_comments(call: Call, number: str) -> Response:
    page = content_v2.page_or_refuse(call, number)
    return paged_answer(call, [_footer_json(call, row) for row in _comments_of(call, page)])


@cloud.on("GET", f"{API}/footer-comments/<number>")
def get_footer_comment(call: Call, number: str) -> Response:
    return json_answer(_footer_json(call, _footer(call, number)))


@cloud.on("PUT", f"{API}/footer-comments/<number>")
def put_footer_comment(call: Call, number: str) -> Response:
    row, body = _footer(call, number), call.json_object()
    version, _ = content_v2.version_of_body(call, body.get("version"))
    if version != _version_of(call, row) + 1:
        raise call.refuse(409, f"Version must be incremented. Current version is: {_version_of(call, row)}")
    storage = content_v2.storage_of(call, body.get("body"))
    call.db.execute(tables.page_comment.update().where(tables.page_comment.c.id == row.id).values(body=storage))
    kept = insert(tables.page_comment_version).values(comment=row.id, number=version)
    call.db.execute(kept.on_conflict_do_update(index_elements=["comment"], set_={"number": version}))
    return json_answer(_footer_json(call, _footer(call, number)))


@cloud.on("DELETE", f"{API}/footer-comments/<number>")
def delete_footer_comment(call: Call, number: str) -> Response:
    row = _footer(call, number)
    permit(call, "delete")
    remove_comment(call, row)
    return Response(status=204)


# ---- Data Center


def _content_json(call: Call, row: Any) -> dict[str, Any]:
    page = _page_of(call, row)
    answer: dict[str, Any] = {"id": str(row.id), "type": "comment", "status": "current", "title": f"Re: {page.title}"}
    answer |= {"extensions": {"location": "footer"}, "_expandable": {}}
    expand = call.words("expand")
    if "version" in expand:
        by = content_v1.person_json(call, row.author)
        answer["version"] = {
            "number": _version_of(call, row),
            "when": iso_time(row.created),
            "by": by,
            "minorEdit": False,
        }
    if "body.storage" in expand:
        answer["body"] = {"storage": {"value": row.body, "representation": "storage"}}
    own = f"{call.base}/rest/api/content/{row.id}"
    return answer | {"_links": {"self": own, "webui": f"{web_path(call, page)}&focusedCommentId={row.id}"}}


def post_to_container(call: Call, body: dict[str, Any]) -> Response:
    """Say something below the page that is named as the container."""
    container = body.get("container")
    wanted = container.get("id") if isinstance(container, dict) else None
    if wanted is None:
        raise call.refuse(400, "A comment needs the container that it is about.")
    page = content_v1.page_or_refuse(call, str(wanted))
    return json_answer(_content_json(call, _insert(call, page, content_v1.storage_of(call, body))))


@datacenter.on("GET", "/rest/api/content/<number>/child/comment")
def list_comments(call: Call, number: str) -> Response:
    page = content_v1.page_or_refuse(call, number)
    rows = _comments_of(call, page)
    start, limit = call.number("start", 0), call.number("limit", 25, low=1, high=200)
    shown = [_content_json(call, row) for row in rows[start : start + limit]]
    return json_answer(content_v1.listed(call, shown, start=start, limit=limit, total=len(rows)))
