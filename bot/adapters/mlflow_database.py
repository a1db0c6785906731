"""Looks at a database that MLflow keeps its runs in, before MLflow opens it: that would make or change its schema."""

from __future__ import annotations

from pathlib import Path

from bot.errors import RunStoreError

_KINDS = {"sqlite", "postgresql", "mysql", "mssql"}
_VERSION_TABLE = "alembic_version"


def holds_runs(address: str, shown: str) -> bool:
    """Say whether there is anything of MLflow's at an address; a server answers for itself.

    *shown* is the address as people may read it.

    :raises RunStoreError: where it was made by another version of MLflow than ours, which would bring it up to date.
    """
    if address.partition(":")[0].partition("+")[0] not in _KINDS:
        return True
    from sqlalchemy.exc import SQLAlchemyError

    try:
        found = _version_at(address)
    except (SQLAlchemyError, ImportError):
        return True  # MLflow says what is wrong with it
    if found is not None:
        _refuse_others(found, shown)
    return found is not None


def _version_at(address: str) -> str | None:
    from sqlalchemy import NullPool, create_engine, inspect, text
    from sqlalchemy.engine import make_url

    url = make_url(address)
    if url.get_backend_name() == "sqlite" and url.database and not _is_begun(Path(url.database)):
        return None
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        if not inspect(connection).has_table(_VERSION_TABLE):
            return None
        found: str | None = connection.scalar(text(f"SELECT version_num FROM {_VERSION_TABLE}"))  # noqa: S608
        return found


def _is_begun(file: Path) -> bool:
    return file.is_file() and file.stat().st_size > 0


def _refuse_others(found: str, shown: str) -> None:
    import mlflow
    from mlflow.store.db import utils

    ours: str = utils._get_latest_schema_revision()  # type: ignore[no-untyped-call]  # noqa: SLF001  MLflow compares it too late
    if found != ours:
        raise RunStoreError(
            f"mlflow.tracking_uri: {shown}: its schema is of another MLflow (version {found}; MLflow "
            f"{mlflow.__version__}, which Herald has, writes {ours}), and is left as it is: name the address of its "
            "tracking server instead, or bring both to one version (`mlflow db upgrade`)"
        )
