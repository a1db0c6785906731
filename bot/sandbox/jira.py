"""The stand-in for Jira, Cloud and Data Center: what the site knows, and all addresses together."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from bot.sandbox import (
    jira_comments,
    jira_data,
    jira_issues,
    jira_pages,
    jira_parts,
    jira_projects,
    jira_refusals,
    jira_screens,
    jira_single,
    jira_versions,
)
from bot.sandbox.jira_store import (
    all_issues,
    component_json,
    described_time,
    find_project,
    named_json,
    project_json,
    status_json,
    type_json,
    user_json,
)
from bot.sandbox.web import Call, Routes, json_answer

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from bot.sandbox.seed import Project
    from bot.sandbox.web import Dialect

site = Routes()

CLOUD_VERSION = (1001, 0, 0)
DATACENTER_VERSION = (10, 3, 24)


@site.on("GET", "/rest/api/2/serverInfo")
def server_info(call: Call) -> Response:
    version = CLOUD_VERSION if call.service.is_cloud else DATACENTER_VERSION
    number = ".".join(map(str, version))
    answer: dict[str, Any] = {
        "baseUrl": call.base,
        "version": f"{number}-SNAPSHOT" if call.service.is_cloud else number,
        "versionNumbers": list(version),
        "deploymentType": "Cloud" if call.service.is_cloud else "Server",
        "buildNumber": 100_286,
        "buildDate": "2026-11-01T00:00:00.000+00:00",
        "serverTime": described_time(call.now),
        "scmInfo": "sandbox",
        "serverTitle": "Jira (sandbox)",
    }
    return json_answer(answer)


@site.on("GET", "/rest/api/2/myself")
def myself(call: Call) -> Response:
    return json_answer(user_json(call, call.caller))


@site.on("GET", "/rest/api/2/mypermissions")
def my_permissions(call: Call) -> Response:
    wanted = call.words("permissions")
    if call.service.is_cloud and not wanted:
        raise call.refuse(400, "The 'permissions' query parameter is required.")
    known = {key for _, key, _ in jira_data.PERMISSIONS}
    unknown = sorted(set(wanted) - known)
    if unknown:
        raise call.refuse(400, f"Unrecognized permission: {unknown[0]}")
    project = call.request.args.get("projectKey") or call.request.args.get("projectId")
    if project and find_project(call, project) is None:
        raise call.refuse(404, f"No project could be found with key '{project}'.")
    denied = call.rulebook.jira(call.service).denied
    shown = {
        key: {
            "id": number,
            "key": key,
            "name": name,
            "type": "PROJECT",
            "description": name,
            "havePermission": key not in denied,
        }
        for number, key, name in jira_data.PERMISSIONS
        if not wanted or key in wanted
    }
    return json_answer({"permissions": shown})


def _project(call: Call, key: str) -> Project:
    found = find_project(call, key)
    if found is None:
        raise call.refuse(404, f"No project could be found with key '{key}'.")
    return found


@site.on("GET", "/rest/api/2/project/<key>")
def get_project(call: Call, key: str) -> Response:
    project = _project(call, key)
    answer = project_json(call, project) | {
        "description": "",
        "lead": user_json(call, call.seed.people[0]),
        "components": [component_json(call, str(10_000 + n)) for n, _ in enumerate(call.seed.components)],
        "issueTypes": [type_json(call, one.id) for one in jira_data.TYPES],
        "projectTypeKey": "software",
        "archived": False,
    }
    return json_answer(answer)


@site.on("GET", "/rest/api/2/project/<key>/components")
def list_components(call: Call, key: str) -> Response:
    _project(call, key)
    return json_answer([component_json(call, str(10_000 + n)) for n, _ in enumerate(call.seed.components)])


@site.on("GET", "/rest/api/2/project/<key>/statuses")
def list_project_statuses(call: Call, key: str) -> Response:
    _project(call, key)
    statuses = [status_json(call, one) for one in jira_data.STATUSES]
    return json_answer([type_json(call, one.id) | {"statuses": statuses} for one in jira_data.TYPES])


@site.on("GET", "/rest/api/2/component/<number>")
def get_component(call: Call, number: str) -> Response:
    if number not in {str(10_000 + n) for n, _ in enumerate(call.seed.components)}:
        raise call.refuse(404, f"The component with id {number} does not exist.")
    return json_answer(component_json(call, number))


@site.on("GET", "/rest/api/2/field")
def list_fields(call: Call) -> Response:
    shown = []
    for one in (*jira_data.FIELDS, *jira_data.SERVER_FIELDS):
        is_custom = "custom" in one.schema
        clauses = [f"cf[{one.schema['customId']}]", one.name] if is_custom else [one.id]
        field = {"id": one.id, "name": one.name, "custom": is_custom, "orderable": True, "navigable": True}
        shown.append(field | {"searchable": True, "clauseNames": clauses, "schema": dict(one.schema)})
        if call.service.is_cloud:
            shown[-1]["key"] = one.id
    return json_answer(shown)


@site.on("GET", "/rest/api/2/status")
def list_statuses(call: Call) -> Response:
    return json_answer([status_json(call, one) for one in jira_data.STATUSES])


@site.on("GET", "/rest/api/2/resolution")
def list_resolutions(call: Call) -> Response:
    return json_answer([named_json(call, "resolution", jira_data.RESOLUTIONS, one.id) for one in jira_data.RESOLUTIONS])


@site.on("GET", "/rest/api/2/priority")
def list_priorities(call: Call) -> Response:
    return json_answer([named_json(call, "priority", jira_data.PRIORITIES, one.id) for one in jira_data.PRIORITIES])


@site.on("GET", "/rest/api/2/issuetype")
def list_types(call: Call) -> Response:
    return json_answer([type_json(call, one.id) for one in jira_data.TYPES])


@site.on("GET", "/rest/api/2/label")
def list_labels(call: Call) -> Response:
    labels = sorted({label for issue in all_issues(call) for label in issue.fields["labels"]})
    start, size = call.number("startAt", 0), call.number("maxResults", 1000, high=1000)
    page = labels[start : start + size]
    answer = {"startAt": start, "maxResults": size, "total": len(labels), "values": page}
    return json_answer(answer | {"isLast": start + size >= len(labels)})


@site.on("GET", "/rest/api/2/user")
def get_user(call: Call) -> Response:
    from bot.sandbox.jira_fields import find_person

    wanted = call.request.args.get("accountId" if call.service.is_cloud else "username", "")
    person = find_person(call, wanted)
    if person is None:
        raise call.refuse(404, f"The user named '{wanted}' does not exist")
    return json_answer(user_json(call, person))


@site.on("GET", "/rest/api/2/user/search")
@site.on("GET", "/rest/api/2/user/assignable/search")
def search_people(call: Call) -> Response:
    is_assignable = call.request.path.endswith("assignable/search")
    project = call.request.args.get("project")
    if is_assignable and not project and not call.request.args.get("issueKey"):
        raise call.refuse(400, "The query parameter 'project' or 'issueKey' is required.")
    if project:
        _project(call, project)
    name = "query" if call.service.is_cloud else "username"
    wanted = call.request.args.get(name, "").casefold()
    only = call.request.args.get("accountId")
    found = [
        one
        for one in call.seed.accounts
        if (only is None or only == one.account_id)
        and any(wanted in text.casefold() for text in (one.display_name, one.email, one.name))
    ]
    start, size = call.number("startAt", 0), call.number("maxResults", 50, high=1000)
    return json_answer([user_json(call, one) for one in found[start : start + size]])


@cache  # compiling the addresses takes longer than all else at the start
def cloud() -> tuple[Routes, Dialect]:
    return _all(jira_issues.cloud), jira_refusals.CLOUD


@cache
def datacenter() -> tuple[Routes, Dialect]:
    return _all(jira_issues.datacenter), jira_refusals.DATACENTER


def _all(deployment: Routes) -> Routes:
    """Put all addresses together; Cloud answers each in its interface 3 too, where texts are documents.

    `latest`, which the package jira asks here and there, is interface 2.
    """
    parts = (site, jira_screens.routes, jira_projects.routes, jira_versions.routes, jira_single.routes)
    interface = Routes(*parts, jira_issues.common, deployment, jira_comments.routes, jira_parts.routes)
    newer = interface.under("/rest/api/2/", "/rest/api/3/") if deployment is jira_issues.cloud else Routes()
    latest = interface.under("/rest/api/2/", "/rest/api/latest/")
    return Routes(interface, newer, latest, jira_pages.routes)
