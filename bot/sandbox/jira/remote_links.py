"""Jira: links from a ticket to elsewhere."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from werkzeug.wrappers import Response

from bot.sandbox.jira import catalogue, tables
from bot.sandbox.jira.issue_json import self_url
from bot.sandbox.jira.issue_rows import Issue, note_activity
from bot.sandbox.jira.refusals import issue_or_refuse, permit, refuse_fields
from bot.sandbox.web.call import Call, json_answer
from bot.sandbox.web.database import next_number
from bot.sandbox.web.site import Routes

routes = Routes()


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
        elif len(value) > catalogue.GLOBAL_ID_LIMIT and name == "title":
            errors[name] = "title: the value is too long, at most 255 characters."
    if isinstance(target.get("url"), str) and not target["url"].startswith(("http://", "https://")):
        errors["url"] = "The url is not valid."
    global_id = body.get("globalId")
    if global_id is not None and (not isinstance(global_id, str) or len(global_id) > catalogue.GLOBAL_ID_LIMIT):
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
    note_activity(call, issue, "RemoteWorkItemLink", document["object"]["title"])
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
