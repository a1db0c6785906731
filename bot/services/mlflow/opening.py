"""Looks at what an address holds before MLflow opens it: MLflow makes, migrates and fills what it opens.

So nothing that Herald reads is changed by its reading: a database of another MLflow's is left alone, none is made, and
what is read is read through a connection that cannot write.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from bot.errors import NoStoreError, RunStoreError
from bot.runtime.shown_addresses import why_misread

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.engine import URL

OLDEST_SERVER = (2, 3)  # that answers what is asked over HTTP
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_CLOUDS = frozenset({"databricks", "databricks-uc", "uc"})  # addresses without a scheme that are no folders
_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})(?:\.[0-9a-z.+-]{1,30})?", re.IGNORECASE)
_VERSION_SECONDS = 10
_CREATED = re.compile(r"Create Date: (\d{4}-\d\d-\d\d)")
_TABLES = frozenset({"experiments", "runs", "metrics"})  # that every MLflow has had
_FILLING = "_create_default_experiment"  # of MLflow's, which has no switch for it
_FOLDER = (
    "{address} is a folder of files (an mlruns folder), which MLflow no longer keeps up: copy it to a database with "
    "`mlflow migrate-filestore --source FOLDER --target sqlite:///mlflow.db` and name that database, or name the "
    "address of the server that has the folder"
)


_ADDRESSES = "name a server (http://127.0.0.1:5000) or a database (sqlite:///mlflow.db, postgresql://...)"
_BARE_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?:\d{1,5}(?:/.*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Opening:
    """How an address may be opened to be read, and what answers there."""

    reading: str
    version: str = ""  # of the MLflow whose it is; empty where it does not say


def look(address: str, shown: str) -> Opening:
    """Look at an address; raise RunStoreError where MLflow, as installed here, would change what is there."""
    if not address.strip():
        raise RunStoreError(f"mlflow.tracking_uri: is empty; {_ADDRESSES}", advises=True)
    if _BARE_HOST.fullmatch(address):
        raise RunStoreError(
            f"mlflow.tracking_uri: {shown} says no protocol; should it be http://{shown}?", advises=True
        )
    if why := why_misread(address):
        raise RunStoreError(f"mlflow.tracking_uri: {shown}: {why}", advises=True)
    scheme = urlsplit(address).scheme.lower()
    if scheme.startswith(_DATABASES):
        return _look_at_database(address, shown)
    if is_server(address):
        return Opening(address, _version_of_server(address, shown))
    if (scheme in ("", "file") or len(scheme) == 1) and address not in _CLOUDS:
        raise RunStoreError(f"mlflow.tracking_uri: {_FOLDER.format(address=repr(shown))}", advises=True)
    return Opening(address)


def is_server(address: str) -> bool:
    return address.partition("://")[0].lower() in {"http", "https"}


@contextmanager
def unfilled(address: str) -> Iterator[None]:
    """Let MLflow open a database without putting the Default experiment back that its owners have removed."""
    if is_server(address):
        yield
        return
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    filling = getattr(SqlAlchemyStore, _FILLING)
    setattr(SqlAlchemyStore, _FILLING, lambda _store, _session: None)
    try:
        yield
    finally:
        setattr(SqlAlchemyStore, _FILLING, filling)


def _look_at_database(address: str, shown: str) -> Opening:
    from mlflow import __version__
    from sqlalchemy import create_engine
    from sqlalchemy.engine import make_url
    from sqlalchemy.pool import NullPool

    url = make_url(address)
    if url.get_backend_name() == "sqlite":
        _check_file(url, shown)
    reading = _unwritable(url)
    engine = create_engine(reading, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            _check_tables(connection, shown)
    finally:
        engine.dispose()
    return Opening(reading.render_as_string(hide_password=False), __version__)


def _check_file(url: URL, shown: str) -> None:
    """Refuse what is not there: whoever connects to it makes it."""
    path = Path((url.database or "").removeprefix("file:"))
    if not url.database or ":memory:" in url.database or not path.exists():
        raise NoStoreError(
            f"mlflow.tracking_uri: {shown}: there is no such file: is the path right? Herald only reads, and makes none"
        )
    if not path.is_file():
        raise RunStoreError(f"mlflow.tracking_uri: {shown} is no file, where a database should be")


def _unwritable(url: URL) -> URL:
    """Return the address by which a database can be read and not written, where its kind has such."""
    match url.get_backend_name():
        case "sqlite":
            # With the driver's name, as MLflow makes the folders of a sqlite:/// path, whatever that path is.
            path = url.database or ""
            file = path if path.startswith("file:") else f"file:{quote(path)}"
            query = {**url.query, "mode": "ro", "uri": "true"}
            return url.set(drivername="sqlite+pysqlite", database=file, query=query)
        case "postgresql":
            given = _as_text(url.query, "options")
            return url.update_query_dict({"options": f"{given} -c default_transaction_read_only=on".strip()})
        case _:
            return url


def _as_text(query: Mapping[str, str | tuple[str, ...]], key: str) -> str:
    value = query.get(key, "")
    return value if isinstance(value, str) else " ".join(value)


def _check_tables(connection: Connection, shown: str) -> None:
    """Compare the schema with the one that the installed MLflow wants; it migrates nothing that is the same."""
    from mlflow import __version__
    from sqlalchemy import inspect, text

    tables = set(inspect(connection).get_table_names())
    if "alembic_version" in tables and (gone := _TABLES - tables) and gone != _TABLES:
        raise RunStoreError(
            f"mlflow.tracking_uri: {shown} is damaged, or not MLflow's (it has no table {', '.join(sorted(gone))}): "
            "ask its owner to restore it, or name the right one",
            advises=True,
        )
    if not tables >= _TABLES:
        raise NoStoreError(f"mlflow.tracking_uri: {shown} holds no tables of MLflow's: is it the right database?")
    has_version = "alembic_version" in tables
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar() if has_version else None
    known = _schemas()
    newest = next(iter(known))
    if found == newest:
        return
    ours = f"{newest}{known[newest]}, of MLflow {__version__} that is installed with Herald"
    if found is None or found in known:
        theirs = "none, of an MLflow before 1.0" if found is None else f"{found}{known[found]}"
        raise RunStoreError(
            f"mlflow.tracking_uri: {shown} was made by an older MLflow (its schema is {theirs}; read is {ours}), and "
            "is left as it is: name the address of its server (http); or, where no older MLflow uses it any more, "
            f"ask its owner to run `mlflow db upgrade` of MLflow {__version__} on it, after which none can",
            advises=True,
        )
    raise RunStoreError(
        f"mlflow.tracking_uri: {shown} was made by a newer MLflow (its schema is {found}; read is {ours}), and is left "
        "as it is: install the MLflow that made it, or name the address of its server (http)",
        advises=True,
    )


def _schemas() -> dict[str, str]:
    """Return the schemas that the installed MLflow knows, the newest first, each with its day in words."""
    import mlflow.store.db_migrations
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(mlflow.store.db_migrations.__path__[0])
    return {each.revision: _day(each.longdoc) for each in script.walk_revisions()}


def _day(words: str) -> str:
    found = _CREATED.search(words)
    return f" of {found[1]}" if found else ""


def _version_of_server(address: str, shown: str) -> str:
    """Ask a server for its version; refuse one that is too old to answer the rest."""
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    account = get_default_host_creds(address)  # type: ignore[no-untyped-call]
    answer = http_request(  # type: ignore[no-untyped-call]
        account, "/version", "GET", timeout=_VERSION_SECONDS, raise_on_status=False
    )
    found = _VERSION.fullmatch(answer.text.strip()) if answer.status_code == 200 else None  # noqa: PLR2004
    if found is None:
        return ""
    if (int(found[1]), int(found[2])) < OLDEST_SERVER:
        oldest = ".".join(map(str, OLDEST_SERVER))
        raise RunStoreError(
            f"mlflow.tracking_uri: {shown} is an MLflow {found[0]}, and the oldest that can be asked is {oldest}: "
            "ask its owner to upgrade the server",
            advises=True,
        )
    return found[0]
