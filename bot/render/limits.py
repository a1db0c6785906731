"""How much room a text has: how long a value may be, how many rows a table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

_LOG_SHARE = 4  # a log may be so many times as long as a value


@dataclass(slots=True)
class Room:
    """The room of one rendering; *cut* tells whether anything was left out, *steps* how much was put out."""

    value_chars: int = 1_000_000
    rows: int = 1_000_000
    cut_note: str = "…"  # stands where a value was cut; `{n}` is how many characters are missing
    cut: bool = False
    steps: int = 0

    def shorten(self, text: str) -> str:
        """Cut a value that is too long, and say so."""
        if len(text) <= self.value_chars:
            return text
        self.cut = True
        return text[: self.value_chars] + self._note(len(text) - self.value_chars)

    def shorten_from_start(self, text: str) -> str:
        """Cut a log that is too long, keeping its end."""
        kept = self.value_chars * _LOG_SHARE
        if len(text) <= kept:
            return text
        self.cut = True
        return f"{self._note(len(text) - kept).strip()}\n{text[-kept:]}"

    def _note(self, missing: int) -> str:
        return self.cut_note.replace("{n}", f"{missing:,}")


_room: ContextVar[Room] = ContextVar("room")


def current_room() -> Room:
    """Return the room of the rendering that goes on, or ample room where none does."""
    return _room.get(None) or Room()


@contextmanager
def within(room: Room) -> Iterator[None]:
    token = _room.set(room)
    try:
        yield
    finally:
        _room.reset(token)
