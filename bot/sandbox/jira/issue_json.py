"""The JSON of tickets and of what they name, as both deployments answer with it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sqlalchemy import select

from bot.sandbox.jira import catalogue, tables
from bot.sandbox.jira.issue_rows import Issue, comments_of, links_of, properties_of, versions_of, watcher_count
from bot.sandbox.jira.rich_text import RICH_FIELDS, is_v3, rich_json
from bot.sandbox.web.uploads import attachments_of

if TYPE_CHECKING:
    from bot.sandbox.seed import Account, Group, Project
    from bot.sandbox.web.call import Call

COMMENTS_INSIDE_AN_ISSUE = 20


def jira_time(at: float) -> str:
    """Write a time as Jira does: 2026-11-24T10:15:00.000+0000."""
    moment = datetime.fromtimestamp(at, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}+0000"


def described_time(at: float) -> str:
    """Write a time where Cloud's description asks for the format date-time, which wants a colon in the offset."""
    return jira_time(at).removesuffix("+0000") + "+00:00"


def language(call: Call) -> str:
    return call.rulebook.jira(call.service).language


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


def group_json(call: Call, group: Group) -> dict[str, Any]:
    """Write a group; only Cloud knows it by an id too."""
    where = self_url(call, f"group?groupname={quote(group.name)}")
    known = {"groupId": group.id} if call.service.is_cloud else {}
    return {"name": group.name, **known, "self": where}


def person_json(call: Call, account_id: str | None) -> dict[str, Any] | None:
    return user_json(call, call.seed.account(account_id))


def project_json(call: Call, project: Project) -> dict[str, Any]:
    where = self_url(call, f"project/{project.id}")
    return {"self": where, "id": project.id, "key": project.key, "name": project.name, "avatarUrls": {}}


def status_json(call: Call, status: catalogue.Status) -> dict[str, Any]:
    number = catalogue.CATEGORY_IDS[status.category]
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
            "colorName": catalogue.CATEGORY_COLOURS[status.category],
            "name": catalogue.CATEGORY_NAMES[status.category].get(language(call)),
        },
    }


def type_json(call: Call, wanted: str) -> dict[str, Any]:
    found = catalogue.by_id(catalogue.TYPES, wanted)
    assert found is not None
    name = found.name(language(call))
    where = self_url(call, f"issuetype/{wanted}")
    icon = f"{call.base}/static/type-{wanted}.svg"
    return {"self": where, "id": wanted, "description": "", "iconUrl": icon, "name": name, "subtask": False}


def named_json(
    call: Call, kind: str, choices: tuple[catalogue.Named, ...], wanted: str | None
) -> dict[str, Any] | None:
    found = catalogue.by_id(choices, wanted)
    if found is None:
        return None
    where = self_url(call, f"{kind}/{found.id}")
    extra = {"iconUrl": f"{call.base}/static/priority-{found.id}.svg"} if kind == "priority" else {"description": ""}
    return {"self": where, "id": found.id, "name": found.name(language(call)), **extra}


def component_json(call: Call, wanted: str) -> dict[str, Any]:
    name = call.seed.components[int(wanted) - 10_000]
    return {"self": self_url(call, f"component/{wanted}"), "id": wanted, "name": name}


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


def _short_json(call: Call, other: Issue) -> dict[str, Any]:
    """Write a ticket as it stands at the other end of a link."""
    return {
        "id": str(other.id),
        "key": other.key,
        "self": self_url(call, f"issue/{other.id}"),
        "fields": {
            "summary": other.fields["summary"],
            "status": status_json(call, other.status),
            "priority": named_json(call, "priority", catalogue.PRIORITIES, other.fields["priority"]),
            "issuetype": type_json(call, other.fields["issuetype"]),
        },
    }


def whole_link_json(call: Call, row: Any, inward: Issue, outward: Issue) -> dict[str, Any]:
    kind = next(one for one in catalogue.LINK_TYPES if one.name == row.type)
    ends = {"inwardIssue": _short_json(call, inward), "outwardIssue": _short_json(call, outward)}
    answer = {"id": str(row.id), "self": self_url(call, f"issueLink/{row.id}"), "type": link_type_json(call, kind)}
    return answer | ends


def _link_json(call: Call, row: Any, other: Issue, *, is_outward_end: bool) -> dict[str, Any]:
    kind = next(one for one in catalogue.LINK_TYPES if one.name == row.type)
    # "outwardIssue" of a link is the ticket at its outward end, seen from the inward one.
    end = "inwardIssue" if is_outward_end else "outwardIssue"
    return {
        "id": str(row.id),
        "self": self_url(call, f"issueLink/{row.id}"),
        "type": link_type_json(call, kind),
        end: _short_json(call, other),
    }


def link_type_json(call: Call, kind: catalogue.LinkType) -> dict[str, Any]:
    where = self_url(call, f"issueLinkType/{kind.id}")
    return {"id": kind.id, "name": kind.name, "inward": kind.inward, "outward": kind.outward, "self": where}


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
        "priority": named_json(call, "priority", catalogue.PRIORITIES, given["priority"]),
        "status": status_json(call, issue.status),
        "resolution": named_json(call, "resolution", catalogue.RESOLUTIONS, given["resolution"]),
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
