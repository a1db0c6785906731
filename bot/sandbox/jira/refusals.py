"""Jira's way of saying no."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.sandbox.jira.issue_rows import Issue, find_issue
from bot.sandbox.web.call import Call, Refusal, json_answer
from bot.sandbox.web.credentials import authenticate_cloud, authenticate_datacenter
from bot.sandbox.web.site import Dialect

if TYPE_CHECKING:
    from werkzeug.wrappers import Response


def error(status: int, text: str, _path: str = "") -> Response:
    return json_answer({"errorMessages": [text], "errors": {}}, status)


def refuse_fields(errors: dict[str, str], status: int = 400) -> Refusal:
    return Refusal(json_answer({"errorMessages": [], "errors": errors}, status))


def unauthorized() -> Response:
    answer = error(401, "Client must be authenticated to access this resource.")
    answer.headers["WWW-Authenticate"] = 'OAuth realm="sandbox"'
    return answer


CLOUD = Dialect(authenticate_cloud, error, unauthorized)
DATACENTER = Dialect(authenticate_datacenter, error, unauthorized)


def no_such_issue() -> Refusal:
    return Refusal(error(404, "Issue does not exist or you do not have permission to see it."))


def issue_or_refuse(call: Call, id_or_key: str) -> Issue:
    found = find_issue(call, id_or_key)
    if found is None:
        raise no_such_issue()
    return found


def permit(call: Call, permission: str, status: int = 403) -> None:
    """Refuse what the rules deny to everybody."""
    if permission in call.rulebook.jira(call.service).denied:
        raise Refusal(error(status, f"You do not have the permission {permission} in this project."))
