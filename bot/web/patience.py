"""A question to the state that nobody waits for longer than a few seconds: a database may hang, and say nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TypeVar

from bot.errors import StateError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """Asks on a thread of its own, one question at a time: of a state that hangs, one thread hangs with it."""

    seconds: float = 4.0
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, work: Callable[[], T]) -> T:
        """Return what *work* does; raises StateError where its answer, or that to others, takes too long."""
        until = time.monotonic() + self.seconds
        if not self._turn.acquire(timeout=self.seconds):
            raise self._too_long()
        answers: SimpleQueue[tuple[T, None] | tuple[None, Exception]] = SimpleQueue()

        def go() -> None:
            try:
                answers.put((work(), None))
            except Exception as error:  # noqa: BLE001  whoever asked raises it
                answers.put((None, error))
            finally:
                self._turn.release()

        threading.Thread(target=go, name="asking the state", daemon=True).start()
        try:
            found, error = answers.get(timeout=max(until - time.monotonic(), 0.0))
        except Empty:
            raise self._too_long() from None
        if error is not None:
            raise error
        return found  # type: ignore[return-value]

    def _too_long(self) -> StateError:
        return StateError(f"the state has not answered within {self.seconds:g} s")
