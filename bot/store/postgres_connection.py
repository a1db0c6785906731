"""A connection to PostgreSQL on which nobody waits for ever, though the server is frozen or out of reach."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from typing import Any, TypeVar

from psycopg import Connection, OperationalError
from psycopg.rows import TupleRow

from bot.runtime.deadline import seconds_left

RV = TypeVar("RV")
_LATER = 0.5  # seconds after a deadline, so that a server that goes on says itself that a statement took too long


class LimitedConnection(Connection[TupleRow]):
    """Gives up a server that has said nothing for too long.

    The server's own `statement_timeout` ends what is slow while it goes on; one that is stopped, or behind a network
    that takes everything and brings nothing, keeps no time, and the kernel still takes what is sent to it.
    """

    longest: float | None = None  # seconds of silence after a statement; None: no limit
    keeps_deadline = False

    def wait(self, gen: Generator[Any, Any, RV], *args: Any, **named: Any) -> RV:
        """Do what psycopg does with a statement, until it has an answer or the time is over."""
        longest = math.inf if self.longest is None else self.longest
        if self.keeps_deadline:
            longest = min(longest, max(seconds_left(), 0.0) + _LATER)
        if longest == math.inf:
            return super().wait(gen, *args, **named)
        try:
            return super().wait(_until(gen, time.monotonic() + longest, longest), *args, **named)
        except _SilentServerError:
            self.pgconn.finish()  # an answer that comes now would be taken for that to the next statement
            raise


class _SilentServerError(OperationalError):
    pass


def _until(gen: Generator[Any, Any, RV], moment: float, longest: float) -> Generator[Any, Any, RV]:
    """Go on with a statement; psycopg wakes it every tenth of a second with nothing where nothing has come."""
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() > moment:
                raise _SilentServerError(f"the server has not answered for {longest:.0f} s")
            wanted = gen.send(ready)
    except StopIteration as end:
        result: RV = end.value
        return result
