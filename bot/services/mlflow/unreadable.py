"""What readers of artifacts raise."""

from __future__ import annotations

from bot.domain.runs import Trouble, Unread


class UnreadableError(Exception):
    """An artifact that can never be read as it is."""

    def __init__(self, trouble: Trouble, detail: str) -> None:
        super().__init__(detail)
        self.trouble = trouble
        self.detail = detail

    def of(self, artifact: str) -> Unread:
        return Unread(artifact, self.trouble, self.detail)
