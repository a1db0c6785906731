"""Who answers requests: nobody but health while Herald is starting, then the pages of the configuration it has."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

STARTING = "Herald is starting"
_LONGEST_WAIT, _BETWEEN = 20.0, 0.1  # seconds, of a reader whose page is about to be there
_WELL, _AWAY = 200, 503
_HEALTHY, _NOT_READY = ("/healthz",), ("/readyz", "/metrics")


@dataclass(slots=True)
class Doorway:
    """Answers from the first moment: little needs to be imported for it, and no configuration read."""

    app: ASGIApp | None = None  # as soon as there is one; another after a reload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path = scope["path"]
        if self.app is None and not path.endswith((*_HEALTHY, *_NOT_READY)):
            await self._wait()
        if self.app is not None:
            await self.app(scope, receive, send)
        elif path.endswith(_HEALTHY):
            await _say(send, _WELL, "ok")
        else:
            await _say(send, _AWAY, STARTING)

    async def _wait(self) -> None:
        until = time.monotonic() + _LONGEST_WAIT
        while self.app is None and time.monotonic() < until:  # noqa: ASYNC110  another thread sets it
            await asyncio.sleep(_BETWEEN)


async def _say(send: Send, status: int, words: str) -> None:
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *([(b"retry-after", b"2")] if status == _AWAY else []),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": words.encode()})
