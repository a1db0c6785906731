"""Trello's way of saying no, and of asking who is there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bot.sandbox.web.call import json_answer
from bot.sandbox.web.credentials import same
from bot.sandbox.web.site import Dialect

if TYPE_CHECKING:
    from werkzeug.wrappers import Request, Response

    from bot.sandbox.seed import Account, SandboxSeed
_OAUTH = re.compile(r'oauth_(consumer_key|token)="([^"]*)"')


def _error(status: int, text: str, _path: str = "") -> Response:
    """Answer with a word and a sentence, as Trello's description has it (live ones are plain text here and there)."""
    words = {400: "BAD_REQUEST", 401: "UNAUTHORIZED", 404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}
    return json_answer({"code": words.get(status, "ERROR"), "message": text}, status)


def credentials(request: Request) -> tuple[str, str]:
    """Read key and token from the query or from an OAuth header."""
    header = dict(_OAUTH.findall(request.headers.get("Authorization", "")))
    key = request.args.get("key") or header.get("consumer_key", "")
    return key, request.args.get("token") or header.get("token", "")


def authenticate(request: Request, seed: SandboxSeed) -> Account | None:
    key, token = credentials(request)
    if not same(key, seed.trello_key):
        return None
    if same(token, seed.trello_token):
        return seed.bot
    return next((one for one in seed.people if same(token, one.trello_token)), None)


DIALECT = Dialect(authenticate, _error, lambda: _error(401, "invalid key"))
