"""Jira's way of saying no, and of asking who is there."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from bot.sandbox.web import Call, Dialect, Refusal, json_answer

if TYPE_CHECKING:
    from werkzeug.wrappers import Request, Response

    from bot.sandbox.jira_store import Issue
    from bot.sandbox.seed import Account, SandboxSeed


def error(status: int, text: str, _path: str = "") -> Response:
    return json_answer({"errorMessages": [text], "errors": {}}, status)


def refuse_fields(errors: dict[str, str], status: int = 400) -> Refusal:
    return Refusal(json_answer({"errorMessages": [], "errors": errors}, status))


def unauthorized() -> Response:
    answer = error(401, "Client must be authenticated to access this resource.")
    answer.headers["WWW-Authenticate"] = 'OAuth realm="sandbox"'
    return answer


def authenticate_cloud(request: Request, seed: SandboxSeed) -> Account | None:
    """Cloud knows a caller by e-mail and API token."""
    given = request.authorization
    if given is None or given.type != "basic":
        return None
    return _match(seed, given.username or "", given.password or "", by_email=True)


def authenticate_datacenter(request: Request, seed: SandboxSeed) -> Account | None:
    """Data Center knows a caller by personal access token, or by name and that token as password."""
    given = request.authorization
    if given is None:
        return None
    if given.type == "bearer" and given.token:
        return next((one for one in seed.accounts if same(one.bearer, given.token)), None)
    if given.type == "basic":
        return _match(seed, given.username or "", given.password or "", by_email=False)
    return None


def _match(seed: SandboxSeed, user: str, secret: str, *, by_email: bool) -> Account | None:
    for one in seed.accounts:
        if by_email and one.email == user and same(one.api_token, secret):
            return one
        if not by_email and one.name == user and same(one.bearer, secret):
            return one
    return None


def same(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode(errors="surrogatepass"), right.encode(errors="surrogatepass"))


CLOUD = Dialect(authenticate_cloud, error, unauthorized)
DATACENTER = Dialect(authenticate_datacenter, error, unauthorized)


def no_such_issue() -> Refusal:
    return Refusal(error(404, "Issue does not exist or you do not have permission to see it."))


def issue_or_refuse(call: Call, id_or_key: str) -> Issue:
    from bot.sandbox.jira_store import find_issue

    found = find_issue(call, id_or_key)
    if found is None:
        raise no_such_issue()
    return found


def permit(call: Call, permission: str, status: int = 403) -> None:
    """Refuse what the rules deny to everybody."""
    if permission in call.rulebook.jira(call.service).denied:
        raise Refusal(error(status, f"You do not have the permission {permission} in this project."))
