"""What PostgreSQL needs beside what every database does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Engine, event, text

from bot.errors import StateError
from bot.runtime.deadline import seconds_left
from bot.runtime.state_timeouts import StateTimeouts

_SHORTEST = 1.0  # seconds; libpq takes two at least, so that no deadline is missed by more than one
_PAUSED_SECONDS = 30  # in a transaction
_GRACE = timedelta(seconds=2)  # in which the server is to say itself that a statement took too long


def set_up(engine: Engine, timeouts: StateTimeouts, *, read_only: bool) -> None:
    """Let connections and transactions of an engine keep the limits, and be of use to all languages."""

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: object, _record: object, words: Any, options: dict[str, Any]) -> Any:
        return _connect(words, options, timeouts)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        _limit(connection, timeouts, read_only=read_only)


def _connect(words: Any, options: dict[str, Any], timeouts: StateTimeouts) -> Any:
    """Connect, and refuse a database that cannot hold every language."""
    from bot.store.postgres_connection import LimitedConnection

    options.setdefault("connect_timeout", _seconds_to_connect(timeouts))
    connection = LimitedConnection.connect(*words, **options)
    connection.longest, connection.keeps_deadline = _with_grace(timeouts.statement), timeouts.keeps_deadline
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        name = connection.info.dbname
        connection.close()
        raise StateError(
            f"store.url: the database {name!r} has the encoding {encoding}, which cannot hold every name that people "
            f"give things; make one with CREATE DATABASE herald ENCODING 'UTF8' TEMPLATE template0, and name it there"
        )
    return connection


def _seconds_to_connect(timeouts: StateTimeouts) -> int:
    """Return how long a connection may take; raises psycopg's error where the time of whoever wants one is over."""
    seconds = timeouts.connect.total_seconds()
    if timeouts.keeps_deadline:
        seconds = min(seconds, seconds_left())
        if seconds < _SHORTEST:
            from psycopg import OperationalError

            raise OperationalError("no time was left for a connection to the server, which did not answer before")
    return max(round(seconds), 1)


def _limit(connection: Connection, timeouts: StateTimeouts, *, read_only: bool) -> None:
    """Let the server end a statement that takes too long, and a transaction whose Herald was paused in its midst.

    Others wait for what that has locked. For this transaction alone: behind a pool of connections the next one may be
    another's.
    """
    if not read_only:
        connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = '{_PAUSED_SECONDS}s'")
    if timeouts.statement is not None:
        _set_longest(connection, timeouts.statement)


def _set_longest(connection: Connection, longest: timedelta) -> None:
    """Set the server's limit by what is no query: the isolation of a transaction can be set before its first alone."""
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = {round(longest.total_seconds() * 1000)}")


@contextmanager
def taking_its_time(connection: Connection) -> Iterator[None]:
    """Let the statements of this transaction take as long as they need."""
    if connection.dialect.name != "postgresql":
        yield
        return
    _set_longest(connection, timedelta(0))
    driver: Any = connection.connection.driver_connection
    before, driver.longest = driver.longest, None
    try:
        yield
    finally:
        driver.longest = before


def _with_grace(longest: timedelta | None) -> float | None:
    return None if longest is None else (longest + _GRACE).total_seconds()


def why_not_writable(tx: Connection) -> str | None:
    if tx.scalar(text("SELECT pg_is_in_recovery()")):
        return "the server is a copy that only follows another"
    may = text("SELECT coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)")
    return None if tx.scalar(may) else "the account may make no tables there"
