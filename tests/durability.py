"""Commits that are in the system's hands at once: tests kill processes, never the machine."""

import sqlite3

from sqlalchemy import Pool, event


def wait_for_no_disk() -> None:
    """Let every SQLite of this process, Herald's and MLflow's and the stand-in's, commit without waiting for the disk."""
    # A listener to "connect" would be called before Herald's own, which sets this again.
    event.listen(Pool, "checkout", _wait_for_no_disk)


def _wait_for_no_disk(connection: object, _record: object, _proxy: object) -> None:
    if isinstance(connection, sqlite3.Connection) and not connection.in_transaction:
        connection.execute("PRAGMA synchronous = OFF")
