"""The one SQLite file behind the stand-in, and the lock that makes every request one transaction."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, create_engine, event, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.pool import StaticPool

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

metadata = MetaData()

counter = Table("counter", metadata, Column("name", String, primary_key=True), Column("value", Integer, nullable=False))


class Database:
    """The database, one transaction at a time."""

    def __init__(self, path: Path | None, parts: Iterable[MetaData]) -> None:
        url = "sqlite://" if path is None else f"sqlite:///{path}"
        self._engine = create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})
        self._lock = threading.RLock()
        event.listen(self._engine, "connect", _durable_and_quick)
        for part in parts:
            part.create_all(self._engine)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        with self._lock, self._engine.begin() as connection:
            yield connection

    def close(self) -> None:
        self._engine.dispose()


def _durable_and_quick(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()


def next_number(db: Connection, name: str, first: int) -> int:
    """Give out *first*, then one more each time."""
    statement = insert(counter).values(name=name, value=first)
    statement = statement.on_conflict_do_update(index_elements=["name"], set_={"value": counter.c.value + 1})
    db.execute(statement)
    value = db.execute(select(counter.c.value).where(counter.c.name == name)).scalar_one()
    return int(value)
