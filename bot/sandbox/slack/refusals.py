"""Slack's way of saying no, which is mostly an answer with status 200."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.sandbox.web.call import json_answer
from bot.sandbox.web.credentials import same
from bot.sandbox.web.site import Dialect

if TYPE_CHECKING:
    from werkzeug.wrappers import Request, Response

    from bot.sandbox.seed import Account, SandboxSeed


def _error(status: int, text: str, _path: str) -> Response:
    """Answer as Slack does: 200 and a word, for all that has to do with arguments."""
    words = {404: "unknown_method", 405: "invalid_post_type", 413: "request_too_large", 400: "invalid_json"}
    answer = json_answer({"ok": False, "error": words.get(status, "fatal_error"), "detail": text})
    answer.status_code = 200 if status in (400, 404) else status
    return answer


def authenticate(request: Request, seed: SandboxSeed) -> Account | None:
    """Let everybody in: each method reads its own token, because a refusal is an answer with status 200."""
    given = request.authorization
    token = given.token if given is not None and given.type == "bearer" else None
    return next((one for one in seed.people if token and same(token, one.slack_token)), seed.bot)


DIALECT = Dialect(authenticate, _error, lambda: json_answer({"ok": False, "error": "not_authed"}))
