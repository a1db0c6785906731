"""Jira: links between tickets."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from werkzeug.wrappers import Response

from bot.sandbox.jira import catalogue, tables
from bot.sandbox.jira.comments import insert_comment
from bot.sandbox.jira.issue_json import link_type_json, whole_link_json
from bot.sandbox.jira.issue_rows import Issue, find_issue, note_activity
from bot.sandbox.jira.refusals import issue_or_refuse, permit
from bot.sandbox.web.call import Call, json_answer, row_id
from bot.sandbox.web.database import next_number
from bot.sandbox.web.site import Routes

routes = Routes()


@routes.on("POST", "/rest/api/2/issueLink")
def link_issues(call: Call) -> Response:
    body = call.json_object()
    comment = body.get("comment")  # null, which the jira package sends, is as good as none
    if comment is not None and not isinstance(comment, dict):
        raise call.refuse(400, "Can not deserialize 'comment': an object is expected.")
    kind = _link_type(call, body.get("type"))
    inward, outward = (_linked_issue(call, body.get(name)) for name in ("inwardIssue", "outwardIssue"))
    permit(call, "LINK_ISSUES", 401)
    known = (
        (tables.issue_link.c.type == kind.name)
        & (tables.issue_link.c.inward == inward.id)
        & (tables.issue_link.c.outward == outward.id)
    )
    if call.db.execute(select(tables.issue_link.c.id).where(known)).first() is None:
        number = next_number(call.db, "issue_link", 10_000)
        values = {"id": number, "type": kind.name, "inward": inward.id, "outward": outward.id}
        call.db.execute(tables.issue_link.insert().values(**values))
        note_activity(call, inward, "Link", outward.key)
        note_activity(call, outward, "Link", inward.key)
    if comment is not None:
        insert_comment(call, outward, comment)
    return Response(status=201)


def _link_type(call: Call, given: Any) -> catalogue.LinkType:
    wanted = [given[name] for name in ("id", "name") if given.get(name)] if isinstance(given, dict) else []
    found = next((one for one in catalogue.LINK_TYPES if one.id in wanted or one.name in wanted), None)
    if found is None:
        raise call.refuse(404, f"No issue link type with name '{(wanted or [''])[0]}' found.")
    return found


def _linked_issue(call: Call, given: Any) -> Issue:
    wanted = (given.get("key") or given.get("id")) if isinstance(given, dict) else None
    if not isinstance(wanted, str):
        raise call.refuse(400, "Both inwardIssue and outwardIssue must name a ticket by key or id.")
    return issue_or_refuse(call, wanted)


def _issue_link(call: Call, number: str) -> tuple[Any, Issue, Issue]:
    """Find a link between two tickets that may both be seen."""
    where = tables.issue_link.c.id == (row_id(number) or 0)
    row = call.db.execute(select(tables.issue_link).where(where)).first()
    ends = [find_issue(call, str(one)) for one in (row.inward, row.outward)] if row is not None else [None, None]
    if row is None or ends[0] is None or ends[1] is None:
        raise call.refuse(404, f"No issue link with id '{number}' exists.")
    return row, ends[0], ends[1]


@routes.on("GET", "/rest/api/2/issueLink/<number>")
def get_issue_link(call: Call, number: str) -> Response:
    row, inward, outward = _issue_link(call, number)
    return json_answer(whole_link_json(call, row, inward, outward))


@routes.on("DELETE", "/rest/api/2/issueLink/<number>")
def delete_issue_link(call: Call, number: str) -> Response:
    row, inward, outward = _issue_link(call, number)
    permit(call, "LINK_ISSUES", 401)
    call.db.execute(tables.issue_link.delete().where(tables.issue_link.c.id == row.id))
    note_activity(call, inward, "Link", "")
    note_activity(call, outward, "Link", "")
    return Response(status=204)


@routes.on("GET", "/rest/api/2/issueLinkType")
def list_link_types(call: Call) -> Response:
    return json_answer({"issueLinkTypes": [link_type_json(call, one) for one in catalogue.LINK_TYPES]})
