"""What a client hears that is no answer of the service: refusals of the account, login pages, something else's JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.sandbox.confluence import refusals as confluence
from bot.sandbox.jira import refusals as jira
from bot.sandbox.mail import html_pages as letters
from bot.sandbox.robots import refusals as robots
from bot.sandbox.rules import Service
from bot.sandbox.slack import refusals as slack
from bot.sandbox.trello import refusals as trello

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from bot.sandbox.web.site import Dialect

_HOOKS = "/services/"  # the addresses of Slack's webhooks
_JSON = "application/json;charset=UTF-8"
_LOGIN = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Log in to continue</title></head>
<body><h1>Log in to continue</h1><p>Your session has expired.</p>
<form action="/login" method="post"><label>Email <input name="email" type="email"></label>
<label>Password <input name="password" type="password"></label><button type="submit">Log in</button></form>
</body></html>
"""


@dataclass(frozen=True, slots=True)
class Answer:
    status: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def code(self) -> int:
        return int(self.status.split(" ", 1)[0])


def answer(status: str, media_type: str, body: bytes, **more: str) -> Answer:
    named = [(name.replace("_", "-").title(), value) for name, value in more.items()]
    return Answer(status, [("Content-Type", media_type), ("Content-Length", str(len(body))), *named], body)


def login_page() -> Answer:
    return answer("200 OK", "text/html; charset=utf-8", _LOGIN.encode())


def empty() -> Answer:
    return answer("200 OK", _JSON, b"")


def other_json() -> Answer:
    """Answer as a gateway does that speaks for itself."""
    said = {"status": "UP", "component": "gateway", "checks": [{"name": "upstream", "status": "UP"}] * 4}
    return answer("200 OK", _JSON, json.dumps(said).encode())


def sso_redirect() -> Answer:
    to = "https://login.example.org/saml/sso?RelayState=back"
    return answer("302 FOUND", "text/html; charset=utf-8", b"<html><body>Moved</body></html>", location=to)


def refused_account(service: Service, path: str) -> Answer:
    """Refuse the credentials, as each service words it."""
    match service:
        case Service.SLACK if path.startswith(_HOOKS):
            return answer("403 FORBIDDEN", "text/html", b"invalid_token")
        case Service.SLACK:
            return answer("200 OK", _JSON, b'{"ok": false, "error": "invalid_auth"}')
        case Service.TEAMS:
            return _plain(robots.workflow_error(401, "DirectApiAuthorizationRequired", "The signature is not valid."))
        case Service.FEISHU:
            return _plain(robots.feishu_error(19001, "param invalid: incoming webhook access token invalid"))
        case Service.DINGTALK | Service.WECOM:
            return _plain(robots.robot_error(300001 if service is Service.DINGTALK else 93000, "token is not exist"))
        case Service.TRELLO:
            return answer("401 UNAUTHORIZED", "text/plain; charset=utf-8", b"invalid token")
        case _:
            return _plain(_dialect(service).unauthorized())


def forbidden(service: Service, path: str) -> Answer:
    """Refuse whatever is asked, as a firewall in front of the service does or the service itself."""
    match service:
        case Service.SLACK if path.startswith(_HOOKS):
            return answer("403 FORBIDDEN", "text/html", b"action_prohibited")
        case Service.SLACK:
            return answer("403 FORBIDDEN", _JSON, b'{"ok": false, "error": "access_denied"}')
        case Service.TRELLO:
            return answer("403 FORBIDDEN", "text/plain; charset=utf-8", b"Forbidden")
        case _:
            return _plain(_dialect(service).error(403, "You are not permitted to use this site.", path))


def not_found(service: Service, path: str) -> Answer:
    """Deny that anything is there, as to an account that may see nothing."""
    match service:
        case Service.SLACK if path.startswith(_HOOKS):
            return answer("404 NOT FOUND", "text/html", b"no_team")
        case Service.SLACK:
            return answer("200 OK", _JSON, b'{"ok": false, "error": "channel_not_found"}')
        case Service.TRELLO:
            return answer("404 NOT FOUND", "text/plain; charset=utf-8", b"The requested resource was not found.")
        case _:
            said = "It does not exist or you do not have permission to see it."
            return _plain(_dialect(service).error(404, said, path))


def too_many(service: Service) -> tuple[str, bytes]:
    """Return media type and body of a service's answer to too many requests."""
    match service:
        case Service.SLACK:
            return "application/json", b'{"ok": false, "error": "ratelimited"}'
        case Service.TRELLO:
            return "application/json", b'{"code": "API_TOKEN_LIMIT_EXCEEDED", "message": "Rate limit exceeded"}'
        case _:
            text = {"errorMessages": ["Rate limit exceeded."], "errors": {}}
            return "application/json", json.dumps(text).encode()


def _dialect(service: Service) -> Dialect:
    match service:
        case Service.JIRA_CLOUD:
            return jira.CLOUD
        case Service.JIRA_DATACENTER:
            return jira.DATACENTER
        case Service.CONFLUENCE_CLOUD:
            return confluence.CLOUD
        case Service.CONFLUENCE_DATACENTER:
            return confluence.DATACENTER
        case Service.SLACK:
            return slack.DIALECT
        case Service.TRELLO:
            return trello.DIALECT
        case Service.TEAMS:
            return robots.TEAMS
        case Service.FEISHU:
            return robots.FEISHU
        case Service.DINGTALK:
            return robots.DINGTALK
        case Service.WECOM:
            return robots.WECOM
        case Service.MAIL:
            return letters.DIALECT


def _plain(response: Response) -> Answer:
    return Answer(response.status, [(str(name), str(value)) for name, value in response.headers], response.get_data())
