"""A server for one person on this machine: the page of what is asked, anew whenever a template is edited."""

from __future__ import annotations

import secrets
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from urllib.parse import parse_qs, urlencode, urlsplit

from bot.errors import HeraldError
from bot.preview.page import Around
from bot.preview.stage import Stage
from bot.text.locales import Locale, read_locale

_HOST = "127.0.0.1"
_LONGEST_WAIT = 20  # seconds, for a browser that has opened a connection and says nothing


class PreviewServer(ThreadingHTTPServer):
    """Answers on 127.0.0.1 alone, and below a path that nobody can guess.

    Raises OSError where the port cannot be used. What is shown is rendered anew for each request, one at a time.
    """

    daemon_threads = True

    def __init__(self, stage: Stage, what: str, locale: Locale, port: int = 0) -> None:
        self.stage = stage
        self.token = secrets.token_urlsafe(16)
        self.first = self.link(what, locale)
        self.locale = locale
        self.turn = Lock()
        super().__init__((_HOST, port), _Answering)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Name what a browser may call us: a page elsewhere whose name was pointed at us calls us something else."""
        return tuple(f"{name}:{self.server_port}" for name in (_HOST, "localhost"))

    @property
    def url(self) -> str:
        return f"http://{_HOST}:{self.server_port}{self.first}"

    def link(self, what: str, locale: Locale) -> str:
        return f"/{self.token}/?{urlencode({'what': what, 'locale': locale})}"


class _Answering(BaseHTTPRequestHandler):
    timeout = _LONGEST_WAIT
    server: PreviewServer

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        if self.headers.get("Host") not in self.server.hosts:
            self._answer(HTTPStatus.FORBIDDEN, "Ask for 127.0.0.1.")
        elif asked.path == f"/{self.server.token}/word":
            self._answer(HTTPStatus.OK, self.server.stage.word())
        elif asked.path == f"/{self.server.token}/":
            self._show(parse_qs(asked.query))
        else:
            self._answer(HTTPStatus.NOT_FOUND, "There is nothing here: take the whole address that herald printed.")

    def _show(self, query: dict[str, list[str]]) -> None:
        what = query.get("what", [""])[0]
        nonce, server = secrets.token_urlsafe(16), self.server
        try:
            locale = read_locale(query.get("locale", [server.locale])[0])
        except ValueError as error:
            self._answer(HTTPStatus.BAD_REQUEST, f"locale {error}")
            return
        with server.turn:
            word = server.stage.word()
            watched = f"/{server.token}/word"
            around = Around(what, server.stage.names(locale), server.link, watched, word, nonce)
            try:
                page = server.stage.compose(what, locale, around)
            except HeraldError as error:
                self._answer(HTTPStatus.NOT_FOUND, str(error))
                return
        policy = (
            # Mail programs want styles in elements, so that a letter's stand there.
            f"default-src 'none'; style-src 'nonce-{nonce}'; style-src-attr 'unsafe-inline'; "
            f"script-src 'nonce-{nonce}'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        )
        self._answer(HTTPStatus.OK, page, "text/html", policy)

    def _answer(
        self, status: HTTPStatus, text: str, kind: str = "text/plain", policy: str = "default-src 'none'"
    ) -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Security-Policy", policy)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        with suppress(ConnectionError):  # the browser has gone on to something else
            self.wfile.write(content)

    def version_string(self) -> str:
        return "herald"

    def log_message(self, *_words: object) -> None:
        """Say nothing: who looks at a page does not read a log beside it."""
