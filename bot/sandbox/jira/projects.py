"""Jira: the projects and their components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.sandbox.jira import catalogue
from bot.sandbox.jira.issue_json import component_json, project_json, self_url, status_json, type_json, user_json
from bot.sandbox.jira.issue_rows import find_project, visible_projects
from bot.sandbox.web.call import Call, json_answer
from bot.sandbox.web.site import Routes

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from bot.sandbox.seed import Project

routes = Routes()


def project_or_refuse(call: Call, key: str) -> Project:
    found = find_project(call, key)
    if found is None:
        raise call.refuse(404, f"No project could be found with key '{key}'.")
    return found


@routes.on("GET", "/rest/api/2/project/<key>")
def get_project(call: Call, key: str) -> Response:
    project = project_or_refuse(call, key)
    answer = project_json(call, project) | {
        "description": "",
        "lead": user_json(call, call.seed.people[0]),
        "components": [component_json(call, str(10_000 + n)) for n, _ in enumerate(call.seed.components)],
        "issueTypes": [type_json(call, one.id) for one in catalogue.TYPES],
        "projectTypeKey": "software",
        "archived": False,
    }
    return json_answer(answer)


@routes.on("GET", "/rest/api/2/project/<key>/components")
def list_components(call: Call, key: str) -> Response:
    project_or_refuse(call, key)
    return json_answer([component_json(call, str(10_000 + n)) for n, _ in enumerate(call.seed.components)])


@routes.on("GET", "/rest/api/2/project/<key>/statuses")
def list_project_statuses(call: Call, key: str) -> Response:
    project_or_refuse(call, key)
    statuses = [status_json(call, one) for one in catalogue.STATUSES]
    return json_answer([type_json(call, one.id) | {"statuses": statuses} for one in catalogue.TYPES])


@routes.on("GET", "/rest/api/2/component/<number>")
def get_component(call: Call, number: str) -> Response:
    if number not in {str(10_000 + n) for n, _ in enumerate(call.seed.components)}:
        raise call.refuse(404, f"The component with id {number} does not exist.")
    return json_answer(component_json(call, number))


def _listed(call: Call, project: Project) -> dict[str, Any]:
    answer = project_json(call, project) | {"projectTypeKey": "software"}
    if call.service.is_cloud:
        answer |= {"simplified": False, "style": "classic", "isPrivate": False}
    if "lead" in call.words("expand"):
        answer["lead"] = user_json(call, call.seed.people[0])
    return answer


@routes.on("GET", "/rest/api/2/project")
def list_projects(call: Call) -> Response:
    return json_answer([_listed(call, one) for one in visible_projects(call)])


@routes.on("GET", "/rest/api/2/project/search")
def search_projects(call: Call) -> Response:
    """Search page by page, which Data Center does not have: there, this is a project of that name."""
    if not call.service.is_cloud:
        raise call.refuse(404, "No project could be found with key 'search'.")
    wanted = call.request.args.get("query", "").casefold()
    keys = {one.upper() for one in call.words("keys")}
    found = [
        one
        for one in visible_projects(call)
        if (not keys or one.key.upper() in keys) and (wanted in one.name.casefold() or wanted in one.key.casefold())
    ]
    start, size = call.number("startAt", 0), call.number("maxResults", 50, high=100)
    page = [_listed(call, one) for one in found[start : start + size]]
    answer = {"self": self_url(call, "project/search"), "startAt": start, "maxResults": size, "total": len(found)}
    return json_answer(answer | {"isLast": start + size >= len(found), "values": page})
