"""Opens the state database, brings it to the current schema, and hands out transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as NoConnectionError

from bot.errors import StateError

if TYPE_CHECKING:
    from sqlalchemy import Engine

MIGRATIONS = Path(__file__).parent / "migrations"
VERSION_TABLE = "herald_version"
_BUSY_SECONDS = 30
_MIGRATION_LOCK = 0x4E7A1D  # any number, the same in every Herald: one at a time changes the schema


class Database:
    """Herald's state in SQLite or PostgreSQL; every error it raises is a StateError."""

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
            if parsed.drivername == "postgresql":
                parsed = parsed.set(drivername="postgresql+psycopg")
            self._engine: Engine = create_engine(parsed)
        except (ArgumentError, NoSuchModuleError, ImportError):
            raise StateError(
                "store.url: should be sqlite:///FILE or postgresql://USER@HOST/DATABASE; a password is best given "
                "with the whole address in HERALD_STORE__URL"
            ) from None
        self._address = parsed.render_as_string(hide_password=True)
        if parsed.get_backend_name() == "sqlite":
            _set_up_sqlite(self._engine)

    @property
    def address(self) -> str:
        """Where the state is, without a password."""
        return self._address

    def migrate(self) -> None:
        """Bring the schema to this version of Herald; does nothing where it is there already."""
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self._translated(), self._engine.begin() as connection:
            if connection.dialect.name == "postgresql":  # SQLite took its only lock when the transaction began
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                if "Can't locate revision" not in str(error):
                    raise
                raise StateError(
                    f"{self._address}: the state was made by a newer Herald; install that version or a later one"
                ) from error

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Open a transaction that commits at the end of the block, and not at all if the block raises."""
        with self._translated(), self._engine.begin() as connection:
            yield connection

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise StateError(f"{self._address}: {_explain(error)}") from error
        except NoConnectionError as error:  # many at once, each behind a slow disk or a lock
            raise StateError(f"{self._address}: the state cannot be used: too many wait for it at once") from error


def _set_up_sqlite(engine: Engine) -> None:
    """Let writers wait for one another, and take the write lock when a transaction begins, not in its middle."""

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # SQLAlchemy's BEGIN below is the only one
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _explain(error: DBAPIError) -> str:
    words = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
    hints = {
        "locked": "another process holds it; is a second Herald writing, or a backup running?",
        "not a database": "the file is damaged or something else; restore it from a backup or name another",
        "malformed": "the file is damaged; restore it from a backup",
        "full": "the disk is full; make room and start again, nothing was half-written",
        "unable to open": "the folder must exist and be writable",
        "readonly": "the file must be writable",
    }
    hint = next((text for sign, text in hints.items() if sign in words), "")
    return f"the state cannot be used: {words}" + (f" ({hint})" if hint else "")
