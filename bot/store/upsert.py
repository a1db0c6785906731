"""Inserting what another process may be inserting at the same moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table


def insert_unless_there(tx: Connection, table: Table, **values: Any) -> bool:
    """Insert a row; False where one of its key is there already, even if it was committed a moment ago."""
    # Of insertions SQLAlchemy keeps the count only where it is asked to: psycopg's cursor has none left afterwards.
    insertion = _insertion(tx, table).values(values).execution_options(preserve_rowcount=True)
    return bool(tx.execute(insertion).rowcount == 1)


def insert_all_unless_there(tx: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows of the same columns, but those whose key is there already."""
    if rows:
        tx.execute(_insertion(tx, table), rows)


def _insertion(tx: Connection, table: Table) -> Any:
    if tx.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql as dialect
    else:
        from sqlalchemy.dialects import sqlite as dialect  # type: ignore[no-redef]
    return dialect.insert(table).on_conflict_do_nothing()
