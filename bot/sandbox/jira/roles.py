"""Jira: the roles of a project, and who is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.sandbox.jira.issue_json import self_url
from bot.sandbox.jira.projects import project_or_refuse
from bot.sandbox.jira.refusals import permit
from bot.sandbox.web.call import Call, json_answer
from bot.sandbox.web.site import Routes

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from bot.sandbox.seed import Account, Group

routes = Routes()


@routes.on("GET", "/rest/api/2/project/<key>/role")
def list_roles(call: Call, key: str) -> Response:
    """List the roles by name, each with its address; only who administers the project is shown them."""
    project = project_or_refuse(call, key)
    permit(call, "ADMINISTER_PROJECTS")
    return json_answer({one.name: self_url(call, f"project/{project.id}/role/{one.id}") for one in call.seed.roles})


@routes.on("GET", "/rest/api/2/project/<key>/role/<number>")
def get_role(call: Call, key: str, number: str) -> Response:
    project = project_or_refuse(call, key)
    permit(call, "ADMINISTER_PROJECTS")
    role = next((one for one in call.seed.roles if one.id == number), None)
    if role is None:
        raise call.refuse(404, f"Can not retrieve a role actor for a null project role: {number}")
    people = [_user_actor(call, one) for one in call.seed.accounts if one.name in role.members]
    groups = [_group_actor(call, one) for one in call.seed.groups if one.name in role.groups]
    shown = {"self": self_url(call, f"project/{project.id}/role/{role.id}"), "name": role.name, "id": int(role.id)}
    return json_answer(shown | {"description": "", "actors": people + groups})


def _user_actor(call: Call, person: Account) -> dict[str, Any]:
    answer: dict[str, Any] = {"id": 10_240, "displayName": person.display_name, "type": "atlassian-user-role-actor"}
    if call.service.is_cloud:
        return answer | {"actorUser": {"accountId": person.account_id}}
    return answer | {"name": person.name}


def _group_actor(call: Call, group: Group) -> dict[str, Any]:
    answer: dict[str, Any] = {"id": 10_241, "displayName": group.name, "type": "atlassian-group-role-actor"}
    if call.service.is_cloud:
        known = {"name": group.name, "displayName": group.name, "groupId": group.id}
        return answer | {"name": group.name, "actorGroup": known}
    return answer | {"name": group.name}
