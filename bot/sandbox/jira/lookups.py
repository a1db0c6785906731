"""Jira: what a site has once: fields, types, statuses, priorities, resolutions, labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.sandbox.jira import catalogue
from bot.sandbox.jira.issue_json import language, named_json, self_url, status_json, type_json
from bot.sandbox.jira.issue_rows import all_issues
from bot.sandbox.web.call import Call, json_answer
from bot.sandbox.web.site import Routes

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

routes = Routes()


@routes.on("GET", "/rest/api/2/field")
def list_fields(call: Call) -> Response:
    shown = []
    for one in (*catalogue.FIELDS, *catalogue.SERVER_FIELDS):
        is_custom = "custom" in one.schema
        clauses = [f"cf[{one.schema['customId']}]", one.name] if is_custom else [one.id]
        field = {"id": one.id, "name": one.name, "custom": is_custom, "orderable": True, "navigable": True}
        shown.append(field | {"searchable": True, "clauseNames": clauses, "schema": dict(one.schema)})
        if call.service.is_cloud:
            shown[-1]["key"] = one.id
    return json_answer(shown)


@routes.on("GET", "/rest/api/2/status")
def list_statuses(call: Call) -> Response:
    return json_answer([status_json(call, one) for one in catalogue.STATUSES])


@routes.on("GET", "/rest/api/2/resolution")
def list_resolutions(call: Call) -> Response:
    return json_answer([named_json(call, "resolution", catalogue.RESOLUTIONS, one.id) for one in catalogue.RESOLUTIONS])


@routes.on("GET", "/rest/api/2/priority")
def list_priorities(call: Call) -> Response:
    return json_answer([named_json(call, "priority", catalogue.PRIORITIES, one.id) for one in catalogue.PRIORITIES])


@routes.on("GET", "/rest/api/2/issuetype")
def list_types(call: Call) -> Response:
    return json_answer([type_json(call, one.id) for one in catalogue.TYPES])


@routes.on("GET", "/rest/api/2/label")
def list_labels(call: Call) -> Response:
    labels = sorted({label for issue in all_issues(call) for label in issue.fields["labels"]})
    start, size = call.number("startAt", 0), call.number("maxResults", 1000, high=1000)
    page = labels[start : start + size]
    answer = {"startAt": start, "maxResults": size, "total": len(labels), "values": page}
    return json_answer(answer | {"isLast": start + size >= len(labels)})


@routes.on("GET", "/rest/api/2/issuetype/<number>")
def get_type(call: Call, number: str) -> Response:
    if catalogue.by_id(catalogue.TYPES, number) is None:
        raise call.refuse(404, f"The issue type with id '{number}' does not exist")
    return json_answer(type_json(call, number))


@routes.on("GET", "/rest/api/2/priority/<number>")
def get_priority(call: Call, number: str) -> Response:
    return _named(call, "priority", catalogue.PRIORITIES, number)


@routes.on("GET", "/rest/api/2/resolution/<number>")
def get_resolution(call: Call, number: str) -> Response:
    return _named(call, "resolution", catalogue.RESOLUTIONS, number)


def _named(call: Call, kind: str, choices: tuple[catalogue.Named, ...], number: str) -> Response:
    found = named_json(call, kind, choices, number)
    if found is None:
        raise call.refuse(404, f"The {kind} with id '{number}' does not exist")
    return json_answer(found)


@routes.on("GET", "/rest/api/2/status/<wanted>")
def get_status(call: Call, wanted: str) -> Response:
    found = catalogue.find_named(catalogue.STATUSES, wanted)
    if not isinstance(found, catalogue.Status):
        raise call.refuse(404, f"The status with id '{wanted}' does not exist")
    return json_answer(status_json(call, found))


@routes.on("GET", "/rest/api/2/statuscategory")
def list_categories(call: Call) -> Response:
    shown = [
        {
            "self": self_url(call, f"statuscategory/{number}"),
            "id": number,
            "key": category.value,
            "colorName": catalogue.CATEGORY_COLOURS[category],
            "name": catalogue.CATEGORY_NAMES[category].get(language(call)),
        }
        for category, number in catalogue.CATEGORY_IDS.items()
    ]
    return json_answer(shown)
