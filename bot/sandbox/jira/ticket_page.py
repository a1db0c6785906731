"""Jira's page of one ticket."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from markupsafe import Markup
from sqlalchemy import select
from werkzeug.utils import redirect

from bot.sandbox.jira import catalogue, tables
from bot.sandbox.jira.fields import field_name
from bot.sandbox.jira.html_pages import Row, product_name, row_of
from bot.sandbox.jira.issue_json import language
from bot.sandbox.jira.issue_rows import Issue, comments_of, find_issue, find_project, links_of
from bot.sandbox.jira.remote_links import remote_links_of
from bot.sandbox.markup import wiki_markup
from bot.sandbox.markup.wiki_inline import WikiContext
from bot.sandbox.web.html_pages import Face, Moment, ShownComment, ShownFile, face, moment, not_there, page, size_words
from bot.sandbox.web.site import Routes
from bot.sandbox.web.uploads import SHOWN_INLINE, attachments_of

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from bot.sandbox.web.call import Call

routes = Routes()


@dataclass(frozen=True, slots=True)
class TicketComment(ShownComment):
    number: int


@dataclass(frozen=True, slots=True)
class Link:
    kind: str
    title: str
    url: str
    note: str
    row: Row | None = None


@dataclass(frozen=True, slots=True)
class TicketFile(ShownFile):
    at: Moment


@dataclass(frozen=True, slots=True)
class Change:
    author: Face
    at: Moment
    field: str
    before: str
    after: str


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


def _rendered(text: str | None, context: WikiContext) -> Markup:
    return Markup(wiki_markup.render(text, context) if text else "")  # noqa: S704 - the renderer escapes


def _files(call: Call, issue: Issue) -> list[TicketFile]:
    return [
        TicketFile(
            name=row.filename,
            url=f"{call.base}/secure/attachment/{row.id}/{quote(row.filename)}",
            size=size_words(row.size),
            is_picture=row.media_type in SHOWN_INLINE,
            at=moment(row.created),
        )
        for row in attachments_of(call, str(issue.id))
    ]


def _context(call: Call, files: list[TicketFile]) -> WikiContext:
    pictures = {one.name: one.url for one in files}
    names = {name: one.display_name for one in call.seed.accounts for name in (one.account_id, one.name)}

    def ticket_url(key: str) -> str | None:
        return f"{call.base}/browse/{key}" if find_issue(call, key) else None

    return WikiContext(picture=pictures.get, person=names.get, ticket=ticket_url)


def _comments(call: Call, issue: Issue, context: WikiContext) -> list[TicketComment]:
    return [
        TicketComment(
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
        kind = next(one for one in catalogue.LINK_TYPES if one.name == row.type)
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
    choices: dict[str, tuple[catalogue.Named, ...]] = {
        "status": catalogue.STATUSES,
        "resolution": catalogue.RESOLUTIONS,
        "priority": catalogue.PRIORITIES,
        "issuetype": catalogue.TYPES,
    }
    if value in (None, "", []):
        return ""
    if field in choices:
        found = catalogue.by_id(choices[field], value)
        return found.name(language(call)) if found else str(value)
    if field in ("assignee", "reporter"):
        return face(call.seed.account(value)).name
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 80 else text[:79] + "…"  # noqa: PLR2004


def _resolution(call: Call, issue: Issue) -> str:
    found = catalogue.by_id(catalogue.RESOLUTIONS, issue.fields["resolution"])
    return found.name(language(call)) if found else "Unresolved"


def _extra_fields(fields: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the team's own short fields that have a value."""
    names = [name for name in fields if name.startswith("customfield_") and name != "customfield_10030"]
    return [(field_name(name), f"{fields[name]}") for name in names if fields[name] not in (None, "")]


def _long_fields(fields: dict[str, Any], context: WikiContext) -> list[tuple[str, Markup]]:
    names = ("environment", "customfield_10030")
    return [(field_name(name), _rendered(fields[name], context)) for name in names if fields[name]]


def _watchers(call: Call, issue: Issue) -> list[Face]:
    ids = call.db.execute(select(tables.watcher.c.account).where(tables.watcher.c.issue == issue.id)).scalars()
    return [face(call.seed.account(one)) for one in ids]
