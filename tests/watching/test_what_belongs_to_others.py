"""Reading changes nothing: not another version's database, not a folder, and nothing that is not there yet."""

from __future__ import annotations

import hashlib
import re
import shutil
import sqlite3
import uuid
import warnings
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path

import psycopg
import pytest
import sqlalchemy
from werkzeug import Response

from bot.config.models import Config
from bot.config.paths import with_absolute_paths
from bot.connections import make_run_store
from bot.doctor import runs_wanted
from bot.domain.incidents import Kind
from bot.errors import NoStoreError, RunStoreError
from bot.ports import Selection
from bot.services.mlflow.checks import check_mlflow
from bot.services.mlflow.config import MlflowSection
from bot.services.mlflow.opening import look
from bot.services.mlflow.run_store import MlflowRunStore
from tests.conftest import postgres_do
from tests.watching.bench import BAD, GOOD, Bench

OF_2_2_2 = Path(__file__).with_name("mlflow_2_2_2.sql")
BOTH_WAYS_OUT = "name the address of its server"


def change(file: Path, *statements: str) -> None:
    with sqlite3.connect(file) as connection:
        for each in statements:
            connection.execute(each)
    connection.close()


def sha(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def refusal(uri: str) -> str:
    with pytest.raises(RunStoreError) as raised:
        MlflowRunStore(MlflowSection(tracking_uri=uri)).experiments(("*",))
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.fixture
def of_2_2_2(tmp_path: Path) -> Path:
    """Return a database as an MLflow 2.2.2 has made it."""
    file = tmp_path / "old.db"
    with sqlite3.connect(file) as connection:
        connection.executescript(OF_2_2_2.read_text(encoding="utf-8"))
    connection.close()
    return file


def test_the_database_of_an_older_mlflow_is_left_as_it_is(of_2_2_2):
    before = sha(of_2_2_2)
    said = refusal(f"sqlite:///{of_2_2_2}")
    assert "older MLflow (its schema is 97727af70f4d of 2022-08-26; read is " in said
    assert "name the address of its server (http); or, where no older MLflow uses it any more" in said
    assert f"`mlflow db upgrade` of MLflow {metadata.version('mlflow')} on it" in said
    assert BOTH_WAYS_OUT in said
    assert sha(of_2_2_2) == before


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE alembic_version SET version_num = 'ffffffffffff'", "newer MLflow (its schema is ffffffffffff; read"),
        ("DELETE FROM alembic_version", "older MLflow (its schema is none, of an MLflow before 1.0"),
        ("DROP TABLE alembic_version", "older MLflow (its schema is none, of an MLflow before 1.0"),
        ("DROP TABLE runs", "is damaged, or not MLflow's (it has no table runs)"),
    ],
)
def test_a_schema_that_is_not_ours_is_refused_by_name_and_left_as_it_is(bench, statement, words):
    file = bench.folder / "mlflow.db"
    change(file, statement)
    before = sha(file)
    assert words in refusal(bench.uri)
    assert sha(file) == before


@pytest.mark.parametrize("path", ["no/such/folder/m.db", "m.db", "no/such folder/100%/m.db"])
def test_where_there_is_no_database_none_is_made(tmp_path, path):
    assert "there is no such file" in refusal(f"sqlite:///{tmp_path / path}")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_stays_empty(tmp_path):
    (tmp_path / "m.db").touch()
    assert "holds no tables of MLflow's" in refusal(f"sqlite:///{tmp_path / 'm.db'}")
    assert (tmp_path / "m.db").read_bytes() == b""


def test_what_is_no_database_is_said_to_be_none(tmp_path):
    (tmp_path / "m.db").write_text("a text\n" * 200)
    assert "file is not a database" in refusal(f"sqlite:///{tmp_path / 'm.db'}")
    assert "is no file" in refusal(f"sqlite:///{tmp_path}")


def test_a_folder_of_files_is_named_with_the_way_out_of_it_and_nothing_is_made(tmp_path):
    for address in (tmp_path / "mlruns", (tmp_path / "mlruns").as_uri()):
        assert "mlflow migrate-filestore" in refusal(str(address))
    assert list(tmp_path.iterdir()) == []


def test_what_is_read_is_read_through_a_connection_that_cannot_write(bench, tmp_path):
    odd = tmp_path / "a b%20#" / "m.db"
    odd.parent.mkdir()
    shutil.copyfile(bench.folder / "mlflow.db", odd)
    uri = sqlalchemy.URL.create("sqlite", database=str(odd)).render_as_string()
    reading = look(uri, uri).reading
    engine = sqlalchemy.create_engine(reading)
    with engine.connect() as connection, pytest.raises(sqlalchemy.exc.OperationalError, match="readonly"):
        connection.execute(sqlalchemy.text("DELETE FROM experiments"))
    engine.dispose()


def test_watching_leaves_every_byte_where_it_was(bench, monkeypatch):
    bench.log_row([GOOD] * 3, bench.now() - timedelta(hours=1))
    elsewhere = bench.folder / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    before = sha(bench.folder / "mlflow.db")
    assert len(bench.cycle().judged) == 3
    assert sha(bench.folder / "mlflow.db") == before
    assert list(elsewhere.iterdir()) == []


def test_a_database_whose_default_experiment_was_deleted_for_good_is_read_and_gets_none(bench):
    bench.log(GOOD, bench.now() - timedelta(hours=1))
    change(bench.folder / "mlflow.db", "DELETE FROM experiments WHERE experiment_id = 0")
    before = sha(bench.folder / "mlflow.db")
    fresh = bench.folder / "fresh.db"  # MLflow keeps what it has opened
    shutil.copyfile(bench.folder / "mlflow.db", fresh)
    store = MlflowRunStore(MlflowSection(tracking_uri=f"sqlite:///{fresh}"))
    assert [each.name for each in store.experiments(("*",))] == ["search"]
    assert sha(fresh) == before


def test_the_few_things_that_jobs_need_are_written(bench):
    run_id = bench.log(GOOD, bench.now(), status="RUNNING")
    store = MlflowRunStore(MlflowSection(tracking_uri=bench.uri))
    found = store.run_of_fire("search", "f1", bench.now() - timedelta(days=1))
    store.end_run(run_id)
    assert found is not None
    assert bench.mlflow.get_run(run_id).info.status == "KILLED"
    assert bench.mlflow.get_run(run_id).data.tags["herald.fire_id"] == "f1"


@pytest.fixture
def of_postgres(postgres_server) -> str:
    """Return a new database on a PostgreSQL server."""
    name = f"theirs_{uuid.uuid4().hex}"
    postgres_do(postgres_server, f"CREATE DATABASE {name}")
    return str(postgres_server).replace("/postgres?", f"/{name}?")


def make_tables(url: str, schema: str) -> None:
    made = [f"CREATE TABLE {table} (id int)" for table in ("experiments", "runs", "metrics")]
    version = ("CREATE TABLE alembic_version (version_num text)", f"INSERT INTO alembic_version VALUES ('{schema}')")
    postgres_do(url, *made, *version)


def tables(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        return sorted(name for (name,) in found)


def test_postgresql_is_looked_at_in_the_same_way(of_postgres):
    assert "holds no tables of MLflow's" in refusal(of_postgres)
    assert tables(of_postgres) == []
    make_tables(of_postgres, "97727af70f4d")
    said = refusal(of_postgres)
    assert "older MLflow" in said
    assert BOTH_WAYS_OUT in said
    assert tables(of_postgres) == ["alembic_version", "experiments", "metrics", "runs"]


def test_postgresql_is_read_through_a_connection_that_cannot_write(of_postgres, bench):
    make_tables(of_postgres, bench.mlflow_schema())
    engine = sqlalchemy.create_engine(look(of_postgres, "shown").reading)
    with engine.connect() as connection, pytest.raises(sqlalchemy.exc.InternalError, match="read-only transaction"):
        connection.execute(sqlalchemy.text("INSERT INTO runs VALUES (1)"))
    engine.dispose()


@pytest.mark.slow
def test_a_whole_mlflow_on_postgresql_is_watched_and_what_jobs_need_is_written(of_postgres, tmp_path, sqlite_database):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what MLflow does with its libraries is its own affair
        bench = Bench(of_postgres, tmp_path, sqlite_database)
        bench.log_row([GOOD] * 6, bench.now())
        bench.cycle()
        bench.ahead = timedelta(hours=3)
        bench.log_row([BAD] * 3, bench.now() - timedelta(minutes=1))
        bench.cycle()
        run_id = bench.log(GOOD, bench.now(), status="RUNNING")
        MlflowRunStore(MlflowSection(tracking_uri=bench.uri)).end_run(run_id)
    assert [incident.kind for incident in bench.incidents()] == [Kind.REGRESSED]
    assert bench.mlflow.get_run(run_id).info.status == "KILLED"


# Servers


def answers_version(httpserver, said: str, status: int = 200) -> str:
    httpserver.expect_request("/version").respond_with_handler(lambda _: Response(said, status))
    httpserver.expect_request(re.compile("/api/.*")).respond_with_json({"experiments": []})
    return str(httpserver.url_for("").rstrip("/"))


@pytest.mark.parametrize("version", ["1.30.0", "2.2.2", "2.0.0rc1"])
def test_a_server_that_is_too_old_is_refused_by_its_version(httpserver, version):
    said = refusal(answers_version(httpserver, version))
    assert f"is an MLflow {version}, and the oldest that can be asked is 2.3" in said


@pytest.mark.parametrize("version", ["2.3.0", "2.10.1", "3.17.2", "3.0.0.dev0", "10.0"])
def test_a_server_of_any_later_version_is_asked_once_for_it(httpserver, version):
    store = MlflowRunStore(MlflowSection(tracking_uri=answers_version(httpserver, version)))
    for _ in range(3):
        store.experiments(("*",))
    assert store.version() == version
    assert [request.path for request, _ in httpserver.log if request.path == "/version"] == ["/version"]


@pytest.mark.parametrize(("said", "status"), [("<html>Sign in</html>", 200), ("", 404), ("no", 403), ("1.0", 500)])
def test_a_server_that_does_not_say_its_version_is_used_and_the_doctor_says_so(httpserver, said, status):
    config = Config(mlflow={"tracking_uri": answers_version(httpserver, said, status)})
    (check,) = check_mlflow(config.mlflow, runs_wanted(config), make_run_store(config), datetime.now(UTC))
    assert check.ok
    assert "it does not say its version" in check.said


# Jobs


def test_a_store_that_the_first_job_makes_is_no_trouble(tmp_path, sqlite_database):
    bench = Bench("sqlite:///new/m.db", tmp_path, sqlite_database)
    herald = bench.herald(experiment="search", job={"command": ["false"]})
    report = herald.cycle("quality").run(bench.now())
    assert [each.run.status for each in report.judged]
    assert not (tmp_path / "new").exists()
    config = with_absolute_paths(bench.config(experiment="search", job={"command": ["false"]}), tmp_path)
    (check,) = check_mlflow(config.mlflow, runs_wanted(config), make_run_store(config), bench.now())
    assert check.ok
    with pytest.raises(NoStoreError):
        bench.herald(experiment="search").cycle("quality").judge_only()


# Damaged ones


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("DROP TABLE latest_metrics", "no such table: latest_metrics"),
        ("DROP TABLE metrics", "it has no table metrics"),
        ("ALTER TABLE runs RENAME COLUMN start_time TO started", "no such column: runs.start_time"),
    ],
)
def test_a_damaged_database_is_told_in_one_sentence_and_nothing_else_is_written(bench, statement, what, capfd):
    bench.log(GOOD, bench.now() - timedelta(hours=1))
    change(bench.folder / "mlflow.db", statement)
    capfd.readouterr()
    config = bench.config()
    store = make_run_store(config)
    with pytest.raises(RunStoreError) as raised:
        list(store.newest(store.experiments(("search",))[0], 3, Selection()))
    assert "damaged" in str(raised.value)
    assert f"({what})" in str(raised.value)
    assert "SELECT" not in str(raised.value)
    *_, last = check_mlflow(config.mlflow, runs_wanted(config), make_run_store(config), bench.now())
    assert (last.ok, "damaged" in last.said, "variables" in last.remedy) == (False, True, False)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("uri", "remedy"),
    [
        ("{old}", "Do what the sentence says."),
        ("sqlite:///nowhere/m.db", "Check mlflow.tracking_uri."),
        ("mlruns", "Do what the sentence says."),
    ],
)
def test_the_doctor_speaks_of_an_account_only_where_there_may_be_one(bench, of_2_2_2, uri, remedy):
    bench.uri = uri.format(old=f"sqlite:///{of_2_2_2}")
    config = bench.config()
    (check,) = check_mlflow(config.mlflow, runs_wanted(config), make_run_store(config), bench.now())
    assert (check.ok, check.remedy) == (False, remedy)


# Addresses


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:5000", "should it be http://127.0.0.1:5000?"),
        ("localhost:5000", "should it be http://localhost:5000?"),
        ("mlflow.example.com:80/team", "should it be http://mlflow.example.com:80/team?"),
        (" ", "is empty; name a server"),
        ("mysql://u@h/db", "it needs MySQLdb, which is not installed beside Herald"),
    ],
)
def test_an_address_that_is_none_is_told_as_what_it_is(address, said):
    assert said in refusal(address)
