"""A connection to PostgreSQL on which nobody waits for ever, though the server is frozen or out of reach."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, TypeVar

from psycopg import Connection, OperationalError
from psycopg.rows import TupleRow

RV = TypeVar("RV")


class LimitedConnection(Connection[TupleRow]):
    """Gives up a server that has said nothing for too long.

    The server's own `statement_timeout` ends what is slow while it goes on; one that is stopped, or behind a network
    that takes everything and brings nothing, keeps no time, and the kernel still takes what is sent to it.
    """

    longest: float | None = None  # seconds of silence after a statement; None: no limit

    def wait(self, gen: Generator[Any, Any, RV], *args: Any, **named: Any) -> RV:
        """Do what psycopg does with a statement, until it has an answer or the time is over."""
        if self.longest is None:
            return super().wait(gen, *args, **named)
        try:
            return super().wait(_until(gen, time.monotonic() + self.longest, self.longest), *args, **named)
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
