"""Jira: creating, reading, changing, assigning and deleting tickets."""

from __future__ import annotations

import json
from typing import Any

from werkzeug.wrappers import Response

from bot.sandbox.jira import catalogue, tables
from bot.sandbox.jira.comments import insert_comment
from bot.sandbox.jira.fields import FieldReport, missing_fields, read_fields
from bot.sandbox.jira.issue_json import changelog_json, issue_json, self_url
from bot.sandbox.jira.issue_rows import Issue, find_project, insert_issue, save_issue
from bot.sandbox.jira.properties import check_properties, put_property
from bot.sandbox.jira.refusals import issue_or_refuse, permit, refuse_fields
from bot.sandbox.jira.screens import edit_screen
from bot.sandbox.jira.users import find_person
from bot.sandbox.markup.wiki_markup import render
from bot.sandbox.search.index import index_document
from bot.sandbox.web.call import Call, Refusal, json_answer
from bot.sandbox.web.site import Routes
from bot.sandbox.web.uploads import delete_attachments_of

routes = Routes()

ISSUES_A_BULK = 50


@routes.on("POST", "/rest/api/2/issue")
def create(call: Call) -> Response:
    issue = create_one(call, call.json_object())
    return json_answer(_created(call, issue), 201)


def _created(call: Call, issue: Issue) -> dict[str, str]:
    return {"id": str(issue.id), "key": issue.key, "self": f"{call.base}/rest/api/2/issue/{issue.id}"}


def create_one(call: Call, body: dict[str, Any]) -> Issue:
    """Open a ticket, or refuse with errors by field."""
    fields, update = _fields_and_update(call, body)
    report = read_fields(call, fields, update, {})
    errors = report.errors | missing_fields(call, report.values, report.errors)
    if errors:
        raise refuse_fields(errors)
    project = find_project(call, report.values["project"])
    assert project is not None  # read_fields has looked it up
    permit(call, "CREATE_ISSUES", 403 if call.service.is_cloud else 400)
    properties = check_properties(call, body.get("properties"))
    issue = insert_issue(call, project, _first_values(call, report.values))
    for key, value in properties.items():
        put_property(call, issue, key, value)
    for comment in report.comments:
        insert_comment(call, issue, comment)
    return issue


def _fields_and_update(call: Call, body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    fields, update = body.get("fields"), body.get("update")
    for name, value in (("fields", fields), ("update", update)):
        if value is not None and not isinstance(value, dict):
            raise call.refuse(400, f"Can not deserialize '{name}': an object is expected.")
    unknown = body.keys() - {"fields", "update", "properties", "transition", "historyMetadata"}
    if unknown and not call.service.is_cloud:
        raise call.refuse(400, f'Unrecognized field "{min(unknown)}", not marked as ignorable')
    return fields or {}, update or {}


def _first_values(call: Call, given: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {one.id: None for one in catalogue.FIELDS}
    values |= {"labels": [], "components": [], "fixVersions": [], "priority": "3"}
    values |= {"reporter": call.caller.account_id} | {name: value for name, value in given.items() if name != "project"}
    values |= {"creator": call.caller.account_id, "status": catalogue.TO_DO.id}
    values |= {"resolution": None, "resolutiondate": None, "priority": values["priority"] or "3"}
    del values["project"]
    return values


@routes.on("POST", "/rest/api/2/issue/bulk")
def create_bulk(call: Call) -> Response:
    updates = call.json_object().get("issueUpdates")
    if not isinstance(updates, list) or not updates:
        raise call.refuse(400, "At least one issue must be given.")
    if len(updates) > ISSUES_A_BULK:
        raise call.refuse(400, f"At most {ISSUES_A_BULK} issues can be created at once.")
    issues, errors = [], []
    for number, body in enumerate(updates):
        try:
            with call.db.begin_nested():
                issues.append(_created(call, create_one(call, body if isinstance(body, dict) else {})))
        except Refusal as refusal:
            said = json.loads(refusal.response.get_data())
            errors.append(
                {"status": refusal.response.status_code, "elementErrors": said, "failedElementNumber": number}
            )
    return json_answer({"issues": issues, "errors": errors}, 201 if issues else 400)


@routes.on("GET", "/rest/api/2/issue/<key>")
def get(call: Call, key: str) -> Response:
    issue = issue_or_refuse(call, key)
    fields = call.words("fields") or ("*all",)
    answer = issue_json(call, issue, fields, call.words("properties"))
    expand = call.words("expand")
    if "changelog" in expand:
        answer["changelog"] = changelog_json(call, issue)
    if "renderedFields" in expand:
        answer["renderedFields"] = {"description": render(issue.fields["description"] or "")}
    if "editmeta" in expand:
        answer["editmeta"] = edit_screen(call, issue)
    return json_answer(answer)


@routes.on("PUT", "/rest/api/2/issue/<key>")
def edit(call: Call, key: str) -> Response:
    issue = issue_or_refuse(call, key)
    permit(call, "EDIT_ISSUES")
    body = call.json_object()
    fields, update = _fields_and_update(call, body)
    if not fields and not update and not body.get("properties"):
        raise call.refuse(400, "one of 'fields' or 'update' required")
    report = read_fields(call, fields, update, issue.fields)
    if "project" in report.values and report.values.pop("project") != issue.project:
        report.errors["project"] = "The project cannot be changed by an edit."
    if report.errors:
        raise refuse_fields(report.errors)
    issue = _write(call, issue, report, body)
    if call.service.is_cloud and call.flag("returnIssue"):
        return json_answer(issue_json(call, issue, ("*all",)))
    return Response(status=204)


def _write(call: Call, issue: Issue, report: FieldReport, body: dict[str, Any]) -> Issue:
    for key, value in check_properties(call, body.get("properties")).items():
        put_property(call, issue, key, value)
    issue = save_issue(call, issue, report.values)
    for comment in report.comments:
        insert_comment(call, issue, comment)
    return issue


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
    delete_attachments_of(call, str(issue.id))
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
    if person is None or person.name in call.rulebook.jira(call.service).unassignable:
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
