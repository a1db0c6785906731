"""The tokens that apps of Feishu and DingTalk write with: asked for with the app's secret, good for two hours."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

_EARLIER = 300.0  # seconds before its end a token is asked for anew


class AppToken:
    """Keeps one token and its end; *ask* returns a new one, and for how many seconds it is good."""

    def __init__(self, ask: Callable[[], tuple[str, float]]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._held: tuple[str, float] | None = None

    def get(self) -> str:
        with self._lock:
            if self._held is None or self._held[1] <= time.monotonic():
                token, seconds = self._ask()
                self._held = token, time.monotonic() + max(seconds - _EARLIER, 0.0)
            return self._held[0]

    def forget(self) -> None:
        """Ask anew the next time: the service takes this one no longer."""
        with self._lock:
            self._held = None


class SpokenFor:
    """An answer whose own number says more than its status: it is read as if that were 200."""

    status_code = 200

    def __init__(self, headers: Mapping[str, str], content: bytes) -> None:
        self.headers, self.content = headers, content
