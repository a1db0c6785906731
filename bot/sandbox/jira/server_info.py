"""Jira: which server this is, and what a caller may do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.sandbox.jira import catalogue
from bot.sandbox.jira.issue_json import described_time
from bot.sandbox.jira.issue_rows import find_project
from bot.sandbox.web.call import Call, json_answer
from bot.sandbox.web.site import Routes

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

routes = Routes()

CLOUD_VERSION = (1001, 0, 0)
DATACENTER_VERSION = (10, 3, 24)


@routes.on("GET", "/rest/api/2/serverInfo")
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


@routes.on("GET", "/rest/api/2/mypermissions")
def my_permissions(call: Call) -> Response:
    wanted = call.words("permissions")
    if call.service.is_cloud and not wanted:
        raise call.refuse(400, "The 'permissions' query parameter is required.")
    known = {key for _, key, _ in catalogue.PERMISSIONS}
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
        for number, key, name in catalogue.PERMISSIONS
        if not wanted or key in wanted
    }
    return json_answer({"permissions": shown})
