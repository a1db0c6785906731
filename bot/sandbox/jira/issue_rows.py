"""Tickets as rows: which may be seen, loading, saving, their history, and what search is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from bot.sandbox.jira import catalogue, tables
from bot.sandbox.jira.jql import IndexedIssue
from bot.sandbox.search.index import index_document, visible_documents
from bot.sandbox.web.database import next_number

if TYPE_CHECKING:
    from bot.sandbox.seed import Project
    from bot.sandbox.web.call import Call


@dataclass(frozen=True, slots=True)
class Issue:
    """A ticket; `fields` holds ids and plain values under Jira's field names."""

    id: int
    key: str
    project: str
    fields: dict[str, Any]
    created: float
    updated: float

    @property
    def status(self) -> catalogue.Status:
        return catalogue.status_by_id(self.fields["status"])


def visible_projects(call: Call) -> list[Project]:
    sees_all = call.account is None or call.account.sees_restricted
    return [one for one in call.seed.projects if sees_all or not one.restricted]


def find_project(call: Call, id_or_key: str) -> Project | None:
    wanted = id_or_key.upper()
    return next((one for one in visible_projects(call) if wanted in (one.id, one.key.upper())), None)


def find_issue(call: Call, id_or_key: str) -> Issue | None:
    """Load a ticket by key or id; None where it is not there or may not be seen."""
    mine = tables.issue.c.service == call.service
    if id_or_key.isascii() and id_or_key.isdigit():
        wanted = tables.issue.c.id == int(id_or_key[:18])
    else:
        wanted = tables.issue.c.key == id_or_key.upper()
    row = call.db.execute(select(tables.issue).where(mine & wanted)).first()
    if row is None or find_project(call, row.project) is None:
        return None
    return _issue(row)


def issues_by_id(call: Call, ids: list[int]) -> dict[int, Issue]:
    where = (tables.issue.c.service == call.service) & tables.issue.c.id.in_(ids)
    return {row.id: _issue(row) for row in call.db.execute(select(tables.issue).where(where))}


def all_issues(call: Call) -> list[Issue]:
    seen = {one.id for one in visible_projects(call)}
    rows = call.db.execute(
        select(tables.issue).where(tables.issue.c.service == call.service).order_by(tables.issue.c.id)
    )
    return [_issue(row) for row in rows if row.project in seen]


def open_and_closed(call: Call, project: Project) -> list[Issue]:
    return [one for one in all_issues(call) if one.project == project.id]


def newest(call: Call, limit: int) -> list[Issue]:
    """Return the tickets changed last, for the index page."""
    statement = select(tables.issue.c.id).where(tables.issue.c.service == call.service)
    ids = list(call.db.execute(statement.order_by(tables.issue.c.updated.desc()).limit(limit)).scalars())
    found = issues_by_id(call, ids)
    return [found[one] for one in ids]


def _issue(row: Any) -> Issue:
    return Issue(row.id, row.key, row.project, row.fields, row.created, row.updated)


def insert_issue(call: Call, project: Project, fields: dict[str, Any]) -> Issue:
    number = next_number(call.db, f"{call.service}/{project.key}", 1)
    issue = Issue(
        id=next_number(call.db, "issue", 10_001),
        key=f"{project.key}-{number}",
        project=project.id,
        fields=fields,
        created=call.now,
        updated=call.now,
    )
    call.db.execute(
        tables.issue.insert().values(
            id=issue.id,
            service=call.service,
            project=issue.project,
            key=issue.key,
            fields=fields,
            created=issue.created,
            updated=issue.updated,
        )
    )
    _index(call, issue)
    return issue


def save_issue(call: Call, issue: Issue, changes: dict[str, Any]) -> Issue:
    """Write changed fields, note them in the history, and tell the index."""
    items = [
        {"field": name, "from": issue.fields.get(name), "to": value}
        for name, value in changes.items()
        if issue.fields.get(name) != value
    ]
    changed = Issue(issue.id, issue.key, issue.project, {**issue.fields, **changes}, issue.created, call.now)
    call.db.execute(
        tables.issue.update()
        .where(tables.issue.c.id == issue.id)
        .values(fields=changed.fields, updated=changed.updated)
    )
    if items:
        _insert_activity(call, issue, items)
    _index(call, changed)
    return changed


def touch_issue(call: Call, issue: Issue) -> None:
    save_issue(call, issue, {})


def note_activity(call: Call, issue: Issue, field: str, to: str) -> None:
    """Note in the history what was hung on a ticket."""
    _insert_activity(call, issue, [{"field": field, "from": None, "to": to}])
    touch_issue(call, issue)


def _insert_activity(call: Call, issue: Issue, items: list[dict[str, Any]]) -> None:
    number = next_number(call.db, "activity", 10_300)
    values = {"id": number, "issue": issue.id, "author": call.caller.account_id, "at": call.now, "items": items}
    call.db.execute(tables.activity.insert().values(**values))


def _index(call: Call, issue: Issue) -> None:
    document: dict[str, Any] = {"project": issue.project, "key": issue.key, "fields": issue.fields}
    document |= {"created": issue.created, "updated": issue.updated}
    index_document(call.db, call.service, str(issue.id), call.now, document)


def searchable(call: Call, fresh_ids: frozenset[int] = frozenset()) -> list[IndexedIssue]:
    """Return what search sees now; tickets in *fresh_ids* as they are, the rest as old as the lag."""
    lag = call.rulebook.jira(call.service).search_lag
    documents = visible_documents(call.db, call.service, call.now - lag)
    if fresh_ids:
        current = visible_documents(call.db, call.service, call.now)
        documents |= {key: one for key, one in current.items() if int(key) in fresh_ids}
    seen = {one.id: one for one in visible_projects(call)}
    return [
        _indexed(call, int(key), document, seen[document["project"]])
        for key, document in documents.items()
        if document["project"] in seen
    ]


def _indexed(call: Call, issue_id: int, document: dict[str, Any], project: Project) -> IndexedIssue:
    fields = document["fields"]
    status = catalogue.status_by_id(fields["status"])
    return IndexedIssue(
        id=issue_id,
        key=document["key"],
        project=(project.key, project.id, project.name),
        labels=tuple(fields["labels"]),
        status=(status.id, *status.names.values()),
        category=(status.category, *catalogue.CATEGORY_NAMES[status.category].values()),
        resolution=_names(catalogue.RESOLUTIONS, fields["resolution"]),
        type=_names(catalogue.TYPES, fields["issuetype"]),
        priority=_names(catalogue.PRIORITIES, fields["priority"]),
        assignee=_people(call, fields["assignee"]),
        reporter=_people(call, fields["reporter"]),
        components=tuple(call.seed.components[int(one) - 10_000] for one in fields["components"]),
        summary=fields["summary"],
        text=fields["description"] or "",
        created=document["created"],
        updated=document["updated"],
    )


def _names(choices: tuple[catalogue.Named, ...], wanted: str | None) -> tuple[str, ...]:
    found = catalogue.by_id(choices, wanted)
    return (found.id, *found.names.values()) if found else ()


def _people(call: Call, account_id: str | None) -> tuple[str, ...]:
    account = call.seed.account(account_id)
    return (account.account_id, account.name, account.email, account.display_name) if account else ()


def versions_of(call: Call, ids: list[str]) -> list[Any]:
    """Return the releases of these ids, as far as they are still there."""
    where = (tables.version.c.service == call.service) & tables.version.c.id.in_([int(one) for one in ids])
    return list(call.db.execute(select(tables.version).where(where).order_by(tables.version.c.id)))


def comments_of(call: Call, issue: Issue) -> list[Any]:
    where = tables.issue_comment.c.issue == issue.id
    return list(call.db.execute(select(tables.issue_comment).where(where).order_by(tables.issue_comment.c.id)))


def links_of(call: Call, issue: Issue) -> list[tuple[Any, bool, Issue]]:
    """Return (row, whether this ticket is the outward end, the other ticket)."""
    ends = (tables.issue_link.c.inward == issue.id) | (tables.issue_link.c.outward == issue.id)
    rows = list(call.db.execute(select(tables.issue_link).where(ends).order_by(tables.issue_link.c.id)))
    others = issues_by_id(call, [row.inward if row.outward == issue.id else row.outward for row in rows])
    return [
        (row, row.outward == issue.id, others[row.inward if row.outward == issue.id else row.outward]) for row in rows
    ]


def watcher_count(call: Call, issue: Issue) -> int:
    where = tables.watcher.c.issue == issue.id
    return int(call.db.execute(select(func.count()).select_from(tables.watcher).where(where)).scalar_one())


def properties_of(call: Call, issue: Issue, wanted: tuple[str, ...]) -> dict[str, Any]:
    rows = call.db.execute(select(tables.issue_property).where(tables.issue_property.c.issue == issue.id))
    found = {row.key: row.value for row in rows}
    return found if "*all" in wanted else {key: value for key, value in found.items() if key in wanted}
