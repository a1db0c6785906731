"""Jira: the releases of a project, which tickets name as the ones that mend them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from werkzeug.wrappers import Response

from bot.sandbox.jira import tables
from bot.sandbox.jira.issue_json import version_json
from bot.sandbox.jira.issue_rows import find_project, visible_projects
from bot.sandbox.jira.refusals import refuse_fields
from bot.sandbox.web.call import Call, json_answer, row_id
from bot.sandbox.web.database import next_number
from bot.sandbox.web.site import Routes

if TYPE_CHECKING:
    from bot.sandbox.seed import Project

routes = Routes()

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_NAME_LIMIT = 255


def all_versions(call: Call) -> list[Any]:
    """Return the releases of every project that the caller may see."""
    seen = {one.id for one in visible_projects(call)}
    where = tables.version.c.service == call.service
    rows = call.db.execute(select(tables.version).where(where).order_by(tables.version.c.id))
    return [row for row in rows if row.project in seen]


def _project(call: Call, key: str) -> Project:
    found = find_project(call, key)
    if found is None:
        raise call.refuse(404, f"No project could be found with key '{key}'.")
    return found


def _of_project(call: Call, key: str) -> list[Any]:
    project = _project(call, key)
    return [row for row in all_versions(call) if row.project == project.id]


@routes.on("GET", "/rest/api/2/project/<key>/versions")
def list_versions(call: Call, key: str) -> Response:
    return json_answer([version_json(call, row) for row in _of_project(call, key)])


@routes.on("GET", "/rest/api/2/project/<key>/version")
def list_versions_by_page(call: Call, key: str) -> Response:
    rows = _of_project(call, key)
    start, size = call.number("startAt", 0), call.number("maxResults", 50, high=50)
    page = [version_json(call, row) for row in rows[start : start + size]]
    answer = {"startAt": start, "maxResults": size, "total": len(rows), "isLast": start + size >= len(rows)}
    return json_answer(answer | {"values": page})


@routes.on("POST", "/rest/api/2/version")
def create_version(call: Call) -> Response:
    body = call.json_object()
    wanted = body.get("projectId") or body.get("project")
    project = find_project(call, str(wanted)) if wanted else None
    if project is None:
        raise call.refuse(404 if wanted else 400, "Project must be specified to create a version.")
    values = _values(body, {"description": "", "archived": False, "released": False, "release_date": None})
    if "name" not in values:
        raise refuse_fields({"name": "You must specify a valid version name"})
    _refuse_taken(call, project.id, values["name"], None)
    number = next_number(call.db, "version", 10_000)
    row = {"id": number, "service": call.service, "project": project.id, **values}
    call.db.execute(tables.version.insert().values(**row))
    return json_answer(version_json(call, _version(call, str(number))), 201)


def _values(body: dict[str, Any], first: dict[str, Any]) -> dict[str, Any]:
    """Read what a release is to be, on top of what it is."""
    values, errors = dict(first), {}
    for name, kind in (("name", str), ("description", str), ("archived", bool), ("released", bool)):
        if body.get(name) is not None:
            values[name] = body[name]
            if not isinstance(body[name], kind):
                errors[name] = f"{name}: the value is not valid."
    if not str(values.get("name", "x")).strip() or len(str(values.get("name", ""))) > _NAME_LIMIT:
        errors["name"] = "You must specify a valid version name"
    if body.get("releaseDate") is not None:
        values["release_date"] = body["releaseDate"]
        if not isinstance(body["releaseDate"], str) or not _DATE.fullmatch(body["releaseDate"]):
            errors["releaseDate"] = "releaseDate: the date is not valid."
    if errors:
        raise refuse_fields(errors)
    return values


def _refuse_taken(call: Call, project: str, name: str, mine: int | None) -> None:
    taken = [row for row in all_versions(call) if row.project == project and row.name == name and row.id != mine]
    if taken:
        raise refuse_fields({"name": "A version with this name already exists in this project."})


def _version(call: Call, number: str) -> Any:
    row = next((one for one in all_versions(call) if one.id == row_id(number)), None)
    if row is None:
        raise call.refuse(404, f"Could not find version for id '{number}'")
    return row


@routes.on("GET", "/rest/api/2/version/<number>")
def get_version(call: Call, number: str) -> Response:
    return json_answer(version_json(call, _version(call, number)))


@routes.on("PUT", "/rest/api/2/version/<number>")
def edit_version(call: Call, number: str) -> Response:
    row = _version(call, number)
    values = _values(call.json_object(), {})
    if "name" in values:
        _refuse_taken(call, row.project, values["name"], row.id)
    if values:
        call.db.execute(tables.version.update().where(tables.version.c.id == row.id).values(**values))
    return json_answer(version_json(call, _version(call, number)))


@routes.on("DELETE", "/rest/api/2/version/<number>")
def delete_version(call: Call, number: str) -> Response:
    row = _version(call, number)
    call.db.execute(tables.version.delete().where(tables.version.c.id == row.id))
    return Response(status=204)
