"""Jira: searching tickets by JQL, in each deployment's way."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.sandbox.jira import catalogue
from bot.sandbox.jira.issue_json import issue_json
from bot.sandbox.jira.issue_rows import Issue, issues_by_id, searchable, visible_projects
from bot.sandbox.jira.jql import IndexedIssue, JqlError, Query, QueryContext, parse
from bot.sandbox.web.call import Call, json_answer
from bot.sandbox.web.site import Routes

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

cloud = Routes()
datacenter = Routes()
PAGE = 50
LARGEST_PAGE = 100
LARGEST_PAGE_OF_KEYS = 5000
RECONCILED_AT_MOST = 50
JQL_LIMIT = 20_000  # characters


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


def context(call: Call) -> QueryContext:
    """Say which names a query may use."""
    projects = visible_projects(call)
    named: dict[str, tuple[catalogue.Named, ...]] = {
        "status": catalogue.STATUSES,
        "priority": catalogue.PRIORITIES,
        "issuetype": catalogue.TYPES,
        "resolution": catalogue.RESOLUTIONS,
    }
    extra = {
        name: tuple(text.casefold() for one in choices for text in (one.id, *one.names.values()))
        for name, choices in named.items()
    }
    extra["resolution"] += ("unresolved",)
    categories = [text for one in catalogue.Category for text in (one.value, *catalogue.CATEGORY_NAMES[one].values())]
    extra["statuscategory"] = tuple(text.casefold() for text in categories)
    extra["component"] = tuple(one.casefold() for one in call.seed.components)
    return QueryContext(
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
