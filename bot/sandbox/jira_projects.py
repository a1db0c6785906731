"""Jira: which projects there are, and single ones of what a site has once: types, statuses, priorities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.sandbox import jira_data
from bot.sandbox.jira_store import (
    language,
    named_json,
    project_json,
    self_url,
    status_json,
    type_json,
    user_json,
    visible_projects,
)
from bot.sandbox.web import Call, Routes, json_answer

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from bot.sandbox.seed import Project

routes = Routes()


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


@routes.on("GET", "/rest/api/2/issuetype/<number>")
def get_type(call: Call, number: str) -> Response:
    if jira_data.by_id(jira_data.TYPES, number) is None:
        raise call.refuse(404, f"The issue type with id '{number}' does not exist")
    return json_answer(type_json(call, number))


@routes.on("GET", "/rest/api/2/priority/<number>")
def get_priority(call: Call, number: str) -> Response:
    return _named(call, "priority", jira_data.PRIORITIES, number)


@routes.on("GET", "/rest/api/2/resolution/<number>")
def get_resolution(call: Call, number: str) -> Response:
    return _named(call, "resolution", jira_data.RESOLUTIONS, number)


def _named(call: Call, kind: str, choices: tuple[jira_data.Named, ...], number: str) -> Response:
    found = named_json(call, kind, choices, number)
    if found is None:
        raise call.refuse(404, f"The {kind} with id '{number}' does not exist")
    return json_answer(found)


@routes.on("GET", "/rest/api/2/status/<wanted>")
def get_status(call: Call, wanted: str) -> Response:
    found = jira_data.find_named(jira_data.STATUSES, wanted)
    if not isinstance(found, jira_data.Status):
        raise call.refuse(404, f"The status with id '{wanted}' does not exist")
    return json_answer(status_json(call, found))


@routes.on("GET", "/rest/api/2/statuscategory")
def list_categories(call: Call) -> Response:
    shown = [
        {
            "self": self_url(call, f"statuscategory/{number}"),
            "id": number,
            "key": category.value,
            "colorName": jira_data.CATEGORY_COLOURS[category],
            "name": jira_data.CATEGORY_NAMES[category].get(language(call)),
        }
        for category, number in jira_data.CATEGORY_IDS.items()
    ]
    return json_answer(shown)
