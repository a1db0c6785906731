"""Two versions of Herald on one state, while one takes the place of the other: what the older writes and reads still fits.

So that this holds, a migration only adds what may be left empty. What nothing uses any more is taken away by a later
one, when no Herald of before is left that writes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from alembic import command
from alembic.config import Config as AlembicConfig
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    create_engine,
    delete,
    event,
    insert,
    select,
    update,
)

from bot.store import Database
from bot.store.database import MIGRATIONS, VERSION_TABLE, newest_version

FIRST = 17  # the version from which on the next is held to it
STEPS = [(f"{number:04}", f"{number + 1:04}") for number in range(FIRST, int(newest_version()))]


def bring_to(tx: Connection, version: str) -> None:
    config = AlembicConfig()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = tx
    command.upgrade(config, version)


@pytest.fixture(params=["sqlite", "postgresql"])
def tx(request, tmp_path) -> Iterator[Connection]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'state.db'}"
    else:
        url = request.getfixturevalue("postgres_url_in")("UTF8").replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(url)
    if request.param == "sqlite":
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys = ON"))
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def value_for(column: Column[Any]) -> object:
    match column.type:
        case Boolean():
            return True
        case Integer() | Numeric() | Float():
            return 7
        case DateTime():
            return datetime(2026, 11, 24, tzinfo=UTC)
        case LargeBinary():
            return b"x"
        case _:
            return "x"


def test_what_the_older_version_writes_and_reads_fits_the_state_of_the_newer(tx):
    bring_to(tx, STEPS[0][0])
    for _, after in STEPS:
        older = MetaData()
        older.reflect(tx)
        bring_to(tx, after)
        for table in older.sorted_tables:
            if table.name != VERSION_TABLE:
                write_and_read(tx, table)


def write_and_read(tx: Connection, table: Table) -> None:
    row = {column.name: value_for(column) for column in table.columns}
    tx.execute(insert(table).values(row))
    key = [column == row[column.name] for column in table.primary_key]
    tx.execute(update(table).where(*key).values({column.name: row[column.name] for column in table.columns}))
    assert tx.execute(select(table).where(*key)).one() is not None
    tx.execute(delete(table).where(*key))


def test_a_herald_that_is_older_than_the_state_says_so_when_it_starts_and_when_it_is_asked(tmp_path):
    url = f"sqlite:///{tmp_path / 'state.db'}"
    older = Database(url)
    older.migrate()
    assert older.why_unfit() is None
    engine = create_engine(url)
    with engine.begin() as tx:
        tx.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    engine.dispose()
    assert "made by a newer Herald" in str(older.why_unfit())
    older.close()
