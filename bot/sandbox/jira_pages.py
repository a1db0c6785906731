"""Jira's pages: a ticket, the list of a project, its board."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from markupsafe import Markup
from sqlalchemy import select
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from bot.sandbox import jira_data, tables, wikimarkup
from bot.sandbox.jira_fields import field_name
from bot.sandbox.jira_issues import open_and_closed
from bot.sandbox.jira_parts import remote_links_of
from bot.sandbox.jira_store import Issue, attachments_of, comments_of, find_issue, find_project, language, links_of
from bot.sandbox.templating import Face, Moment, face, moment, not_there, page, size_words
from bot.sandbox.uploads import SHOWN_INLINE
from bot.sandbox.web import Call, Routes

if TYPE_CHECKING:
    from bot.sandbox.seed import Project

routes = Routes()

HUES = {
    jira_data.Category.NEW: "grey",
    jira_data.Category.INDETERMINATE: "blue",
    jira_data.Category.DONE: "green",
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
class Comment:
    author: Face
    at: Moment
    is_edited: bool
    body: Markup
    number: int


@dataclass(frozen=True, slots=True)
class Link:
    kind: str
    title: str
    url: str
    note: str
    row: Row | None = None


@dataclass(frozen=True, slots=True)
class File:
    name: str
    url: str
    size: str
    is_picture: bool
    at: Moment


@dataclass(frozen=True, slots=True)
class Change:
    author: Face
    at: Moment
    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    hue: str
    rows: list[Row]


def row_of(call: Call, issue: Issue) -> Row:
    words = language(call)
    kind = jira_data.by_id(jira_data.TYPES, issue.fields["issuetype"])
    priority = jira_data.by_id(jira_data.PRIORITIES, issue.fields["priority"])
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
        is_done=issue.status.category is jira_data.Category.DONE,
    )


def product_name(call: Call) -> str:
    return "Jira (sandbox)" if call.service.is_cloud else "Jira Data Center (sandbox)"


@routes.on("GET", "/", is_open=True)
@routes.on("GET", "/browse", is_open=True)
def front(call: Call) -> Response:
    return redirect(f"{call.base}/projects/{call.seed.projects[0].key}/issues")


@routes.on("GET", "/browse/<key>", is_open=True)
def ticket(call: Call, key: str) -> Response:
    reader = replace(call, account=None)
    issue = find_issue(reader, key)
    if issue is None:
        return _project_or_nothing(reader, key)
    files = _files(reader, issue)
    context = _context(reader, files)
    fields = issue.fields
    return page(
        "ticket.html.j2",
        product=product_name(call),
        base=call.base,
        project=next(one for one in call.seed.projects if one.id == issue.project),
        ticket=row_of(reader, issue),
        description=_rendered(fields["description"], context),
        comments=_comments(reader, issue, context),
        links=[*_remote_links(reader, issue), *_ticket_links(reader, issue)],
        files=files,
        changes=_changes(reader, issue),
        reporter=face(call.seed.account(fields["reporter"])),
        created=moment(issue.created),
        resolution=_resolution(reader, issue),
        due=fields["duedate"],
        components=[call.seed.components[int(one) - 10_000] for one in fields["components"]],
        extra=_extra_fields(fields),
        texts=_long_fields(fields, context),
        watchers=_watchers(reader, issue),
    )


def _project_or_nothing(call: Call, key: str) -> Response:
    if find_project(call, key):
        return redirect(f"{call.base}/projects/{quote(key.upper())}/issues")
    return not_there(f"the ticket {key[:60]}")


def _rendered(text: str | None, context: wikimarkup.Context) -> Markup:
    return Markup(wikimarkup.render(text, context) if text else "")  # noqa: S704 - the renderer escapes


def _files(call: Call, issue: Issue) -> list[File]:
    return [
        File(
            name=row.filename,
            url=f"{call.base}/secure/attachment/{row.id}/{quote(row.filename)}",
            size=size_words(row.size),
            is_picture=row.media_type in SHOWN_INLINE,
            at=moment(row.created),
        )
        for row in attachments_of(call, str(issue.id))
    ]


def _context(call: Call, files: list[File]) -> wikimarkup.Context:
    pictures = {one.name: one.url for one in files}
    names = {name: one.display_name for one in call.seed.accounts for name in (one.account_id, one.name)}

    def ticket_url(key: str) -> str | None:
        return f"{call.base}/browse/{key}" if find_issue(call, key) else None

    return wikimarkup.Context(picture=pictures.get, person=names.get, ticket=ticket_url)


def _comments(call: Call, issue: Issue, context: wikimarkup.Context) -> list[Comment]:
    return [
        Comment(
            author=face(call.seed.account(row.author)),
            at=moment(row.created),
            is_edited=row.updated > row.created,
            body=_rendered(row.body, context),
            number=row.id,
        )
        for row in comments_of(call, issue)
    ]


def _remote_links(call: Call, issue: Issue) -> list[Link]:
    links = []
    for row in remote_links_of(call, issue):
        target = row.document["object"]
        summary = target.get("summary")
        kind = row.document.get("relationship") or "links to"
        links.append(Link(kind, target["title"], target["url"], summary if isinstance(summary, str) else ""))
    return links


def _ticket_links(call: Call, issue: Issue) -> list[Link]:
    links = []
    for row, is_outward_end, other in links_of(call, issue):
        kind = next(one for one in jira_data.LINK_TYPES if one.name == row.type)
        shown = row_of(call, other)
        links.append(Link(kind.inward if is_outward_end else kind.outward, shown.summary, shown.url, "", shown))
    return links


def _changes(call: Call, issue: Issue) -> list[Change]:
    where = tables.activity.c.issue == issue.id
    rows = call.db.execute(select(tables.activity).where(where).order_by(tables.activity.c.id.desc()).limit(100))
    return [
        Change(
            author=face(call.seed.account(row.author)),
            at=moment(row.at),
            field=field_name(item["field"]).replace("RemoteWorkItemLink", "Link"),
            before=_in_words(call, item["field"], item["from"]),
            after=_in_words(call, item["field"], item["to"]),
        )
        for row in rows
        for item in row.items
        if item["field"] != "resolutiondate"
    ]


def _in_words(call: Call, field: str, value: Any) -> str:
    """Name what a field was; long texts are not repeated."""
    choices: dict[str, tuple[jira_data.Named, ...]] = {
        "status": jira_data.STATUSES,
        "resolution": jira_data.RESOLUTIONS,
        "priority": jira_data.PRIORITIES,
        "issuetype": jira_data.TYPES,
    }
    if value in (None, "", []):
        return ""
    if field in choices:
        found = jira_data.by_id(choices[field], value)
        return found.name(language(call)) if found else str(value)
    if field in ("assignee", "reporter"):
        return face(call.seed.account(value)).name
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 80 else text[:79] + "…"  # noqa: PLR2004


def _resolution(call: Call, issue: Issue) -> str:
    found = jira_data.by_id(jira_data.RESOLUTIONS, issue.fields["resolution"])
    return found.name(language(call)) if found else "Unresolved"


def _extra_fields(fields: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the team's own short fields that have a value."""
    names = [name for name in fields if name.startswith("customfield_") and name != "customfield_10030"]
    return [(field_name(name), f"{fields[name]}") for name in names if fields[name] not in (None, "")]


def _long_fields(fields: dict[str, Any], context: wikimarkup.Context) -> list[tuple[str, Markup]]:
    names = ("environment", "customfield_10030")
    return [(field_name(name), _rendered(fields[name], context)) for name in names if fields[name]]


def _watchers(call: Call, issue: Issue) -> list[Face]:
    ids = call.db.execute(select(tables.watcher.c.account).where(tables.watcher.c.issue == issue.id)).scalars()
    return [face(call.seed.account(one)) for one in ids]


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
        for status in jira_data.STATUSES
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
