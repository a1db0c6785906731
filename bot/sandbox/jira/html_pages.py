"""Jira's pages: the tickets of a project as a list and as a board."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from bot.sandbox.jira import catalogue
from bot.sandbox.jira.issue_json import language
from bot.sandbox.jira.issue_rows import Issue, find_project, open_and_closed
from bot.sandbox.web.html_pages import Face, Moment, face, moment, not_there, page
from bot.sandbox.web.site import Routes

if TYPE_CHECKING:
    from bot.sandbox.seed import Project
    from bot.sandbox.web.call import Call

routes = Routes()

HUES = {
    catalogue.Category.NEW: "grey",
    catalogue.Category.INDETERMINATE: "blue",
    catalogue.Category.DONE: "green",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A ticket in a list or on a board."""

    key: str
    url: str
    summary: str
    type: str
    type_id: str
    status: str
    hue: str
    priority: str
    priority_id: str
    labels: list[str]
    assignee: Face
    updated: Moment
    is_done: bool


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    hue: str
    rows: list[Row]


def row_of(call: Call, issue: Issue) -> Row:
    words = language(call)
    kind = catalogue.by_id(catalogue.TYPES, issue.fields["issuetype"])
    priority = catalogue.by_id(catalogue.PRIORITIES, issue.fields["priority"])
    assert kind is not None  # tickets are stored with known ids only
    assert priority is not None
    return Row(
        key=issue.key,
        url=f"{call.base}/browse/{issue.key}",
        summary=issue.fields["summary"],
        type=kind.name(words),
        type_id=kind.id,
        status=issue.status.name(words),
        hue=HUES[issue.status.category],
        priority=priority.name(words),
        priority_id=priority.id,
        labels=issue.fields["labels"],
        assignee=face(call.seed.account(issue.fields["assignee"])),
        updated=moment(issue.updated),
        is_done=issue.status.category is catalogue.Category.DONE,
    )


def product_name(call: Call) -> str:
    return "Jira (sandbox)" if call.service.is_cloud else "Jira Data Center (sandbox)"


@routes.on("GET", "/", is_open=True)
@routes.on("GET", "/browse", is_open=True)
def front(call: Call) -> Response:
    return redirect(f"{call.base}/projects/{call.seed.projects[0].key}/issues")


def _project(call: Call, key: str) -> Project | None:
    return find_project(replace(call, account=None), key)


@routes.on("GET", "/projects/<key>", is_open=True)
@routes.on("GET", "/projects/<key>/issues", is_open=True)
def issue_list(call: Call, key: str) -> Response:
    project = _project(call, key)
    if project is None:
        return not_there(f"the project {key[:60]}")
    reader = replace(call, account=None)
    rows = [row_of(reader, one) for one in reversed(open_and_closed(reader, project))]
    return page("tickets.html.j2", product=product_name(call), base=call.base, project=project, rows=rows)


@routes.on("GET", "/projects/<key>/board", is_open=True)
def board(call: Call, key: str) -> Response:
    project = _project(call, key)
    if project is None:
        return not_there(f"the project {key[:60]}")
    reader = replace(call, account=None)
    issues = open_and_closed(reader, project)
    columns = [
        Column(
            name=status.name(language(call)),
            hue=HUES[status.category],
            rows=[row_of(reader, one) for one in reversed(issues) if one.status.id == status.id],
        )
        for status in catalogue.STATUSES
    ]
    return page("board.html.j2", product=product_name(call), base=call.base, project=project, columns=columns)


_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" width="16" height="16">'
    '<circle cx="8" cy="8" r="7" fill="#6b7689"/></svg>'
)


@routes.on("GET", "/static/<name>.svg", is_open=True)
@routes.on("GET", "/avatar/<name>.svg", is_open=True)
def icon(_call: Call, name: str) -> Response:  # noqa: ARG001 - one picture for all
    return Response(_ICON, content_type="image/svg+xml")
