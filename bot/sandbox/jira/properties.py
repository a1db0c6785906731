"""Jira: the properties that tickets and comments carry."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert
from werkzeug.wrappers import Response

from bot.sandbox.jira import catalogue, tables
from bot.sandbox.jira.issue_json import self_url
from bot.sandbox.jira.refusals import issue_or_refuse, permit
from bot.sandbox.web.call import Call, json_answer, row_id
from bot.sandbox.web.site import Routes

if TYPE_CHECKING:
    from bot.sandbox.jira.issue_rows import Issue

routes = Routes()

KEY_LIMIT = 255


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
    if len(text) > catalogue.PROPERTY_LIMIT:
        raise call.refuse(400, f"The property value is longer than {catalogue.PROPERTY_LIMIT} characters.")


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
