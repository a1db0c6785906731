"""Statements that a process compiles once, where each of its thousands of databases would compile them for itself."""

from sqlalchemy import Connection, Engine, event
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache

_MOST = 2000
_ALIKE = (SQLiteDialect_pysqlite, PGDialect_psycopg)  # every engine of a session speaks these as every other does
_compiled: LRUCache[object, object] = LRUCache(_MOST)


def share_compiled_statements() -> None:
    """Let all engines of this process take what one has compiled: SQLAlchemy keeps it by engine and by dialect."""
    for dialect in _ALIKE:
        dialect.__hash__ = _hash  # type: ignore[method-assign]
        dialect.__eq__ = _is_alike  # type: ignore[method-assign]
    event.listen(Engine, "engine_connect", _share)


def _share(connection: Connection) -> None:
    if type(connection.engine.dialect) in _ALIKE:
        connection.engine._compiled_cache = _compiled  # type: ignore[assignment]


def _hash(dialect: object) -> int:
    return hash(type(dialect))


def _is_alike(dialect: object, other: object) -> bool:
    return type(dialect) is type(other)
