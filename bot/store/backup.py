"""Backup and restore of the state: one SQLite file, whatever database it came from and goes to."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, Table, delete, func, insert, inspect, select, text, update

from bot.errors import StateError
from bot.store.database import VERSION_TABLE, Database
from bot.store.owed import EffectState
from bot.store.tables import contacts, leadership, leases, metadata, outbox, rules, serving

_ROWS_AT_ONCE = 100  # some are long
_OF_THE_LIVING = (leases, leadership, serving)  # who works on a state is no part of it, and an epoch never goes back


def back_up(database: Database, target: Path) -> int:
    """Copy the state, as it is at one moment, into a new file; return how many rows it holds.

    A Herald may be at work meanwhile.
    """
    if target.exists():
        raise StateError(f"{target}: is there already; a backup does not replace a file")
    if not target.parent.is_dir():
        raise StateError(f"{target}: there is no folder {target.parent}")
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        part = Path(folder) / "state.db"
        copy = Database(f"sqlite:///{part}")
        copy.migrate()
        with database.begin() as reading, copy.begin() as writing:
            if reading.dialect.name == "postgresql":
                reading.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            count = copy_rows(reading, writing)
        copy.close()
        _fold(part)
        part.rename(target)
    return count


def restore(database: Database, source: Path, now: datetime, *, replace: bool) -> int:
    """Put a backup in the place of the state; return how many rows it holds.

    What the services were asked for since the backup is not known here. So what was owed then is looked for before it
    is sent, and what ended since is read as the past: nothing is filed twice.
    """
    if not source.is_file():
        raise StateError(f"{source}: there is no such file")
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / "state.db"
        shutil.copyfile(source, part)
        _check(part, source)
        backup = Database(f"sqlite:///{part}")
        backup.migrate()  # it may come from an older Herald
        with backup.begin() as reading, database.begin(takes_long=True) as writing:
            if not replace and _holds_something(writing):
                raise StateError(f"{database.address}: holds a state already; --replace puts the backup in its place")
            for table in metadata.sorted_tables:
                if table is not leadership:
                    writing.execute(delete(table))
            count = copy_rows(reading, writing)
            _distrust(writing, now)
        backup.close()
    return count


def copy_rows(reading: Connection, writing: Connection) -> int:
    """Copy all rows but those of who is at work into empty tables, some at a time; return how many there were."""
    tables = (table for table in metadata.sorted_tables if table not in _OF_THE_LIVING)
    count = sum(_copy_table(reading, writing, table) for table in tables)
    if writing.dialect.name == "postgresql":
        for column in (outbox.c.seq, rules.c.number):
            highest = writing.scalar(select(func.coalesce(func.max(column), 0))) or 0
            sequence = func.pg_get_serial_sequence(column.table.name, column.name)
            writing.execute(select(func.setval(sequence, highest + 1, text("false"))))
    return count


def _copy_table(reading: Connection, writing: Connection, table: Table) -> int:
    count = 0
    rows = reading.execute(select(table).execution_options(yield_per=_ROWS_AT_ONCE)).mappings()
    for some in rows.partitions():
        writing.execute(insert(table), [dict(row) for row in some])
        count += len(some)
    return count


def _distrust(tx: Connection, now: datetime) -> None:
    """Let what is owed be looked for before it is sent, and what ended until now be the past."""
    tx.execute(
        update(outbox)
        .where(outbox.c.state == EffectState.PENDING)
        .values(sent_at=func.coalesce(outbox.c.sent_at, outbox.c.created_at), owner=None, leased_until=None)
    )
    tx.execute(update(contacts).values(since=now, past_read=False))


def _holds_something(tx: Connection) -> bool:
    tables = [table for table in metadata.sorted_tables if table not in _OF_THE_LIVING]
    return any(tx.scalar(select(func.count()).select_from(table)) for table in tables)


def _fold(file: Path) -> None:
    """Fold the write-ahead log into the file, so that it is whole by itself."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")


def _check(file: Path, source: Path) -> None:
    backup = Database(f"sqlite:///{file}")
    try:
        with backup.begin() as tx:
            is_state = inspect(tx).has_table(VERSION_TABLE) and inspect(tx).has_table("outbox")
    except StateError:
        is_state = False
    finally:
        backup.close()
    if not is_state:
        raise StateError(f"{source}: is not a backup of Herald's state")
