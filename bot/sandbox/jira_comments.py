"""Jira: comments, and the properties that tickets and comments carry."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.sqlite import insert
from werkzeug.wrappers import Response

from bot.sandbox import jira_data, tables
from bot.sandbox.adf import AdfError
from bot.sandbox.jira_fields import FieldError, check_length
from bot.sandbox.jira_refusals import issue_or_refuse, permit, refuse_fields
from bot.sandbox.jira_rich import is_v3, read_rich
from bot.sandbox.jira_store import Issue, comment_json, self_url, touch_issue
from bot.sandbox.tables import next_number
from bot.sandbox.web import Call, Routes, json_answer, row_id

routes = Routes()

KEY_LIMIT = 255
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


@routes.on("GET", "/rest/api/2/comment/<comment>/properties/<name>")
def get_comment_property(call: Call, comment: str, name: str) -> Response:
    row = _any_comment(call, comment)
    if name not in row.properties:
        raise call.refuse(404, f"The property {name} of the comment does not exist.")
    return json_answer({"key": name, "value": row.properties[name]})


@routes.on("PUT", "/rest/api/2/comment/<comment>/properties/<name>")
def set_comment_property(call: Call, comment: str, name: str) -> Response:
    row = _any_comment(call, comment)
    properties = {**row.properties, name: _property_value(call, name)}
    call.db.execute(
        tables.issue_comment.update().where(tables.issue_comment.c.id == row.id).values(properties=properties)
    )
    return json_answer({}, 200 if name in row.properties else 201)


def _any_comment(call: Call, comment: str) -> Any:
    where = tables.issue_comment.c.id == (row_id(comment) or 0)
    row = call.db.execute(select(tables.issue_comment).where(where)).first()
    if row is None:
        raise call.refuse(404, f"Can not find a comment for the id: {comment}.")
    issue_or_refuse(call, str(row.issue))
    return row


# ---- properties of tickets


def check_properties(call: Call, given: Any) -> dict[str, Any]:
    """Read [{key, value}]; refuse anything else."""
    if given is None:
        return {}
    if not isinstance(given, list):
        raise call.refuse(400, "properties must be a list of objects with key and value.")
    found = {}
    for one in given:
        key = one.get("key") if isinstance(one, dict) else None
        if not isinstance(key, str) or not 0 < len(key) <= KEY_LIMIT or "value" not in one:
            raise call.refuse(400, "properties must be a list of objects with key and value.")
        _check_size(call, json.dumps(one["value"]))
        found[key] = one["value"]
    return found


def _check_size(call: Call, text: str) -> None:
    if len(text) > jira_data.PROPERTY_LIMIT:
        raise call.refuse(400, f"The property value is longer than {jira_data.PROPERTY_LIMIT} characters.")


def _property_value(call: Call, name: str) -> Any:
    if len(name) > KEY_LIMIT:
        raise call.refuse(400, "The property key is longer than 255 characters.")
    text = call.request.get_data()
    if not text:
        raise call.refuse(400, "The property value must be a non-empty JSON.")
    _check_size(call, text.decode(errors="replace"))
    return call.json_body()


def put_property(call: Call, issue: Issue, key: str, value: Any) -> bool:
    """Store a property; say whether it is new."""
    where = (tables.issue_property.c.issue == issue.id) & (tables.issue_property.c.key == key)
    is_new = call.db.execute(select(tables.issue_property.c.key).where(where)).first() is None
    statement = insert(tables.issue_property).values(issue=issue.id, key=key, value=value)
    call.db.execute(statement.on_conflict_do_update(index_elements=["issue", "key"], set_={"value": value}))
    return is_new


@routes.on("GET", "/rest/api/2/issue/<key>/properties")
def list_properties(call: Call, key: str) -> Response:
    issue = issue_or_refuse(call, key)
    rows = call.db.execute(select(tables.issue_property.c.key).where(tables.issue_property.c.issue == issue.id))
    keys = [{"self": self_url(call, f"issue/{issue.id}/properties/{row.key}"), "key": row.key} for row in rows]
    return json_answer({"keys": keys})


@routes.on("GET", "/rest/api/2/issue/<key>/properties/<name>")
def get_property(call: Call, key: str, name: str) -> Response:
    issue = issue_or_refuse(call, key)
    where = (tables.issue_property.c.issue == issue.id) & (tables.issue_property.c.key == name)
    row = call.db.execute(select(tables.issue_property).where(where)).first()
    if row is None:
        raise call.refuse(404, f"The property {name} does not exist.")
    return json_answer({"key": name, "value": row.value})


@routes.on("PUT", "/rest/api/2/issue/<key>/properties/<name>")
def set_property(call: Call, key: str, name: str) -> Response:
    issue = issue_or_refuse(call, key)
    permit(call, "EDIT_ISSUES")
    is_new = put_property(call, issue, name, _property_value(call, name))
    return json_answer({}, 201 if is_new else 200)


@routes.on("DELETE", "/rest/api/2/issue/<key>/properties/<name>")
def delete_property(call: Call, key: str, name: str) -> Response:
    issue = issue_or_refuse(call, key)
    where = (tables.issue_property.c.issue == issue.id) & (tables.issue_property.c.key == name)
    if not call.db.execute(tables.issue_property.delete().where(where)).rowcount:
        raise call.refuse(404, f"The property {name} does not exist.")
    return Response(status=204)
