"""Inserting what another process may be inserting at the same moment."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_unless_there(tx: Connection, table: Table, **values: Any) -> bool:
    """Insert a row; False where one of its key is there already, even if it was committed a moment ago."""
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    return tx.execute(dialect.insert(table).values(values).on_conflict_do_nothing()).rowcount == 1
