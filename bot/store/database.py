"""Opens the state database, brings it to the current schema, and hands out transactions."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, StaticPool, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as NoConnectionError

from bot.errors import RowRefusedError, StateError
from bot.runtime.private_files import create_file
from bot.runtime.shown_addresses import shown, strike_out_secrets_of, why_misread
from bot.runtime.state_timeouts import StateTimeouts
from bot.store import fences, postgres
from bot.store.readonly import SqliteReader
from bot.store.tables import metadata

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine

MIGRATIONS = Path(__file__).parent / "migrations"
VERSION_TABLE = "herald_version"
_REVISION = re.compile(r'^revision = "(\w+)"', re.MULTILINE)
_BEFORE = re.compile(r'^down_revision = "?(\w+)"?', re.MULTILINE)
_BUSY_SECONDS = 30
_MIGRATION_LOCK = 0x4E7A1D  # any number, the same in every Herald: one at a time changes the schema


class Database:
    """Herald's state in SQLite or PostgreSQL; every error it raises is a StateError.

    One that is *read_only* cannot write whatever it is asked: the database itself refuses. Nothing is made where there
    is nothing, and no file is left beside the state's.
    """

    is_stand_in = False

    def __init__(self, url: str, *, read_only: bool = False, timeouts: StateTimeouts | None = None) -> None:
        if why := why_misread(url):
            raise StateError(f"store.url: {why}")
        try:
            parsed = make_url(url)
            if parsed.drivername == "postgresql":
                parsed = parsed.set(drivername="postgresql+psycopg")
            self._timeouts = timeouts or StateTimeouts()
            self._engine: Engine = _make_engine(parsed, self._timeouts, read_only=read_only)
        except (ArgumentError, NoSuchModuleError, ImportError, ValueError):
            raise StateError(
                "store.url: should be sqlite:///FILE or postgresql://USER@HOST/DATABASE; a password is best given "
                "with the whole address in HERALD_STORE__URL"
            ) from None
        self._url = url
        self._address = shown(parsed.render_as_string(hide_password=False))
        self._file = _file_of(parsed)
        is_alone = parsed.get_backend_name() == "sqlite" and not read_only
        self._only_writer = threading.Lock() if is_alone else None

    @classmethod
    def stand_in(cls, address: str) -> Database:
        """Return an empty state in memory, for a place where there is none yet."""
        made = cls("sqlite://")
        made._address, made.is_stand_in = address, True
        with made.begin() as tx:
            metadata.create_all(tx)
        return made

    @property
    def file(self) -> Path | None:
        """The file of a state in SQLite."""
        return self._file

    @property
    def address(self) -> str:
        """Where the state is, without a password."""
        return self._address

    def migrate(self) -> None:
        """Bring the schema to this version of Herald; does nothing where it is there already."""
        if self.version() == newest_version():
            return
        from alembic import command
        from alembic.config import Config
        from alembic.runtime.migration import MigrationContext
        from alembic.util import CommandError

        if self._file is not None:
            create_file(self._file)  # SQLite would leave who may read it to the umask
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self._translated(), self._engine.begin() as connection, postgres.taking_its_time(connection):
            if connection.dialect.name == "postgresql":  # SQLite took its only lock when the transaction began
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                if "Can't locate revision" not in str(error):
                    raise
                found = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
                words = explain_version(found.get_current_revision() or "")
                raise StateError(f"{self._address}: {words}") from error

    def version(self) -> str | None:
        """Return the version of the schema; None where there is no state yet."""
        if self._file is not None and self._file.parent.is_dir() and not _is_begun(self._file):
            return None
        with self.begin() as tx:
            if not inspect(tx).has_table(VERSION_TABLE):
                return None
            found: str | None = tx.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608
            return found

    @classmethod
    def for_reading(cls, url: str, timeouts: StateTimeouts | None = None) -> Database:
        """Open a state that can only be read: an empty one where there is none yet, none of another version."""
        database = cls(url, read_only=True, timeouts=timeouts)
        found = database.version()
        if found is None:
            database.close()
            return cls.stand_in(database.address)
        if found != newest_version():
            database.close()
            raise StateError(f"{database.address}: {explain_version(found)}")
        return database

    def why_unfit(self) -> str | None:
        """Say why this version of Herald cannot use the state as it stands; raises StateError where it is away."""
        found = None if self.is_stand_in else self.version()
        return None if found is None or found == newest_version() else explain_version(found)

    def why_not_writable(self) -> str | None:
        """Say what keeps a Herald from writing here, as far as can be told without writing."""
        if self._file is None:
            with self.begin() as tx:
                return postgres.why_not_writable(tx)
        needed = [self._file.parent, *([self._file] if self._file.exists() else [])]
        closed = next((path for path in needed if not os.access(path, os.W_OK)), None)
        return None if closed is None else f"{closed} may not be written"

    @contextmanager
    def begin(self, *, takes_long: bool = False) -> Iterator[Connection]:
        """Open a transaction that commits at the end of the block, and not at all if the block raises.

        One that *takes long* keeps no limit to its statements.
        """
        with self._translated(), self._turn(), self._engine.begin() as connection:
            fences.check(self, connection)
            with postgres.taking_its_time(connection) if takes_long else nullcontext():
                yield connection

    @property
    def is_on_a_server(self) -> bool:
        """Say whether readers and writers may come together from many places, by connections of their own."""
        return self._engine.dialect.name == "postgresql"

    def beside(self, longest: timedelta) -> Database:
        """Return the same state by connections of its own, on which a statement takes so long at most.

        A file is shared: its lock has one queue in a process.
        """
        timeouts = replace(self._timeouts, statement=longest)
        return self if self._only_writer is not None else Database(self._url, timeouts=timeouts)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Let the threads of one process queue for SQLite's only lock: the file's own waiters poll, and may starve."""
        if self._only_writer is None:
            yield
            return
        if not self._only_writer.acquire(timeout=_BUSY_SECONDS):
            raise NoConnectionError
        try:
            yield
        finally:
            self._only_writer.release()

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DataError as error:
            raise RowRefusedError(f"{self._address}: {_explain(error, self._url)}") from error
        except DBAPIError as error:
            raise StateError(f"{self._address}: {_explain(error, self._url)}") from error
        except NoConnectionError as error:  # many at once, each behind a slow disk or a lock
            raise StateError(f"{self._address}: the state cannot be used: too many wait for it at once") from error


def newest_version() -> str:
    """Return the version that :meth:`Database.migrate` leads to: the one that no other goes on from."""
    (newest,) = _versions().keys() - _versions().values()
    return newest


@cache
def _versions() -> dict[str, str]:
    """Return our versions of the schema, each with the one before it, without alembic, which takes long to load."""
    texts = [path.read_text(encoding="utf-8") for path in (MIGRATIONS / "versions").glob("[0-9]*.py")]
    return {_REVISION.findall(text)[0]: _BEFORE.findall(text)[0] for text in texts}


def is_newer(found: str) -> bool:
    """Say whether a version is none of those that lead to ours."""
    return found not in _versions()


def explain_version(found: str) -> str:
    """Say what to do about a state of another version than ours."""
    ours = newest_version()
    if not is_newer(found):
        return (
            f"the state is of version {found} and this Herald writes version {ours}; `herald serve` or `herald run` "
            "brings it up to that, after which an older Herald cannot use it: back it up with that one first"
        )
    return (
        "the state was made by a newer Herald; install that version or a later one "
        f"(the state has version {found}, this Herald writes {ours})"
    )


def _make_engine(url: URL, timeouts: StateTimeouts, *, read_only: bool) -> Engine:
    file = _file_of(url)
    if url.get_backend_name() not in {"sqlite", "postgresql"}:
        raise ArgumentError
    if url.get_backend_name() == "postgresql":
        options = {"postgresql_readonly": True} if read_only else {}
        for_a_place = timeouts.statement or timedelta(seconds=_BUSY_SECONDS)
        if not timeouts.keeps_deadline:
            for_a_place += timeouts.connect
        engine = create_engine(
            url,
            pool_pre_ping=True,
            pool_timeout=for_a_place.total_seconds(),
            client_encoding="utf8",
            execution_options=options,
        )
        postgres.set_up(engine, timeouts, read_only=read_only)
        return engine
    if file is not None and read_only:
        return SqliteReader(file, _BUSY_SECONDS).engine(url)
    engine = create_engine(url, poolclass=StaticPool) if file is None else create_engine(url)
    _set_up_sqlite(engine)
    return engine


def _is_begun(file: Path) -> bool:
    return file.is_file() and file.stat().st_size > 0


def _file_of(url: URL) -> Path | None:
    is_file = url.get_backend_name() == "sqlite" and url.database not in {None, "", ":memory:"}
    return Path(str(url.database)) if is_file else None


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


def _explain(error: DBAPIError, url: str) -> str:
    said = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
    words = strike_out_secrets_of(url, said)
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
