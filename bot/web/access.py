"""Who may see the pages: all who reach them, who know the shared token, or whom a proxy has let in."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from starlette.requests import Request

from bot.config.web import WebSection
from bot.errors import ConfigError

COOKIE = "herald"
_PURPOSE = b"herald pages"


@dataclass(frozen=True, slots=True)
class ReaderGate:
    """Lets readers in, or not."""

    section: WebSection

    def __post_init__(self) -> None:
        if self.section.access == "token" and not self._token:
            raise ConfigError(
                'web.token: is missing, and web.access is "token"; set HERALD_WEB__TOKEN, or put it in a file named '
                "herald_web__token in --secrets-dir"
            )

    @property
    def asks(self) -> bool:
        """Say whether a reader who is not let in can name a token."""
        return self.section.access == "token"

    def lets_in(self, request: Request) -> bool:
        match self.section.access:
            case "open":
                return True
            case "proxy":
                return bool(request.headers.get(self.section.user_header, "").strip())
            case "token":
                scheme, _, given = request.headers.get("authorization", "").partition(" ")
                is_borne = scheme.lower() == "bearer" and self.knows(given.strip())
                return is_borne or _same(request.cookies.get(COOKIE, ""), self.pass_word)

    def knows(self, given: str) -> bool:
        """Say whether a reader has named the token."""
        return bool(self._token) and _same(given, self._token)

    @property
    def pass_word(self) -> str:
        """What a browser keeps once its reader has named the token: it cannot be turned back into it."""
        return hmac.new(self._token.encode(), _PURPOSE, hashlib.sha256).hexdigest()

    @property
    def _token(self) -> str:
        return "" if self.section.token is None else self.section.token.get_secret_value()


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())
