"""Jira: what is done to a whole ticket by an address of its own: deleting it, handing it to somebody, its history."""

from __future__ import annotations

from werkzeug.wrappers import Response

from bot.sandbox import tables
from bot.sandbox.jira_fields import find_person
from bot.sandbox.jira_refusals import issue_or_refuse, permit
from bot.sandbox.jira_store import Issue, changelog_json, save_issue, self_url
from bot.sandbox.tables import index_document
from bot.sandbox.web import Call, Routes, json_answer

routes = Routes()

_PARTS = (tables.issue_comment, tables.issue_property, tables.remote_link, tables.watcher, tables.activity)


@routes.on("DELETE", "/rest/api/2/issue/<key>")
def delete(call: Call, key: str) -> Response:
    issue = issue_or_refuse(call, key)
    permit(call, "DELETE_ISSUES")
    call.flag("deleteSubtasks")  # there are none here; but it must be true or false
    _forget(call, issue)
    index_document(call.db, call.service, str(issue.id), call.now, None)
    return Response(status=204)


def _forget(call: Call, issue: Issue) -> None:
    for table in _PARTS:
        call.db.execute(table.delete().where(table.c.issue == issue.id))
    ends = (tables.issue_link.c.inward == issue.id) | (tables.issue_link.c.outward == issue.id)
    call.db.execute(tables.issue_link.delete().where(ends))
    files = (tables.attachment.c.service == call.service) & (tables.attachment.c.owner == str(issue.id))
    call.db.execute(tables.attachment.delete().where(files))
    call.db.execute(tables.issue.delete().where(tables.issue.c.id == issue.id))


@routes.on("PUT", "/rest/api/2/issue/<key>/assignee")
def assign(call: Call, key: str) -> Response:
    """Hand a ticket to somebody, by id on Cloud, by name on Data Center; null is nobody, and so is -1, the default."""
    issue = issue_or_refuse(call, key)
    permit(call, "ASSIGN_ISSUES")
    wanted = call.json_object().get("accountId" if call.service.is_cloud else "name")
    if wanted in (None, "-1"):
        save_issue(call, issue, {"assignee": None})
        return Response(status=204)
    person = find_person(call, wanted) if isinstance(wanted, str) else None
    if person is None:
        raise call.refuse(400, f"User '{wanted}' cannot be assigned issues.")
    save_issue(call, issue, {"assignee": person.account_id})
    return Response(status=204)


@routes.on("GET", "/rest/api/2/issue/<key>/changelog")
def changelog(call: Call, key: str) -> Response:
    """List what was changed, page by page; only Cloud has it at an address of its own."""
    issue = issue_or_refuse(call, key)
    if not call.service.is_cloud:
        raise call.refuse(404, "null for uri: " + call.request.path)
    histories = changelog_json(call, issue)["histories"]
    start, size = call.number("startAt", 0), call.number("maxResults", 100, high=100)
    answer = {"self": self_url(call, f"issue/{issue.key}/changelog"), "startAt": start, "maxResults": size}
    answer |= {"total": len(histories), "isLast": start + size >= len(histories)}
    return json_answer(answer | {"values": histories[start : start + size]})
