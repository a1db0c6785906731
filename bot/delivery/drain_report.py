"""What a drain of the outbox did."""

from __future__ import annotations

from dataclasses import dataclass, field

from bot.errors import HeraldError
from bot.runtime.log import describe
from bot.store.owed import Owed


@dataclass(slots=True)
class DrainReport:
    """What a drain did: how many effects were delivered, and what is said of those that still are not."""

    delivered: int = 0
    undelivered: dict[int, tuple[str, str]] = field(default_factory=dict)  # by number: the pipeline, and the words

    @property
    def failures(self) -> list[str]:
        return [words for _, words in self.undelivered.values()]

    def failures_of(self, pipeline: str) -> list[str]:
        return [words for name, words in self.undelivered.values() if name == pipeline]

    def succeed(self, owed: Owed) -> None:
        self.delivered += 1
        self.undelivered.pop(owed.seq, None)

    def fail(self, owed: Owed, error: Exception) -> None:
        self.undelivered[owed.seq] = (owed.pipeline, words_of(error))


def words_of(error: Exception) -> str:
    return str(error) if isinstance(error, HeraldError) else f"broke: {describe(error)}"
