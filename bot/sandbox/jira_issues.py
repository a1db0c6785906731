"""Jira: creating, reading, changing and searching tickets."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from werkzeug.wrappers import Response

from bot.sandbox import jira_data, tables
from bot.sandbox.jira_comments import check_properties, insert_comment, put_property
from bot.sandbox.jira_fields import FieldReport, missing_fields, read_fields
from bot.sandbox.jira_refusals import issue_or_refuse, permit, refuse_fields
from bot.sandbox.jira_store import (
    Issue,
    all_issues,
    changelog_json,
    find_project,
    insert_issue,
    issue_json,
    issues_by_id,
    save_issue,
    searchable,
    visible_projects,
)
from bot.sandbox.jql import Context, IndexedIssue, JqlError, Query, parse
from bot.sandbox.web import Call, Refusal, Routes, json_answer

if TYPE_CHECKING:
    from bot.sandbox.seed import Project

common = Routes()
cloud = Routes()
datacenter = Routes()

ISSUES_A_BULK = 50
PAGE = 50
LARGEST_PAGE = 100
LARGEST_PAGE_OF_KEYS = 5000
RECONCILED_AT_MOST = 50
JQL_LIMIT = 20_000  # characters


@common.on("POST", "/rest/api/2/issue")
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
    values: dict[str, Any] = {one.id: None for one in jira_data.FIELDS}
    values |= {"labels": [], "components": [], "fixVersions": [], "priority": "3"}
    values |= {"reporter": call.caller.account_id} | {name: value for name, value in given.items() if name != "project"}
    values |= {"creator": call.caller.account_id, "status": jira_data.TO_DO.id}
    values |= {"resolution": None, "resolutiondate": None, "priority": values["priority"] or "3"}
    del values["project"]
    return values


@common.on("POST", "/rest/api/2/issue/bulk")
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


@common.on("GET", "/rest/api/2/issue/<key>")
def get(call: Call, key: str) -> Response:
    issue = issue_or_refuse(call, key)
    fields = call.words("fields") or ("*all",)
    answer = issue_json(call, issue, fields, call.words("properties"))
    expand = call.words("expand")
    if "changelog" in expand:
        answer["changelog"] = changelog_json(call, issue)
    if "renderedFields" in expand:
        from bot.sandbox.wikimarkup import render

        answer["renderedFields"] = {"description": render(issue.fields["description"] or "")}
    if "editmeta" in expand:
        from bot.sandbox.jira_screens import edit_screen

        answer["editmeta"] = edit_screen(call, issue)
    return json_answer(answer)


@common.on("PUT", "/rest/api/2/issue/<key>")
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


# ---- search


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """What both ways of asking (query string, JSON body) come to."""

    jql: str
    fields: tuple[str, ...]
    properties: tuple[str, ...]
    size: int
    start: int
    fresh: frozenset[int] = frozenset()


@cloud.on("GET", "/rest/api/2/search/jql")
def search_cloud(call: Call) -> Response:
    request = SearchRequest(
        jql=call.request.args.get("jql", ""),
        fields=call.words("fields") or ("id",),
        properties=call.words("properties"),
        size=call.number("maxResults", PAGE, high=LARGEST_PAGE_OF_KEYS),
        start=_start_of(call, call.request.args.get("nextPageToken")),
        fresh=_fresh(call, list(call.words("reconcileIssues"))),
    )
    return _answer_cloud(call, request)


@cloud.on("POST", "/rest/api/2/search/jql")
def search_cloud_post(call: Call) -> Response:
    body = call.json_object()
    known = {"jql", "fields", "properties", "maxResults", "nextPageToken", "reconcileIssues", "expand", "fieldsByKeys"}
    _refuse_unknown(call, body, known | {"failFast"})
    body = {name: value for name, value in body.items() if value is not None}  # which is as good as not there
    for name in ("expand", "nextPageToken"):
        if name in body and not isinstance(body[name], str):
            raise call.refuse(400, f"Invalid request payload: {name} must be a string.")
    request = SearchRequest(
        jql=_text(call, body, "jql"),
        fields=_strings(call, body, "fields") or ("id",),
        properties=_strings(call, body, "properties"),
        size=_whole(call, body, "maxResults", PAGE, LARGEST_PAGE_OF_KEYS),
        start=_start_of(call, body.get("nextPageToken")),
        fresh=_fresh(call, body.get("reconcileIssues", [])),
    )
    return _answer_cloud(call, request)


def _answer_cloud(call: Call, request: SearchRequest) -> Response:
    query = _parse(call, request.jql)
    if not query.bounded:
        text = "Unbounded JQL queries are not allowed here. Please add a search restriction to your query."
        raise call.refuse(400, text)
    found = query.select(searchable(call, request.fresh))
    only_keys = set(request.fields) <= {"id", "key"}
    size = request.size if only_keys else min(request.size, LARGEST_PAGE)
    page = found[request.start : request.start + size]
    answer: dict[str, Any] = {"issues": _shown(call, page, request), "isLast": request.start + size >= len(found)}
    if not answer["isLast"]:
        answer["nextPageToken"] = base64.urlsafe_b64encode(f"at:{request.start + size}".encode()).decode()
    return json_answer(answer)


def _start_of(call: Call, token: Any) -> int:
    if not token:
        return 0
    try:
        word, _, number = base64.urlsafe_b64decode(str(token).encode()).decode().partition(":")
        if word != "at" or not number.isascii() or not number.isdigit():
            raise call.refuse(400, "The nextPageToken is invalid or has expired.")
        return int(number[:9])
    except (binascii.Error, ValueError) as error:
        raise call.refuse(400, "The nextPageToken is invalid or has expired.") from error


def _fresh(call: Call, ids: Any) -> frozenset[int]:
    if not isinstance(ids, list) or len(ids) > RECONCILED_AT_MOST:
        raise call.refuse(400, f"reconcileIssues takes at most {RECONCILED_AT_MOST} issue ids.")
    if any(isinstance(one, bool) or not str(one).isascii() or not str(one).isdigit() for one in ids):
        raise call.refuse(400, "reconcileIssues takes issue ids, which are whole numbers.")
    return frozenset(int(str(one)[:18]) for one in ids)


@cloud.on("POST", "/rest/api/2/search/approximate-count")
def count(call: Call) -> Response:
    query = _parse(call, _text(call, call.json_object(), "jql"))
    if not query.bounded:
        raise call.refuse(400, "Unbounded JQL queries are not allowed here.")
    return json_answer({"count": len(query.select(searchable(call)))})


@cloud.on("GET", "/rest/api/2/search")
@cloud.on("POST", "/rest/api/2/search")
def search_removed(call: Call) -> Response:
    text = "The requested API has been removed. Please migrate to the /rest/api/3/search/jql API."
    raise call.refuse(410, text)


@cloud.on("GET", "/rest/api/2/issue/createmeta")
def old_createmeta_removed(call: Call) -> Response:
    raise call.refuse(
        410, "The requested API has been removed. Please use the createmeta API of a project's issue types."
    )


@datacenter.on("GET", "/rest/api/2/issue/createmeta")
def old_createmeta_gone(call: Call) -> Response:
    raise call.refuse(404, "Issue Does Not Exist")


@datacenter.on("GET", "/rest/api/2/search")
def search_datacenter(call: Call) -> Response:
    request = SearchRequest(
        jql=call.request.args.get("jql", ""),
        fields=call.words("fields") or ("*navigable",),
        properties=call.words("properties"),
        size=call.number("maxResults", PAGE, high=1000),
        start=call.number("startAt", 0),
    )
    return _answer_datacenter(call, request)


@datacenter.on("POST", "/rest/api/2/search")
def search_datacenter_post(call: Call) -> Response:
    body = call.json_object()
    _refuse_unknown(call, body, {"jql", "fields", "maxResults", "startAt", "validateQuery", "expand", "properties"})
    request = SearchRequest(
        jql=_text(call, body, "jql"),
        fields=_strings(call, body, "fields") or ("*navigable",),
        properties=_strings(call, body, "properties"),
        size=_whole(call, body, "maxResults", PAGE, 1000),
        start=_whole(call, body, "startAt", 0, 2**31 - 1),
    )
    return _answer_datacenter(call, request)


def _answer_datacenter(call: Call, request: SearchRequest) -> Response:
    found = _parse(call, request.jql).select(searchable(call))
    page = found[request.start : request.start + request.size]
    return json_answer(
        {
            "expand": "schema,names",
            "startAt": request.start,
            "maxResults": request.size,
            "total": len(found),
            "issues": _shown(call, page, request),
        }
    )


def _shown(call: Call, page: list[IndexedIssue], request: SearchRequest) -> list[dict[str, Any]]:
    if request.fields == ("id",):
        return [{"id": str(one.id)} for one in page]
    issues = issues_by_id(call, [one.id for one in page])
    return [issue_json(call, issues[one.id], request.fields, request.properties) for one in page if one.id in issues]


def _parse(call: Call, jql: str) -> Query:
    if len(jql) > JQL_LIMIT:
        raise call.refuse(400, "The JQL query is too long.")
    try:
        return parse(jql, context(call))
    except JqlError as error:
        raise call.refuse(400, str(error)) from error


def context(call: Call) -> Context:
    """Say which names a query may use."""
    projects = visible_projects(call)
    named: dict[str, tuple[jira_data.Named, ...]] = {
        "status": jira_data.STATUSES,
        "priority": jira_data.PRIORITIES,
        "issuetype": jira_data.TYPES,
        "resolution": jira_data.RESOLUTIONS,
    }
    extra = {
        name: tuple(text.casefold() for one in choices for text in (one.id, *one.names.values()))
        for name, choices in named.items()
    }
    extra["resolution"] += ("unresolved",)
    categories = [text for one in jira_data.Category for text in (one.value, *jira_data.CATEGORY_NAMES[one].values())]
    extra["statuscategory"] = tuple(text.casefold() for text in categories)
    extra["component"] = tuple(one.casefold() for one in call.seed.components)
    return Context(
        now=call.now,
        caller=call.account.account_id if call.account else "",
        projects=tuple(text.casefold() for one in projects for text in (one.key, one.id, one.name)),
        extra=extra,
    )


def find_by_jql(call: Call, jql: str) -> list[Issue]:
    """Search as a page's macro does; an unreadable query finds nothing."""
    try:
        query = parse(jql[:JQL_LIMIT], context(call))
    except JqlError:
        return []
    found = [one.id for one in query.select(searchable(call))]
    issues = issues_by_id(call, found)
    return [issues[one] for one in found if one in issues]


def open_and_closed(call: Call, project: Project) -> list[Issue]:
    return [one for one in all_issues(call) if one.project == project.id]


def _refuse_unknown(call: Call, body: dict[str, Any], known: set[str]) -> None:
    unknown = body.keys() - known
    if unknown:
        raise call.refuse(400, f"Invalid request payload: unknown property '{min(unknown)}'.")


def _text(call: Call, body: dict[str, Any], name: str) -> str:
    value = body.get(name, "")
    if not isinstance(value, str):
        raise call.refuse(400, f"Invalid request payload: {name} must be a string.")
    return value


def _strings(call: Call, body: dict[str, Any], name: str) -> tuple[str, ...]:
    value = body.get(name, [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise call.refuse(400, f"Invalid request payload: {name} must be a list of strings.")
    return tuple(value)


def _whole(call: Call, body: dict[str, Any], name: str, default: int, high: int) -> int:
    value = body.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise call.refuse(400, f"Invalid request payload: {name} must be a whole number.")
    return max(0, min(high, value))


def newest(call: Call, limit: int) -> list[Issue]:
    """Return the tickets changed last, for the index page."""
    statement = select(tables.issue.c.id).where(tables.issue.c.service == call.service)
    ids = list(call.db.execute(statement.order_by(tables.issue.c.updated.desc()).limit(limit)).scalars())
    found = issues_by_id(call, ids)
    return [found[one] for one in ids]
