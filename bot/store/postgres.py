"""What PostgreSQL needs beside what every database does."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text

from bot.errors import StateError

_PAUSED_SECONDS = 30  # in a transaction


def connect(dialect: Any, _record: object, words: Any, options: dict[str, Any]) -> Any:
    """Connect, and refuse a database that cannot hold every language."""
    connection = dialect.connect(*words, **options)
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        name = connection.info.dbname
        connection.close()
        raise StateError(
            f"store.url: the database {name!r} has the encoding {encoding}, which cannot hold every name that people "
            f"give things; make one with CREATE DATABASE herald ENCODING 'UTF8' TEMPLATE template0, and name it there"
        )
    return connection


def let_go_when_paused(connection: Connection) -> None:
    """Let the server end a transaction whose Herald was paused in its midst: others wait for what it has locked.

    For this transaction alone: behind a pool of connections the next one may be another's.
    """
    connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = '{_PAUSED_SECONDS}s'")


def why_not_writable(tx: Connection) -> str | None:
    if tx.scalar(text("SELECT pg_is_in_recovery()")):
        return "the server is a copy that only follows another"
    may = text("SELECT coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)")
    return None if tx.scalar(may) else "the account may make no tables there"
