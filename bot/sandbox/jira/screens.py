"""Jira: what a new ticket needs, and what of a ticket may be changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.sandbox.jira import catalogue
from bot.sandbox.jira.issue_json import component_json, named_json, project_json, type_json, version_json
from bot.sandbox.jira.issue_rows import Issue, find_project
from bot.sandbox.jira.refusals import issue_or_refuse
from bot.sandbox.jira.versions import all_versions
from bot.sandbox.web.call import Call, json_answer
from bot.sandbox.web.site import Routes

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from bot.sandbox.seed import Project

cloud = Routes()
datacenter = Routes()
routes = Routes()


@routes.on("GET", "/rest/api/2/issue/createmeta/<key>/issuetypes")
def createmeta_types(call: Call, key: str) -> Response:
    _createmeta_project(call, key)
    return _page(call, [type_json(call, one.id) for one in catalogue.TYPES], "issueTypes")


@routes.on("GET", "/rest/api/2/issue/createmeta/<key>/issuetypes/<number>")
def createmeta_fields(call: Call, key: str, number: str) -> Response:
    _createmeta_project(call, key)
    if catalogue.by_id(catalogue.TYPES, number) is None:
        raise call.refuse(400, f"The issue type with id '{number}' does not exist in this project.")
    rules = call.rulebook.jira(call.service)
    shown = [one for one in catalogue.FIELDS if one.id not in rules.off_screen]
    fields = [_createmeta_field(call, key, one) for one in shown]
    known = {one.id for one in catalogue.FIELDS}
    for name in rules.required_fields:
        if name not in known:
            schema = {"type": "string", "custom": "com.atlassian.jira.plugin.system.customfieldtypes:textfield"}
            fields.append(_field_json(catalogue.Field(name, name, schema, required=True)))
    return _page(call, fields, "fields")


def _createmeta_project(call: Call, key: str) -> Project:
    found = find_project(call, key)
    if found is None:
        raise call.refuse(400, f"No project could be found with id or key '{key}'.")
    return found


def _createmeta_field(call: Call, key: str, field: catalogue.Field) -> dict[str, Any]:
    answer = _field_json(field)
    answer["required"] = field.required or field.id in call.rulebook.jira(call.service).required_fields
    choices: list[Any] | None = None
    match field.id:
        case "priority":
            choices = [named_json(call, "priority", catalogue.PRIORITIES, one.id) for one in catalogue.PRIORITIES]
        case "issuetype":
            choices = [type_json(call, one.id) for one in catalogue.TYPES]
        case "components":
            choices = [component_json(call, str(10_000 + n)) for n, _ in enumerate(call.seed.components)]
        case "fixVersions":
            choices = [version_json(call, one) for one in all_versions(call)]
        case "project":
            choices = [project_json(call, _createmeta_project(call, key))]
    if choices is not None:
        answer["allowedValues"] = choices
    return answer


def _field_json(field: catalogue.Field) -> dict[str, Any]:
    return {
        "required": field.required,
        "schema": dict(field.schema),
        "name": field.name,
        "key": field.id,
        "fieldId": field.id,
        "hasDefaultValue": field.has_default,
        "operations": list(field.operations),
    }


def _page(call: Call, values: list[Any], name: str) -> Response:
    """Answer a page of createmeta: Cloud names its list, Data Center calls it `values`."""
    start, size = call.number("startAt", 0), call.number("maxResults", 50, high=200)
    page = values[start : start + size]
    answer: dict[str, Any] = {"startAt": start, "maxResults": size, "total": len(values)}
    if call.service.is_cloud:
        return json_answer(answer | {name: page})
    return json_answer(answer | {"isLast": start + size >= len(values), "values": page})


@routes.on("GET", "/rest/api/2/issue/<key>/editmeta")
def edit_meta(call: Call, key: str) -> Response:
    return json_answer(edit_screen(call, issue_or_refuse(call, key)))


def edit_screen(call: Call, issue: Issue) -> dict[str, Any]:
    """Say which fields of a ticket may be changed; none where the caller may not edit."""
    rules = call.rulebook.jira(call.service)
    if "EDIT_ISSUES" in rules.denied:
        return {"fields": {}}
    project = next(one for one in call.seed.projects if one.id == issue.project)
    shown = [one for one in catalogue.FIELDS if one.id not in ("project", *rules.off_screen)]
    return {"fields": {one.id: _createmeta_field(call, project.key, one) for one in shown}}


@cloud.on("GET", "/rest/api/2/issue/createmeta")
def old_createmeta_removed(call: Call) -> Response:
    raise call.refuse(
        410, "The requested API has been removed. Please use the createmeta API of a project's issue types."
    )


@datacenter.on("GET", "/rest/api/2/issue/createmeta")
def old_createmeta_gone(call: Call) -> Response:
    raise call.refuse(404, "Issue Does Not Exist")
