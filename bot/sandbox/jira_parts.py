"""Jira: transitions, links, attachments and watchers of a ticket."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert
from werkzeug.wrappers import Response

from bot.sandbox import jira_data, tables
from bot.sandbox.jira_comments import insert_comment
from bot.sandbox.jira_fields import FieldError, FieldReport, find_person, off_screen, read_fields, read_resolution
from bot.sandbox.jira_refusals import issue_or_refuse, permit, refuse_fields
from bot.sandbox.jira_store import (
    Issue,
    attachment_json,
    attachments_of,
    find_issue,
    language,
    link_type_json,
    named_json,
    person_json,
    save_issue,
    self_url,
    status_json,
    touch_issue,
    whole_link_json,
)
from bot.sandbox.rules import Resolution
from bot.sandbox.tables import next_number
from bot.sandbox.uploads import find_upload, read_upload, send_file, store_upload
from bot.sandbox.web import Call, Routes, json_answer, row_id

routes = Routes()

# ---- transitions


def _targets(call: Call, issue: Issue) -> list[jira_data.Status]:
    """Return the statuses a ticket may go to from where it is."""
    others = [one for one in jira_data.STATUSES if one != issue.status]
    if not call.rulebook.jira(call.service).stepwise:
        return others
    return others if issue.status == jira_data.IN_PROGRESS else [jira_data.IN_PROGRESS]


def _has_screen(call: Call, target: jira_data.Status) -> bool:
    is_done = target.category is jira_data.Category.DONE
    return is_done and call.rulebook.jira(call.service).resolution is not Resolution.NO_SCREEN


def _screen(call: Call, target: jira_data.Status) -> dict[str, Any]:
    rule = call.rulebook.jira(call.service).resolution
    if not _has_screen(call, target) or rule is Resolution.REQUIRED_UNLISTED:
        return {}
    choices = [named_json(call, "resolution", jira_data.RESOLUTIONS, one.id) for one in jira_data.RESOLUTIONS]
    field = {
        "required": rule is Resolution.REQUIRED,
        "schema": {"type": "resolution", "system": "resolution"},
        "name": "Resolution",
        "key": "resolution",
        "hasDefaultValue": False,
        "operations": ["set"],
        "allowedValues": choices,
    }
    return {"resolution": field}


def _transition_json(call: Call, target: jira_data.Status, *, with_fields: bool) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "id": target.transition,
        "name": target.name(language(call)),
        "to": status_json(call, target),
    }
    if call.service.is_cloud:
        answer |= {"hasScreen": _has_screen(call, target), "isGlobal": True, "isInitial": False}
        answer |= {"isAvailable": True, "isConditional": False, "isLooped": False}
    if with_fields:
        answer["fields"] = _screen(call, target)
    return answer


@routes.on("GET", "/rest/api/2/issue/<key>/transitions")
def list_transitions(call: Call, key: str) -> Response:
    issue = issue_or_refuse(call, key)
    only = call.request.args.get("transitionId")
    with_fields = "transitions.fields" in call.words("expand")
    denied = "TRANSITION_ISSUES" in call.rulebook.jira(call.service).denied
    targets = [] if denied else [one for one in _targets(call, issue) if only in (None, one.transition)]
    shown = [_transition_json(call, one, with_fields=with_fields) for one in targets]
    return json_answer({"expand": "transitions", "transitions": shown})


@routes.on("POST", "/rest/api/2/issue/<key>/transitions")
def transition(call: Call, key: str) -> Response:
    issue = issue_or_refuse(call, key)
    body = call.json_object()
    target = _wanted_target(call, issue, body)
    fields, update = body.get("fields") or {}, body.get("update") or {}
    if not isinstance(fields, dict) or not isinstance(update, dict):
        raise call.refuse(400, "Can not deserialize 'fields' or 'update': an object is expected.")
    changes, report = _screen_values(call, target, dict(fields), update, issue)
    if report.errors:
        raise refuse_fields(report.errors)
    issue = save_issue(call, issue, {"status": target.id, **changes})
    for comment in report.comments:
        insert_comment(call, issue, comment)
    return Response(status=204)


def _wanted_target(call: Call, issue: Issue, body: dict[str, Any]) -> jira_data.Status:
    given = body.get("transition")
    wanted = given.get("id") if isinstance(given, dict) else None
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        wanted = str(wanted)  # undeclared, but accepted, and what the jira package sends
    if not isinstance(wanted, str):
        raise call.refuse(400, "Missing 'transition' identifier")
    denied = "TRANSITION_ISSUES" in call.rulebook.jira(call.service).denied
    found = next((one for one in _targets(call, issue) if one.transition == wanted), None)
    if found is None or denied:
        text = f"Transition id '{wanted}' is not valid for this issue."
        raise call.refuse(400, text)
    return found


def _screen_values(
    call: Call, target: jira_data.Status, fields: dict[str, Any], update: dict[str, Any], issue: Issue
) -> tuple[dict[str, Any], FieldReport]:
    """Check what came with the transition against its screen; return the changes and what is wrong."""
    rule = call.rulebook.jira(call.service).resolution
    given = fields.pop("resolution", None)
    report = read_fields(call, {}, {name: value for name, value in update.items() if name == "comment"}, issue.fields)
    for name in (*fields, *(name for name in update if name != "comment")):
        report.errors[name] = off_screen(name)
    if target.category is not jira_data.Category.DONE:
        if given is not None:
            report.errors["resolution"] = off_screen("resolution")
        return {"resolution": None, "resolutiondate": None}, report
    resolution = jira_data.RESOLUTIONS[0].id  # what the workflow sets by itself
    if given is not None and rule is Resolution.NO_SCREEN:
        report.errors["resolution"] = off_screen("resolution")
    elif given is not None:
        try:
            resolution = read_resolution(given)
        except FieldError as error:
            report.errors["resolution"] = str(error)
    elif rule in (Resolution.REQUIRED, Resolution.REQUIRED_UNLISTED):
        report.errors["resolution"] = "Resolution is required."
    return {"resolution": resolution, "resolutiondate": call.now}, report


# ---- links to elsewhere


def _link_json(call: Call, issue: Issue, row: Any) -> dict[str, Any]:
    answer = {"id": row.id, "self": self_url(call, f"issue/{issue.key}/remotelink/{row.id}"), **row.document}
    if row.global_id is not None:
        answer["globalId"] = row.global_id
    return answer


def remote_links_of(call: Call, issue: Issue) -> list[Any]:
    where = tables.remote_link.c.issue == issue.id
    return list(call.db.execute(select(tables.remote_link).where(where).order_by(tables.remote_link.c.id)))


@routes.on("GET", "/rest/api/2/issue/<key>/remotelink")
def list_remote_links(call: Call, key: str) -> Response:
    issue = issue_or_refuse(call, key)
    rows = remote_links_of(call, issue)
    wanted = call.request.args.get("globalId")
    if not wanted:
        return json_answer([_link_json(call, issue, row) for row in rows])
    found = next((row for row in rows if row.global_id == wanted), None)
    if found is None:
        raise call.refuse(404, f"The remote link with the global id '{wanted}' does not exist.")
    return json_answer(_link_json(call, issue, found))


def _read_link(call: Call) -> tuple[str | None, dict[str, Any]]:
    body = call.json_object()
    target = body.get("object")
    errors = {}
    if not isinstance(target, dict):
        raise refuse_fields({"object": "'object' is required."})
    for name in ("title", "url"):
        value = target.get(name)
        if not isinstance(value, str) or not value.strip():
            errors[name] = f"'{name}' is required."
        elif len(value) > jira_data.GLOBAL_ID_LIMIT and name == "title":
            errors[name] = "title: the value is too long, at most 255 characters."
    if isinstance(target.get("url"), str) and not target["url"].startswith(("http://", "https://")):
        errors["url"] = "The url is not valid."
    global_id = body.get("globalId")
    if global_id is not None and (not isinstance(global_id, str) or len(global_id) > jira_data.GLOBAL_ID_LIMIT):
        errors["globalId"] = "globalId: at most 255 characters."
    if errors:
        raise refuse_fields(errors)
    document: dict[str, Any] = {
        "application": body.get("application") if isinstance(body.get("application"), dict) else {},
        "object": target,
    }
    if isinstance(body.get("relationship"), str):
        document["relationship"] = body["relationship"]
    return global_id, document


@routes.on("POST", "/rest/api/2/issue/<key>/remotelink")
def put_remote_link(call: Call, key: str) -> Response:
    """Create a link, or replace the one with the same globalId, whose other fields are then forgotten."""
    issue = issue_or_refuse(call, key)
    permit(call, "LINK_ISSUES")
    global_id, document = _read_link(call)
    existing = next((row for row in remote_links_of(call, issue) if global_id and row.global_id == global_id), None)
    number = existing.id if existing else next_number(call.db, "remote_link", 10_000)
    if existing:
        where = tables.remote_link.c.id == number
        call.db.execute(tables.remote_link.update().where(where).values(document=document))
    else:
        values = {"id": number, "issue": issue.id, "global_id": global_id, "document": document}
        call.db.execute(tables.remote_link.insert().values(**values))
    _note(call, issue, "RemoteWorkItemLink", document["object"]["title"])
    answer = {"id": number, "self": self_url(call, f"issue/{issue.key}/remotelink/{number}")}
    return json_answer(answer, 200 if existing else 201)


@routes.on("PUT", "/rest/api/2/issue/<key>/remotelink/<link>")
def edit_remote_link(call: Call, key: str, link: str) -> Response:
    issue = issue_or_refuse(call, key)
    permit(call, "LINK_ISSUES")
    row = _remote_link(call, issue, link)
    global_id, document = _read_link(call)
    where = tables.remote_link.c.id == row.id
    call.db.execute(tables.remote_link.update().where(where).values(document=document, global_id=global_id))
    return Response(status=204)


@routes.on("GET", "/rest/api/2/issue/<key>/remotelink/<link>")
def get_remote_link(call: Call, key: str, link: str) -> Response:
    issue = issue_or_refuse(call, key)
    return json_answer(_link_json(call, issue, _remote_link(call, issue, link)))


def _remote_link(call: Call, issue: Issue, link: str) -> Any:
    row = next((one for one in remote_links_of(call, issue) if str(one.id) == link), None)
    if row is None:
        raise call.refuse(404, f"The remote link with the id '{link}' does not exist.")
    return row


@routes.on("DELETE", "/rest/api/2/issue/<key>/remotelink/<link>")
def delete_remote_link_by_id(call: Call, key: str, link: str) -> Response:
    issue = issue_or_refuse(call, key)
    permit(call, "LINK_ISSUES")
    where = tables.remote_link.c.id == _remote_link(call, issue, link).id
    call.db.execute(tables.remote_link.delete().where(where))
    return Response(status=204)


@routes.on("DELETE", "/rest/api/2/issue/<key>/remotelink")
def delete_remote_link(call: Call, key: str) -> Response:
    issue = issue_or_refuse(call, key)
    wanted = call.request.args.get("globalId")
    if not wanted:
        raise call.refuse(400, "The globalId is required.")
    where = (tables.remote_link.c.issue == issue.id) & (tables.remote_link.c.global_id == wanted)
    if not call.db.execute(tables.remote_link.delete().where(where)).rowcount:
        raise call.refuse(404, f"The remote link with the global id '{wanted}' does not exist.")
    return Response(status=204)


def _note(call: Call, issue: Issue, field: str, to: str) -> None:
    call.db.execute(
        tables.activity.insert().values(
            id=next_number(call.db, "activity", 10_300),
            issue=issue.id,
            author=call.caller.account_id,
            at=call.now,
            items=[{"field": field, "from": None, "to": to}],
        )
    )
    touch_issue(call, issue)


# ---- links between tickets


@routes.on("POST", "/rest/api/2/issueLink")
def link_issues(call: Call) -> Response:
    body = call.json_object()
    comment = body.get("comment")  # null, which the jira package sends, is as good as none
    if comment is not None and not isinstance(comment, dict):
        raise call.refuse(400, "Can not deserialize 'comment': an object is expected.")
    kind = _link_type(call, body.get("type"))
    inward, outward = (_linked_issue(call, body.get(name)) for name in ("inwardIssue", "outwardIssue"))
    permit(call, "LINK_ISSUES", 401)
    known = (
        (tables.issue_link.c.type == kind.name)
        & (tables.issue_link.c.inward == inward.id)
        & (tables.issue_link.c.outward == outward.id)
    )
    if call.db.execute(select(tables.issue_link.c.id).where(known)).first() is None:
        number = next_number(call.db, "issue_link", 10_000)
        values = {"id": number, "type": kind.name, "inward": inward.id, "outward": outward.id}
        call.db.execute(tables.issue_link.insert().values(**values))
        _note(call, inward, "Link", outward.key)
        _note(call, outward, "Link", inward.key)
    if comment is not None:
        insert_comment(call, outward, comment)
    return Response(status=201)


def _link_type(call: Call, given: Any) -> jira_data.LinkType:
    wanted = [given[name] for name in ("id", "name") if given.get(name)] if isinstance(given, dict) else []
    found = next((one for one in jira_data.LINK_TYPES if one.id in wanted or one.name in wanted), None)
    if found is None:
        raise call.refuse(404, f"No issue link type with name '{(wanted or [''])[0]}' found.")
    return found


def _linked_issue(call: Call, given: Any) -> Issue:
    wanted = (given.get("key") or given.get("id")) if isinstance(given, dict) else None
    if not isinstance(wanted, str):
        raise call.refuse(400, "Both inwardIssue and outwardIssue must name a ticket by key or id.")
    return issue_or_refuse(call, wanted)


def _issue_link(call: Call, number: str) -> tuple[Any, Issue, Issue]:
    """Find a link between two tickets that may both be seen."""
    where = tables.issue_link.c.id == (row_id(number) or 0)
    row = call.db.execute(select(tables.issue_link).where(where)).first()
    ends = [find_issue(call, str(one)) for one in (row.inward, row.outward)] if row is not None else [None, None]
    if row is None or ends[0] is None or ends[1] is None:
        raise call.refuse(404, f"No issue link with id '{number}' exists.")
    return row, ends[0], ends[1]


@routes.on("GET", "/rest/api/2/issueLink/<number>")
def get_issue_link(call: Call, number: str) -> Response:
    row, inward, outward = _issue_link(call, number)
    return json_answer(whole_link_json(call, row, inward, outward))


@routes.on("DELETE", "/rest/api/2/issueLink/<number>")
def delete_issue_link(call: Call, number: str) -> Response:
    row, inward, outward = _issue_link(call, number)
    permit(call, "LINK_ISSUES", 401)
    call.db.execute(tables.issue_link.delete().where(tables.issue_link.c.id == row.id))
    _note(call, inward, "Link", "")
    _note(call, outward, "Link", "")
    return Response(status=204)


@routes.on("GET", "/rest/api/2/issueLinkType")
def list_link_types(call: Call) -> Response:
    return json_answer({"issueLinkTypes": [link_type_json(call, one) for one in jira_data.LINK_TYPES]})


# ---- attachments


@routes.on("POST", "/rest/api/2/issue/<key>/attachments")
def attach(call: Call, key: str) -> Response:
    if call.request.headers.get("X-Atlassian-Token", "").lower() not in ("no-check", "nocheck"):
        raise call.refuse(403, "XSRF check failed")
    if not call.service.is_cloud and call.request.headers["X-Atlassian-Token"].lower() == "nocheck":
        raise call.refuse(403, "XSRF check failed")
    issue = issue_or_refuse(call, key)
    rules = call.rulebook.jira(call.service)
    permit(call, "CREATE_ATTACHMENTS")
    if not rules.attachments_enabled:
        raise call.refuse(404 if call.service.is_cloud else 403, "Attachments are disabled.")
    parts = call.request.files.getlist("file")
    if not parts:
        raise call.refuse(400, "No file was uploaded: the part of a multipart body must be named 'file'.")
    uploads = [read_upload(one) for one in parts]
    if any(len(one.content) > rules.attachment_limit for one in uploads):
        raise call.refuse(413, f"A file is larger than the limit of {rules.attachment_limit} bytes.")
    numbers = {store_upload(call, str(issue.id), one) for one in uploads}
    for one in uploads:
        _note(call, issue, "Attachment", one.filename)
    rows = [row for row in attachments_of(call, str(issue.id)) if row.id in numbers]
    return json_answer([attachment_json(call, row) for row in rows])


@routes.on("GET", "/rest/api/2/attachment/meta")
def attachment_meta(call: Call) -> Response:
    rules = call.rulebook.jira(call.service)
    return json_answer({"enabled": rules.attachments_enabled, "uploadLimit": rules.attachment_limit})


def _attachment(call: Call, number: str) -> Any:
    row = find_upload(call, row_id(number))
    if row is None:
        raise call.refuse(404, f"The attachment with id '{number}' does not exist")
    issue_or_refuse(call, row.owner)
    return row


@routes.on("GET", "/rest/api/2/attachment/<number>")
def get_attachment(call: Call, number: str) -> Response:
    return json_answer(attachment_json(call, _attachment(call, number)))


@routes.on("DELETE", "/rest/api/2/attachment/<number>")
def delete_attachment(call: Call, number: str) -> Response:
    row = _attachment(call, number)
    call.db.execute(tables.attachment.delete().where(tables.attachment.c.id == row.id))
    return Response(status=204)


@routes.on("GET", "/rest/api/2/attachment/content/<number>")
def attachment_content(call: Call, number: str) -> Response:
    row = _attachment(call, number)
    return send_file(row.media_type, row.filename, row.content)


@routes.on("GET", "/secure/attachment/<number>/<path:name>", is_open=True)
def attachment_for_a_reader(call: Call, number: str, name: str) -> Response:  # noqa: ARG001 - the name only reads well
    row = _attachment(call, number)
    return send_file(row.media_type, row.filename, row.content)


# ---- watchers


@routes.on("GET", "/rest/api/2/issue/<key>/watchers")
def list_watchers(call: Call, key: str) -> Response:
    issue = issue_or_refuse(call, key)
    ids = list(call.db.execute(select(tables.watcher.c.account).where(tables.watcher.c.issue == issue.id)).scalars())
    answer = {
        "self": self_url(call, f"issue/{issue.key}/watchers"),
        "isWatching": call.caller.account_id in ids,
        "watchCount": len(ids),
        "watchers": [person_json(call, one) for one in ids],
    }
    return json_answer(answer)


@routes.on("POST", "/rest/api/2/issue/<key>/watchers")
def add_watcher(call: Call, key: str) -> Response:
    issue = issue_or_refuse(call, key)
    permit(call, "MANAGE_WATCHERS", 403 if call.service.is_cloud else 401)
    wanted = call.caller.account_id
    if call.request.get_data():
        given = call.json_body()
        if not isinstance(given, str):
            raise call.refuse(400, f"A user must be given as a bare JSON string, not as {json.dumps(given)[:60]}.")
        person = find_person(call, given)
        if person is None:
            raise call.refuse(404 if call.service.is_cloud else 400, f"The user '{given}' does not exist.")
        wanted = person.account_id
    statement = insert(tables.watcher).values(issue=issue.id, account=wanted)
    call.db.execute(statement.on_conflict_do_nothing())
    return Response(status=204)


@routes.on("DELETE", "/rest/api/2/issue/<key>/watchers")
def remove_watcher(call: Call, key: str) -> Response:
    issue = issue_or_refuse(call, key)
    wanted = call.request.args.get("accountId" if call.service.is_cloud else "username", "")
    person = find_person(call, wanted)
    if person is None:
        raise call.refuse(404, f"The user '{wanted}' does not exist.")
    where = (tables.watcher.c.issue == issue.id) & (tables.watcher.c.account == person.account_id)
    call.db.execute(tables.watcher.delete().where(where))
    return Response(status=204)
