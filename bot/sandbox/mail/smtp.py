"""The server's side of SMTP (RFC 5321), as far as a letter needs it: without TLS, for a loopback port alone."""

from __future__ import annotations

import re
import socketserver
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bot.sandbox.mail.tables import letter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bot.sandbox.rules import Rulebook
    from bot.sandbox.web.database import Database

_POLL = 0.02  # seconds between looks at whether to stop
_LONGEST_LINE = 2048  # bytes; RFC 5321 lets a line of a letter have 1,000
_PATIENCE = 60.0  # seconds without a word
_ADDRESS = re.compile(r"(?i)(?:FROM|TO):\s*<([^<>\s]*)>(.*)")
_SIZE = re.compile(r"(?i)\bSIZE=([0-9]{1,12})")
_EVIL = 100  # refused commands after which nobody listens any more


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, host: str, database: Database, rulebook: Rulebook, clock: Callable[[], float]) -> None:
        super().__init__((host, 0), _Conversation)
        self.database, self.rulebook, self.clock = database, rulebook, clock

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that went away is no fault."""


class _Conversation(socketserver.StreamRequestHandler):
    timeout = _PATIENCE
    server: _Server

    def handle(self) -> None:
        self._sender: str | None = None
        self._receivers: list[str] = []
        self._say(220, "sandbox.example.invalid ESMTP; what it takes, it shows and delivers to nobody")
        for _ in range(_EVIL):
            line = self.rfile.readline(_LONGEST_LINE)
            if not line:
                return
            verb, _, rest = line.decode("utf-8", "replace").strip().partition(" ")
            if verb.upper() == "QUIT":
                self._say(221, "Bye")
                return
            self._answer(verb.upper(), rest)

    def _answer(self, verb: str, rest: str) -> None:
        match verb:
            case "EHLO":
                self.wfile.write(b"250-sandbox.example.invalid\r\n250-8BITMIME\r\n")
                self._say(250, f"SIZE {self.server.rulebook.mail.size_limit}")
            case "HELO" | "NOOP":
                self._say(250, "OK")
            case "RSET":
                self._sender, self._receivers = None, []
                self._say(250, "OK")
            case "MAIL":
                self._take_sender(rest)
            case "RCPT":
                self._take_receiver(rest)
            case "DATA":
                self._take_letter()
            case _:
                self._say(502, f"5.5.1 {verb[:20]}: not known here")

    def _take_sender(self, rest: str) -> None:
        found = _ADDRESS.fullmatch(rest)
        size = _SIZE.search(found[2]) if found else None
        if found is None:
            self._say(501, "5.5.4 Syntax: MAIL FROM:<address>")
        elif size and int(size[1]) > self.server.rulebook.mail.size_limit:
            self._say(552, "5.3.4 Message size exceeds fixed limit")
        else:
            self._sender, self._receivers = found[1], []
            self._say(250, "2.1.0 OK")

    def _take_receiver(self, rest: str) -> None:
        found, rules = _ADDRESS.fullmatch(rest), self.server.rulebook.mail
        if self._sender is None:
            self._say(503, "5.5.1 Need MAIL first")
        elif found is None or "@" not in found[1]:
            self._say(501, "5.1.3 Bad recipient address syntax")
        elif found[1] in rules.unknown:
            self._say(550, f"5.1.1 <{found[1]}>: Recipient address rejected: User unknown")
        elif rules.greylists:
            self._say(450, "4.2.0 Greylisted, see later")
        else:
            self._receivers.append(found[1])
            self._say(250, "2.1.5 OK")

    def _take_letter(self) -> None:
        if not self._receivers:
            self._say(503, "5.5.1 Need RCPT first")
            return
        self._say(354, "End data with <CR><LF>.<CR><LF>")
        content, limit = bytearray(), self.server.rulebook.mail.size_limit
        while (line := self.rfile.readline(_LONGEST_LINE)) not in (b".\r\n", b""):
            if len(content) <= limit:
                content += line[1:] if line.startswith(b".") else line
        if not line:
            return
        if len(content) > limit:
            self._say(552, "5.3.4 Message too big for system")
            return
        with self.server.database.transaction() as db:
            row = {"receivers": self._receivers, "content": bytes(content), "at": self.server.clock()}
            number = db.execute(letter.insert().values(**row)).inserted_primary_key
        self._sender, self._receivers = None, []
        self._say(250, f"2.0.0 OK: shown as {number[0] if number else 0}")

    def _say(self, code: int, words: str) -> None:
        self.wfile.write(f"{code} {words}\r\n".encode())


@contextmanager
def serve_mail(host: str, database: Database, rulebook: Rulebook, clock: Callable[[], float]) -> Iterator[int]:
    """Take letters on a free port, which is yielded, until the block ends."""
    with _Server(host, database, rulebook, clock) as server:
        thread = threading.Thread(target=server.serve_forever, args=(_POLL,), name="sandbox mail", daemon=True)
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()
