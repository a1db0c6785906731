"""Errands: what is done beside the loop of `herald serve` again and again, each on a thread, never twice at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from bot.domain.backoff import is_held
from bot.errors import HeraldError
from bot.runtime.log import describe, get_logger, journal

AFTER_TROUBLE = timedelta(seconds=30)

log = get_logger(__name__)


class Task(Protocol):
    """Work under way beside the loop; a thread is one."""

    def is_alive(self) -> bool: ...

    def join(self, timeout: float | None = None) -> None: ...


def start_thread(name: str, work: Callable[[], None]) -> Task:
    thread = threading.Thread(target=work, name=name, daemon=True)  # the end of the process waits for none that hangs
    thread.start()
    return thread


@dataclass(slots=True)
class Errand:
    """Something that is done again and again, but never twice at once."""

    name: str
    task: Task | None = None
    rests_since: datetime | None = None
    not_before: datetime | None = None
    trouble: str = ""  # why it failed the last time
    failures: int = 0  # in a row
    is_waiting: bool = False  # for another Herald

    @property
    def is_under_way(self) -> bool:
        return self.task is not None and self.task.is_alive()

    def may_start(self, now: datetime) -> bool:
        """Say whether it is not under way and has rested; where the clock went back, nobody knows how long it has."""
        if self.is_under_way:
            return False
        return self.not_before is None or not is_held(self.rests_since, self.not_before, now)

    def rest(self, now: datetime, pause: timedelta) -> None:
        self.rests_since, self.not_before = now, now + pause

    def hurry(self) -> None:
        self.rests_since = self.not_before = None

    def attempt(self, work: Callable[[], object], clock: Callable[[], datetime]) -> None:
        """Do the work; one errand's trouble must not end the others."""
        try:
            work()
        except HeraldError as error:
            log.error("failed", what=self.name, error=str(error))  # noqa: TRY400  a sentence, not a traceback
            self.fail(str(error), clock())
        except Exception as error:
            log.exception("broke", what=self.name)
            self.fail(describe(error), clock())
        else:
            self._be_well()

    def fail(self, trouble: str, now: datetime) -> None:
        self.trouble, self.failures = trouble, self.failures + 1
        self.rest(now, AFTER_TROUBLE)

    def _be_well(self) -> None:
        if self.trouble:
            log.info("well again", what=self.name, failures=self.failures)
            journal.forget(self.name)
        self.trouble, self.failures = "", 0
