"""Tickets as rows: loading, saving, what search is told, and the JSON that both deployments answer with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sqlalchemy import func, select

from bot.sandbox import jira_data, tables
from bot.sandbox.jira_rich import RICH_FIELDS, is_v3, rich_json
from bot.sandbox.jql import IndexedIssue
from bot.sandbox.tables import index_document, next_number, visible_documents

if TYPE_CHECKING:
    from bot.sandbox.seed import Account, Project
    from bot.sandbox.web import Call

COMMENTS_INSIDE_AN_ISSUE = 20


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
    def status(self) -> jira_data.Status:
        return jira_data.status_by_id(self.fields["status"])


def jira_time(at: float) -> str:
    """Write a time as Jira does: 2026-11-24T10:15:00.000+0000."""
    moment = datetime.fromtimestamp(at, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}+0000"


def described_time(at: float) -> str:
    """Write a time where Cloud's description asks for the format date-time, which wants a colon in the offset."""
    return jira_time(at).removesuffix("+0000") + "+00:00"


def language(call: Call) -> str:
    return call.rulebook.jira(call.service).language


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
        call.db.execute(
            tables.activity.insert().values(
                id=next_number(call.db, "activity", 10_300),
                issue=issue.id,
                author=call.caller.account_id,
                at=call.now,
                items=items,
            )
        )
    _index(call, changed)
    return changed


def touch_issue(call: Call, issue: Issue) -> None:
    save_issue(call, issue, {})


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
    status = jira_data.status_by_id(fields["status"])
    return IndexedIssue(
        id=issue_id,
        key=document["key"],
        project=(project.key, project.id, project.name),
        labels=tuple(fields["labels"]),
        status=(status.id, *status.names.values()),
        category=(status.category, *jira_data.CATEGORY_NAMES[status.category].values()),
        resolution=_names(jira_data.RESOLUTIONS, fields["resolution"]),
        type=_names(jira_data.TYPES, fields["issuetype"]),
        priority=_names(jira_data.PRIORITIES, fields["priority"]),
        assignee=_people(call, fields["assignee"]),
        reporter=_people(call, fields["reporter"]),
        components=tuple(call.seed.components[int(one) - 10_000] for one in fields["components"]),
        summary=fields["summary"],
        text=fields["description"] or "",
        created=document["created"],
        updated=document["updated"],
    )


def _names(choices: tuple[jira_data.Named, ...], wanted: str | None) -> tuple[str, ...]:
    found = jira_data.by_id(choices, wanted)
    return (found.id, *found.names.values()) if found else ()


def _people(call: Call, account_id: str | None) -> tuple[str, ...]:
    account = call.seed.account(account_id)
    return (account.account_id, account.name, account.email, account.display_name) if account else ()


def self_url(call: Call, path: str) -> str:
    return f"{call.base}/rest/api/{3 if is_v3(call) else 2}/{path}"


def user_json(call: Call, account: Account | None) -> dict[str, Any] | None:
    if account is None:
        return None
    common = {
        "displayName": account.display_name,
        "emailAddress": account.email,
        "active": True,
        "timeZone": "Etc/UTC",
        "avatarUrls": {f"{size}x{size}": f"{call.base}/avatar/{account.name}.svg" for size in (16, 24, 32, 48)},
    }
    if call.service.is_cloud:
        where = self_url(call, f"user?accountId={quote(account.account_id)}")
        kind = "app" if account.is_bot else "atlassian"
        return {"self": where, "accountId": account.account_id, "accountType": kind, **common}
    where = self_url(call, f"user?username={quote(account.name)}")
    return {"self": where, "name": account.name, "key": f"JIRAUSER{account.name}", **common}


def person_json(call: Call, account_id: str | None) -> dict[str, Any] | None:
    return user_json(call, call.seed.account(account_id))


def project_json(call: Call, project: Project) -> dict[str, Any]:
    where = self_url(call, f"project/{project.id}")
    return {"self": where, "id": project.id, "key": project.key, "name": project.name, "avatarUrls": {}}


def status_json(call: Call, status: jira_data.Status) -> dict[str, Any]:
    number = jira_data.CATEGORY_IDS[status.category]
    return {
        "self": self_url(call, f"status/{status.id}"),
        "description": "",
        "iconUrl": f"{call.base}/static/status.svg",
        "name": status.name(language(call)),
        "id": status.id,
        "statusCategory": {
            "self": self_url(call, f"statuscategory/{number}"),
            "id": number,
            "key": status.category.value,
            "colorName": jira_data.CATEGORY_COLOURS[status.category],
            "name": jira_data.CATEGORY_NAMES[status.category].get(language(call)),
        },
    }


def type_json(call: Call, wanted: str) -> dict[str, Any]:
    found = jira_data.by_id(jira_data.TYPES, wanted)
    assert found is not None
    name = found.name(language(call))
    where = self_url(call, f"issuetype/{wanted}")
    icon = f"{call.base}/static/type-{wanted}.svg"
    return {"self": where, "id": wanted, "description": "", "iconUrl": icon, "name": name, "subtask": False}


def named_json(
    call: Call, kind: str, choices: tuple[jira_data.Named, ...], wanted: str | None
) -> dict[str, Any] | None:
    found = jira_data.by_id(choices, wanted)
    if found is None:
        return None
    where = self_url(call, f"{kind}/{found.id}")
    extra = {"iconUrl": f"{call.base}/static/priority-{found.id}.svg"} if kind == "priority" else {"description": ""}
    return {"self": where, "id": found.id, "name": found.name(language(call)), **extra}


def component_json(call: Call, wanted: str) -> dict[str, Any]:
    name = call.seed.components[int(wanted) - 10_000]
    return {"self": self_url(call, f"component/{wanted}"), "id": wanted, "name": name}


def versions_of(call: Call, ids: list[str]) -> list[Any]:
    """Return the releases of these ids, as far as they are still there."""
    where = (tables.version.c.service == call.service) & tables.version.c.id.in_([int(one) for one in ids])
    return list(call.db.execute(select(tables.version).where(where).order_by(tables.version.c.id)))


def version_json(call: Call, row: Any) -> dict[str, Any]:
    answer = {"self": self_url(call, f"version/{row.id}"), "id": str(row.id), "name": row.name}
    answer |= {"description": row.description, "archived": row.archived, "released": row.released}
    dated = {"releaseDate": row.release_date} if row.release_date else {}
    return answer | dated | {"projectId": int(row.project)}


def attachment_json(call: Call, row: Any) -> dict[str, Any]:
    path = f"attachment/content/{row.id}"
    content = (
        self_url(call, path)
        if call.service.is_cloud
        else f"{call.base}/secure/attachment/{row.id}/{quote(row.filename)}"
    )
    return {
        "self": self_url(call, f"attachment/{row.id}"),
        "id": str(row.id),
        "filename": row.filename,
        "author": person_json(call, row.author),
        "created": described_time(row.created),
        "size": row.size,
        "mimeType": row.media_type,
        "content": content,
    }


def comment_json(call: Call, issue: Issue, row: Any, *, with_properties: bool = False) -> dict[str, Any]:
    answer = {
        "self": self_url(call, f"issue/{issue.id}/comment/{row.id}"),
        "id": str(row.id),
        "author": person_json(call, row.author),
        "body": rich_json(call, row.body),
        "updateAuthor": person_json(call, row.editor),
        "created": described_time(row.created),
        "updated": described_time(row.updated),
    }
    if row.visibility:
        answer["visibility"] = row.visibility
    if call.service.is_cloud:
        answer["jsdPublic"] = True
    if with_properties:
        answer["properties"] = [{"key": key, "value": value} for key, value in row.properties.items()]
    return answer


def comments_of(call: Call, issue: Issue) -> list[Any]:
    where = tables.issue_comment.c.issue == issue.id
    return list(call.db.execute(select(tables.issue_comment).where(where).order_by(tables.issue_comment.c.id)))


def attachments_of(call: Call, owner: str) -> list[Any]:
    columns = [one for one in tables.attachment.c if one.name != "content"]
    where = (tables.attachment.c.service == call.service) & (tables.attachment.c.owner == owner)
    return list(call.db.execute(select(*columns).where(where).order_by(tables.attachment.c.id)))


def links_of(call: Call, issue: Issue) -> list[tuple[Any, bool, Issue]]:
    """Return (row, whether this ticket is the outward end, the other ticket)."""
    ends = (tables.issue_link.c.inward == issue.id) | (tables.issue_link.c.outward == issue.id)
    rows = list(call.db.execute(select(tables.issue_link).where(ends).order_by(tables.issue_link.c.id)))
    others = issues_by_id(call, [row.inward if row.outward == issue.id else row.outward for row in rows])
    return [
        (row, row.outward == issue.id, others[row.inward if row.outward == issue.id else row.outward]) for row in rows
    ]


def _short_json(call: Call, other: Issue) -> dict[str, Any]:
    """Write a ticket as it stands at the other end of a link."""
    return {
        "id": str(other.id),
        "key": other.key,
        "self": self_url(call, f"issue/{other.id}"),
        "fields": {
            "summary": other.fields["summary"],
            "status": status_json(call, other.status),
            "priority": named_json(call, "priority", jira_data.PRIORITIES, other.fields["priority"]),
            "issuetype": type_json(call, other.fields["issuetype"]),
        },
    }


def whole_link_json(call: Call, row: Any, inward: Issue, outward: Issue) -> dict[str, Any]:
    kind = next(one for one in jira_data.LINK_TYPES if one.name == row.type)
    ends = {"inwardIssue": _short_json(call, inward), "outwardIssue": _short_json(call, outward)}
    answer = {"id": str(row.id), "self": self_url(call, f"issueLink/{row.id}"), "type": link_type_json(call, kind)}
    return answer | ends


def _link_json(call: Call, row: Any, other: Issue, *, is_outward_end: bool) -> dict[str, Any]:
    kind = next(one for one in jira_data.LINK_TYPES if one.name == row.type)
    # "outwardIssue" of a link is the ticket at its outward end, seen from the inward one.
    end = "inwardIssue" if is_outward_end else "outwardIssue"
    return {
        "id": str(row.id),
        "self": self_url(call, f"issueLink/{row.id}"),
        "type": link_type_json(call, kind),
        end: _short_json(call, other),
    }


def link_type_json(call: Call, kind: jira_data.LinkType) -> dict[str, Any]:
    where = self_url(call, f"issueLinkType/{kind.id}")
    return {"id": kind.id, "name": kind.name, "inward": kind.inward, "outward": kind.outward, "self": where}


def watcher_count(call: Call, issue: Issue) -> int:
    where = tables.watcher.c.issue == issue.id
    return int(call.db.execute(select(func.count()).select_from(tables.watcher).where(where)).scalar_one())


def all_fields(call: Call, issue: Issue) -> dict[str, Any]:
    """Return every field of a ticket in the deployment's JSON."""
    given = issue.fields
    comments = comments_of(call, issue)
    project = next(one for one in call.seed.projects if one.id == issue.project)
    shown = [comment_json(call, issue, row) for row in comments[-COMMENTS_INSIDE_AN_ISSUE:]]
    first = max(0, len(comments) - COMMENTS_INSIDE_AN_ISSUE)
    fields: dict[str, Any] = {
        "summary": given["summary"],
        "issuetype": type_json(call, given["issuetype"]),
        "project": project_json(call, project),
        "description": rich_json(call, given["description"]),
        "environment": rich_json(call, given["environment"]),
        "priority": named_json(call, "priority", jira_data.PRIORITIES, given["priority"]),
        "status": status_json(call, issue.status),
        "resolution": named_json(call, "resolution", jira_data.RESOLUTIONS, given["resolution"]),
        "resolutiondate": jira_time(given["resolutiondate"]) if given["resolutiondate"] else None,
        "assignee": person_json(call, given["assignee"]),
        "reporter": person_json(call, given["reporter"]),
        "creator": person_json(call, given["creator"]),
        "labels": given["labels"],
        "components": [component_json(call, one) for one in given["components"]],
        "fixVersions": [version_json(call, row) for row in versions_of(call, given.get("fixVersions") or [])],
        "duedate": given["duedate"],
        "created": jira_time(issue.created),
        "updated": jira_time(issue.updated),
        "comment": {
            "comments": shown,
            "self": self_url(call, f"issue/{issue.id}/comment"),
            "maxResults": len(shown),
            "total": len(comments),
            "startAt": first,
        },
        "attachment": [attachment_json(call, row) for row in attachments_of(call, str(issue.id))],
        "issuelinks": [_link_json(call, row, other, is_outward_end=end) for row, end, other in links_of(call, issue)],
        "watches": {
            "self": self_url(call, f"issue/{issue.key}/watchers"),
            "watchCount": watcher_count(call, issue),
            "isWatching": False,
        },
    }
    custom = {name: value for name, value in given.items() if name.startswith("customfield_")}
    return fields | {name: rich_json(call, value) if name in RICH_FIELDS else value for name, value in custom.items()}


NAVIGABLE_LEFT_OUT = ("comment", "attachment")


def chosen_fields(call: Call, issue: Issue, wanted: tuple[str, ...]) -> dict[str, Any]:
    """Return the fields that a `fields` parameter asks for: names, *all, *navigable, -name."""
    every = all_fields(call, issue)
    names: set[str] = set()
    for one in wanted:
        if one == "*all":
            names |= every.keys()
        elif one == "*navigable":
            names |= every.keys() - set(NAVIGABLE_LEFT_OUT)
        elif one.startswith("-"):
            names = (names or set(every)) - {one[1:]}
        else:
            names.add(one)
    return {name: value for name, value in every.items() if name in names}


def properties_of(call: Call, issue: Issue, wanted: tuple[str, ...]) -> dict[str, Any]:
    rows = call.db.execute(select(tables.issue_property).where(tables.issue_property.c.issue == issue.id))
    found = {row.key: row.value for row in rows}
    return found if "*all" in wanted else {key: value for key, value in found.items() if key in wanted}


def issue_json(call: Call, issue: Issue, fields: tuple[str, ...], properties: tuple[str, ...] = ()) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "expand": "renderedFields,names,schema,operations,editmeta,changelog,versionedRepresentations",
        "id": str(issue.id),
        "self": self_url(call, f"issue/{issue.id}"),
        "key": issue.key,
        "fields": chosen_fields(call, issue, fields),
    }
    if properties:
        answer["properties"] = properties_of(call, issue, properties)
    return answer


def changelog_json(call: Call, issue: Issue) -> dict[str, Any]:
    rows = list(call.db.execute(select(tables.activity).where(tables.activity.c.issue == issue.id)))
    histories = [
        {
            "id": str(row.id),
            "author": person_json(call, row.author),
            "created": described_time(row.at),
            "items": [
                {"field": one["field"], "fieldtype": "jira", "from": _as_text(one["from"]), "to": _as_text(one["to"])}
                for one in row.items
            ],
        }
        for row in rows
    ]
    return {"startAt": 0, "maxResults": len(histories), "total": len(histories), "histories": histories}


def _as_text(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
