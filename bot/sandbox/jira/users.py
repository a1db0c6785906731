"""Jira: the people of the site."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.sandbox.jira.issue_json import group_json, user_json
from bot.sandbox.jira.projects import project_or_refuse
from bot.sandbox.web.call import Call, json_answer
from bot.sandbox.web.site import Routes

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from bot.sandbox.seed import Account

routes = Routes()
cloud = Routes()


@routes.on("GET", "/rest/api/2/myself")
def myself(call: Call) -> Response:
    return json_answer(user_json(call, call.caller))


@routes.on("GET", "/rest/api/2/user")
def get_user(call: Call) -> Response:
    wanted = call.request.args.get("accountId" if call.service.is_cloud else "username", "")
    person = _person_or_refuse(call, wanted)
    answer = user_json(call, person) or {}
    if "groups" in call.words("expand"):
        groups = _groups_json(call, person)
        answer |= {"groups": {"size": len(groups), "items": groups}}
    return json_answer(answer)


def _person_or_refuse(call: Call, wanted: str) -> Account:
    person = find_person(call, wanted)
    if person is None:
        raise call.refuse(404, f"The user named '{wanted}' does not exist")
    return person


def _groups_json(call: Call, person: Account) -> list[dict[str, Any]]:
    return [group_json(call, one) for one in call.seed.groups if person.name in one.members]


@cloud.on("GET", "/rest/api/2/user/groups")
def list_groups_of_user(call: Call) -> Response:
    person = _person_or_refuse(call, call.request.args.get("accountId", ""))
    return json_answer(_groups_json(call, person))


@routes.on("GET", "/rest/api/2/user/search")
@routes.on("GET", "/rest/api/2/user/assignable/search")
def search_people(call: Call) -> Response:
    is_assignable = call.request.path.endswith("assignable/search")
    project = call.request.args.get("project")
    if is_assignable and not project and not call.request.args.get("issueKey"):
        raise call.refuse(400, "The query parameter 'project' or 'issueKey' is required.")
    if project:
        project_or_refuse(call, project)
    name = "query" if call.service.is_cloud else "username"
    wanted = call.request.args.get(name, "").casefold()
    only = call.request.args.get("accountId")
    barred = call.rulebook.jira(call.service).unassignable if is_assignable else ()
    found = [
        one
        for one in call.seed.accounts
        if one.name not in barred
        and (only is None or only == one.account_id)
        and any(wanted in text.casefold() for text in (one.display_name, one.email, one.name))
    ]
    start, size = call.number("startAt", 0), call.number("maxResults", 50, high=1000)
    return json_answer([user_json(call, one) for one in found[start : start + size]])


def find_person(call: Call, wanted: str) -> Account | None:
    """Find a person by what the deployment knows them by: account id on Cloud, user name on Data Center."""
    if call.service.is_cloud:
        return call.seed.account(wanted)
    return next((one for one in call.seed.accounts if one.name == wanted), None)
