"""Jira: comments on tickets."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from werkzeug.wrappers import Response

from bot.sandbox.jira import tables
from bot.sandbox.jira.field_values import FieldError, check_length
from bot.sandbox.jira.issue_json import comment_json
from bot.sandbox.jira.issue_rows import Issue, touch_issue
from bot.sandbox.jira.properties import check_properties
from bot.sandbox.jira.refusals import issue_or_refuse, permit, refuse_fields
from bot.sandbox.jira.rich_text import is_v3, read_rich
from bot.sandbox.markup.adf_to_wiki import AdfError
from bot.sandbox.web.call import Call, json_answer, row_id
from bot.sandbox.web.database import next_number
from bot.sandbox.web.site import Routes

routes = Routes()
ORDERS = ("created", "+created", "-created", "")


@routes.on("GET", "/rest/api/2/issue/<key>/comment")
def list_comments(call: Call, key: str) -> Response:
    issue = issue_or_refuse(call, key)
    start, size = call.number("startAt", 0), call.number("maxResults", 5000, high=5000)
    order = call.request.args.get("orderBy", "")
    if order not in ORDERS:
        raise call.refuse(400, f"The orderBy '{order[:40]}' is invalid; comments are ordered by created.")
    column = tables.issue_comment.c.id
    statement = select(tables.issue_comment).where(tables.issue_comment.c.issue == issue.id)
    rows = list(call.db.execute(statement.order_by(column.desc() if order == "-created" else column)))
    with_properties = "properties" in call.words("expand")
    shown = [comment_json(call, issue, row, with_properties=with_properties) for row in rows[start : start + size]]
    return json_answer({"startAt": start, "maxResults": size, "total": len(rows), "comments": shown})


@routes.on("POST", "/rest/api/2/issue/<key>/comment")
def add_comment(call: Call, key: str) -> Response:
    issue = issue_or_refuse(call, key)
    row = insert_comment(call, issue, call.json_object())
    return json_answer(comment_json(call, issue, row, with_properties="properties" in call.words("expand")), 201)


def insert_comment(call: Call, issue: Issue, given: dict[str, Any]) -> Any:
    """Add a comment and return its row, or refuse."""
    permit(call, "ADD_COMMENTS", 403 if not call.service.is_cloud else 400)
    body = _body(call, given)
    properties = check_properties(call, given.get("properties"))
    count = select(func.count()).select_from(tables.issue_comment).where(tables.issue_comment.c.issue == issue.id)
    if call.db.execute(count).scalar_one() >= call.rulebook.jira(call.service).comment_limit:
        raise call.refuse(413, "The issue has reached the limit of comments.")
    number = next_number(call.db, "comment", 10_100)
    call.db.execute(
        tables.issue_comment.insert().values(
            id=number,
            issue=issue.id,
            author=call.caller.account_id,
            editor=call.caller.account_id,
            body=body,
            properties=properties,
            visibility=_visibility(call, given),
            created=call.now,
            updated=call.now,
        )
    )
    touch_issue(call, issue)
    return _comment_row(call, issue, str(number))


def _body(call: Call, given: dict[str, Any]) -> str:
    body = given.get("body")
    if is_v3(call) and body is not None:
        body = _document(body)
    if not isinstance(body, str):
        text = "Comment body can not be empty!" if body is None else "Operation value must be a string"
        raise refuse_fields({"comment": text})
    if not body.strip():
        raise refuse_fields({"comment": "Comment body can not be empty!"})
    try:
        check_length(body)
    except FieldError as error:
        raise refuse_fields({"comment": str(error)}) from error
    return body


def _document(body: Any) -> str | None:
    try:
        return read_rich(body)
    except AdfError as error:
        text = "Comment body is not valid!" if isinstance(body, str) else str(error)
        raise refuse_fields({"comment": text}) from error


def _visibility(call: Call, given: dict[str, Any]) -> dict[str, Any] | None:
    value = given.get("visibility")
    if not value:
        return None
    if not isinstance(value, dict) or value.get("type") not in ("group", "role"):
        raise call.refuse(400, "The visibility of a comment must name a group or a role.")
    named = {name: value[name] for name in ("type", "value", "identifier") if isinstance(value.get(name), str)}
    return named or None


def _comment_row(call: Call, issue: Issue, comment: str) -> Any:
    where = (tables.issue_comment.c.issue == issue.id) & (tables.issue_comment.c.id == (row_id(comment) or 0))
    row = call.db.execute(select(tables.issue_comment).where(where)).first()
    if row is None:
        raise call.refuse(404, f"Can not find a comment for the id: {comment}.")
    return row


@routes.on("GET", "/rest/api/2/issue/<key>/comment/<comment>")
def get_comment(call: Call, key: str, comment: str) -> Response:
    issue = issue_or_refuse(call, key)
    row = _comment_row(call, issue, comment)
    return json_answer(comment_json(call, issue, row, with_properties="properties" in call.words("expand")))


@routes.on("PUT", "/rest/api/2/issue/<key>/comment/<comment>")
def edit_comment(call: Call, key: str, comment: str) -> Response:
    issue = issue_or_refuse(call, key)
    row = _comment_row(call, issue, comment)
    given = call.json_object()
    values = {
        "body": _body(call, given),
        "properties": row.properties | check_properties(call, given.get("properties")),
        "editor": call.caller.account_id,
        "updated": call.now,
    }
    call.db.execute(tables.issue_comment.update().where(tables.issue_comment.c.id == row.id).values(**values))
    touch_issue(call, issue)
    row = _comment_row(call, issue, comment)
    return json_answer(comment_json(call, issue, row, with_properties="properties" in call.words("expand")))


@routes.on("DELETE", "/rest/api/2/issue/<key>/comment/<comment>")
def delete_comment(call: Call, key: str, comment: str) -> Response:
    issue = issue_or_refuse(call, key)
    row = _comment_row(call, issue, comment)
    call.db.execute(tables.issue_comment.delete().where(tables.issue_comment.c.id == row.id))
    touch_issue(call, issue)
    return Response(status=204)
