"""Imports MLflow whole, by one thread at a time, and lets its requests end."""

from __future__ import annotations

import importlib
import logging
import os
import pkgutil
import threading
from contextlib import suppress
from typing import Any

from bot.runtime.own_environment import set_for_herald_alone
from bot.services.mlflow.opening import is_server
from bot.services.transport import LimitedAdapter, limited

# MLflow's own defaults wait minutes for a server that is away, which a job that has trained for hours should do.
_CALMER = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",  # asks before each file whether it may come in parts
}
_FOR_ALL = (
    "mlflow.artifacts",
    "mlflow.exceptions",
    "mlflow.store.artifact.artifact_repository_registry",
    "mlflow.store.model_registry.rest_store",
    "mlflow.store.tracking.rest_store",
    "mlflow.tracking",
    "requests",
    "sqlalchemy.exc",
)
_FOR_DATABASES = (
    "mlflow.store.db",
    "mlflow.store.db_migrations",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_workspace_store",
    "mlflow.utils.search_logged_model_utils",
    "sqlalchemy.orm",
)
_FOR_ARTIFACTS = (
    "netrc",  # requests' own
    "pyarrow.dataset",
    "pyarrow.pandas_compat",
    "pyarrow.parquet",
    "pyarrow.substrait",
)
_IMPORTING = threading.Lock()
_imported: set[str] = set()


def load(address: str) -> None:
    """Import MLflow and all that it imports later of its own accord to read from *address*.

    Its packages import one another in circles: two threads that meet in the middle of it find half of a module, and so
    does everybody after them. So it is imported whole, by one thread at a time. What only databases need doubles the
    time that it takes.
    """
    is_database = not is_server(address)
    wanted = {*_FOR_ALL, *(_FOR_DATABASES if is_database else ())}
    if wanted <= _imported:
        return
    with _IMPORTING:
        for name, value in _CALMER.items():
            set_for_herald_alone(name, value)
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # or its use is reported to its makers, by jobs too
        for module in sorted(wanted - _imported):
            with suppress(ModuleNotFoundError):  # another version has not all of them
                importlib.import_module(module)
        _limit_requests()
        if is_database:
            databases = importlib.import_module("mlflow.store.db")
            for found in pkgutil.iter_modules(databases.__path__, "mlflow.store.db."):
                importlib.import_module(found.name)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # our error tells what it says with SQL
        _imported.update(wanted)


def load_for_artifacts() -> None:
    """Import what reads artifacts where they are read, for threads that may do it together."""
    for module in _FOR_ARTIFACTS:
        importlib.import_module(module)


def _limit_requests() -> None:
    """Let its client's requests end in time: its own adapter waits for each read anew, and lets nobody in."""
    utils: Any = importlib.import_module("mlflow.utils.request_utils")
    if not issubclass(utils.TCPKeepAliveHTTPAdapter, LimitedAdapter):
        utils.TCPKeepAliveHTTPAdapter = limited(utils.TCPKeepAliveHTTPAdapter)
        utils._cached_get_request_session.cache_clear()  # noqa: SLF001 - sessions of before, which nothing else lets go
