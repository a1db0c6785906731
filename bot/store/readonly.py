"""Opens a SQLite state for commands that only read: nothing is made, changed or left beside the file."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from sqlalchemy import Connection, NullPool, create_engine, event

from bot.errors import StateError

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine

_Stamp = tuple[int, int]


@dataclass(slots=True)
class SqliteReader:
    """Chooses for each transaction how to read the file, and notices where it changed under the reading.

    SQLite reads a file in its WAL mode only with two more beside it, and makes them where they are missing. While
    nothing waits in the log the file is whole by itself, and is read as one that nobody changes. While something does,
    the log is read too; where even that would have to write (a log that a dead process left in a folder that may not be
    written), both are copied.
    """

    file: Path
    busy_seconds: int
    _seen: _Stamp | None = None  # how the file was when it was opened as one that nobody changes
    _copies: list[tempfile.TemporaryDirectory[str]] = field(default_factory=list)

    def engine(self, url: URL) -> Engine:
        engine = create_engine(url, creator=self._open, poolclass=NullPool)
        event.listen(engine, "begin", _begin)
        event.listen(engine, "commit", lambda _connection: self._check())
        return engine

    def _open(self) -> sqlite3.Connection:
        has_log = any(_size(f"{self.file}{end}") for end in ("-wal", "-journal"))
        self._seen = self._stamp() if not has_log and self.file.exists() else None
        try:
            return self._connect(self.file, "ro", "" if has_log else "&immutable=1")
        except sqlite3.OperationalError:
            if not has_log:
                raise
            return self._connect(self._copy(), "rw")

    def _connect(self, file: Path, mode: str, more: str = "") -> sqlite3.Connection:
        address = f"file:{quote(str(file))}?mode={mode}{more}"
        connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
        try:
            connection.execute(f"PRAGMA busy_timeout = {self.busy_seconds * 1000}")
            connection.execute("SELECT count(*) FROM sqlite_master")  # the first to touch the file
            connection.execute("PRAGMA query_only = ON")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _copy(self) -> Path:
        """Copy the file and its log to where they can be put together."""
        self._copies.append(tempfile.TemporaryDirectory(prefix="herald-reading-"))
        copy = Path(self._copies[-1].name) / "state.db"
        for end in ("", "-wal", "-journal"):
            if _size(f"{self.file}{end}"):
                shutil.copyfile(f"{self.file}{end}", f"{copy}{end}")
        return copy

    def _check(self) -> None:
        if self._seen is not None and self._seen != self._stamp():
            raise StateError(f"{self.file}: the state was written to while it was read; ask again")

    def _stamp(self) -> _Stamp:
        found = self.file.stat()
        return found.st_mtime_ns, found.st_size


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116
    except FileNotFoundError:
        return 0
