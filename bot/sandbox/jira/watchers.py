"""Jira: who watches a ticket."""

from __future__ import annotations

import json

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert
from werkzeug.wrappers import Response

from bot.sandbox.jira import tables
from bot.sandbox.jira.issue_json import person_json, self_url
from bot.sandbox.jira.refusals import issue_or_refuse, permit
from bot.sandbox.jira.users import find_person
from bot.sandbox.web.call import Call, json_answer
from bot.sandbox.web.site import Routes

routes = Routes()


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
