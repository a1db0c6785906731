"""Inserting what another process may be inserting at the same moment."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table


def insert_unless_there(tx: Connection, table: Table, **values: Any) -> bool:
    """Insert a row; False where one of its key is there already, even if it was committed a moment ago."""
    if tx.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql as dialect
    else:
        from sqlalchemy.dialects import sqlite as dialect  # type: ignore[no-redef]
    insertion = dialect.insert(table).values(values).on_conflict_do_nothing()
    # Of insertions SQLAlchemy keeps the count only where it is asked to: psycopg's cursor has none left afterwards.
    return tx.execute(insertion.execution_options(preserve_rowcount=True)).rowcount == 1
