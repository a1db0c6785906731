"""Herald's state, in SQLite and in PostgreSQL: fires, runs, incidents, leases, and what breaks it."""

import math
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path
from typing import get_args

import pytest
import sqlalchemy.exc
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_mock_engine

from bot.domain.fires import Fire, FireState, mint_fire_id
from bot.domain.incidents import Incident, IncidentState, SeriesKey
from bot.domain.judge import Finding, Outcome, SeriesState, Streak
from bot.domain.recipes import Recipe
from bot.domain.runs import DataCard, Run
from bot.domain.views import MessageView, RunPageView, TicketView
from bot.errors import StateError
from bot.store import Database, contacts, fires, incidents, leases, quarantine, runs
from bot.store.backup import back_up
from bot.store.codec import dump, load
from bot.store.contacts import Contact
from bot.store.database import VERSION_TABLE
from bot.store.quarantine import SetAside
from bot.store.tables import metadata
from tests.unit.state_samples import MINUTE, NOON, SECOND, SERIES, incident, judged, run_at

ROOT = Path(__file__).parents[2]

# ---- the schema


def test_migrations_lead_to_the_tables_that_the_queries_use(database):
    with database.begin() as tx:
        context = MigrationContext.configure(tx, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, metadata) == []


@pytest.mark.parametrize("url", ["sqlite://", "postgresql+psycopg://"])
def test_indexes_of_some_rows_are_made_so_in_each_database(url):
    made = []
    engine = create_mock_engine(url, lambda statement, *_, **__: made.append(str(statement.compile(engine))))
    metadata.create_all(engine, checkfirst=False)
    assert any(line.endswith("outbox (state, owner) WHERE owner IS NOT NULL") for line in made)
    assert sum(" WHERE " in line for line in made) == 4


def test_migrating_twice_changes_nothing(database):
    with database.begin() as tx:
        runs.record(tx, judged(run_at("run1")))
    database.migrate()
    with database.begin() as tx:
        assert runs.is_seen(tx, "search", "run1")


def migrate_at_once(url: str) -> list[str]:
    """Let three processes bring an empty database to the current schema; return what each complained of."""
    code = f"from bot.store import Database; Database({url!r}).migrate()"
    started = [
        subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(3)
    ]
    return [process.communicate()[1] for process in started]


def test_heralds_that_start_at_once_on_an_empty_sqlite_file_all_come_up(tmp_path):
    assert migrate_at_once(f"sqlite:///{tmp_path / 'fresh.db'}") == ["", "", ""]


@pytest.mark.external_service
def test_heralds_that_start_at_once_on_an_empty_postgres_all_come_up(empty_postgres_url):
    assert migrate_at_once(empty_postgres_url) == ["", "", ""]


def test_a_state_of_a_newer_herald_is_left_alone(tmp_path, sqlite_url):
    with sqlite3.connect(tmp_path / "state.db") as connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(StateError, match=r"state\.db: the state was made by a newer Herald; install that version"):
        Database(sqlite_url).migrate()


# ---- moments


@pytest.mark.parametrize("zone", [timezone.utc, timezone(timedelta(hours=8))])  # noqa: UP017  the zone is the point
def test_a_moment_comes_back_as_the_same_moment_in_utc(database, zone):
    with database.begin() as tx:
        fire = fires.record(tx, "search", NOON.astimezone(zone))
        found = fires.find(tx, fire.fire_id)
    assert found.due_at == NOON
    assert found.due_at.utcoffset() == timedelta(0)


# ---- text and back


def dictionary(kind) -> st.SearchStrategy:
    keys, values = get_args(kind)
    return st.dictionaries(st.from_type(keys), st.from_type(values), max_size=2)


st.register_type_strategy(Mapping, dictionary)


@pytest.mark.parametrize("kind", [Run, Incident, Finding, SeriesState, DataCard, TicketView, MessageView, RunPageView])
@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow], phases=[Phase.generate])
@given(data=st.data())
def test_everything_stored_survives_being_written_down_whatever_its_numbers(kind, data):
    value = data.draw(st.from_type(kind))
    assert dump(load(kind, dump(value))) == dump(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_metric_that_is_no_number_is_still_none_after_storing(database, value):
    with database.begin() as tx:
        runs.record(tx, judged(run_at("run1", ndcg=value)))
        found = runs.find(tx, "search", "run1")
    assert str(found.run.metrics["ndcg"]) == str(value)


# ---- fires


def test_a_fire_of_the_same_due_time_is_recorded_once(database):
    with database.begin() as tx:
        first = fires.record(tx, "search", NOON)
        fires.save(tx, replace(first, state=FireState.ENDED, run_id="run1", exit_code=0, ended_at=NOON))
        again = fires.record(tx, "search", NOON)
    assert again.fire_id == first.fire_id == mint_fire_id("search", NOON)
    assert (again.state, again.run_id, again.exit_code) == (FireState.ENDED, "run1", 0)


def test_a_fire_is_the_same_in_whatever_zone_its_due_time_is_told(database):
    with database.begin() as tx:
        first = fires.record(tx, "search", NOON)
        again = fires.record(tx, "search", NOON.astimezone(timezone(timedelta(hours=8))))
    assert again.fire_id == first.fire_id


def test_fires_are_numbered_by_pipeline_so_that_every_job_has_its_own_seed(database):
    with database.begin() as tx:
        numbers = [fires.record(tx, "search", NOON + i * MINUTE).number for i in range(3)]
        other = fires.record(tx, "shop", NOON).number
    assert (numbers, other) == ([1, 2, 3], 1)


def test_a_fire_that_is_over_is_not_left_over(database):
    with database.begin() as tx:
        ended, due = (fires.record(tx, "search", NOON + i * MINUTE) for i in range(2))
        fires.save(tx, replace(ended, state=FireState.FAILED))
        assert [fire.fire_id for fire in fires.unfinished(tx, "search")] == [due.fire_id]
        assert [fire.fire_id for fire in fires.waiting(tx)] == [due.fire_id]


def test_reruns_are_found_by_the_run_they_ask_about_with_their_recipes_and_what_they_measured(database):
    old = Recipe("baseline", ("--data=old",), {"A": "1"}, "/srv/old")
    with database.begin() as tx:
        lost = fires.record(tx, "search", NOON, confirms="run4")
        again = fires.record(tx, "search", NOON, confirms="run4", attempt=1)
        other = fires.record(tx, "search", NOON + MINUTE, confirms="run4", recipe=old)
        fires.record(tx, "search", NOON)
        fires.save(tx, replace(again, state=FireState.ENDED, measured={"ndcg": 0.8, "loss": float("inf")}))
        found = fires.reruns_of(tx, "search", "run4")
        assert [fire.fire_id for fire in found] == [again.fire_id, other.fire_id]
        assert (found[0].measured, found[1].recipe) == ({"ndcg": 0.8, "loss": float("inf")}, old)
        assert lost.fire_id != again.fire_id
        assert fires.reruns_of(tx, "search", "run5") == []


# ---- runs


def test_a_run_comes_back_as_it_was_judged(database):
    run = judged(run_at("run1", ndcg=0.8), fire_id="f1", page_title="Search: run1", card=DataCard({"rows": 3.0}))
    with database.begin() as tx:
        runs.record(tx, run)
        assert runs.find(tx, "search", "run1") == run
        assert runs.find(tx, "search", "run2") is None


def test_recent_runs_are_the_latest_of_their_series_oldest_first(database):
    other = SeriesKey("search", "params.model=b")
    with database.begin() as tx:
        for i in range(5):
            runs.record(tx, judged(run_at(f"run{i}", NOON + i * MINUTE)))
        runs.record(tx, judged(run_at("other", NOON + 9 * MINUTE), series=other))
        assert [j.run.run_id for j in runs.recent(tx, SERIES, 3)] == ["run2", "run3", "run4"]
        assert [j.run.run_id for j in runs.recent(tx, other, 3)] == ["other"]
        assert runs.count(tx, "search") == 6


def test_the_latest_run_of_every_series_is_found_at_once_for_all_pipelines(database):
    others = SeriesKey("search", "params.model=b"), SeriesKey("ads")
    with database.begin() as tx:
        for series in (SERIES, *others):
            for i in range(3):
                run_id = f"{series.pipeline}{series.series}-{i}"
                runs.record(tx, judged(run_at(run_id, NOON + min(i, 1) * MINUTE), series=series))
        found = runs.latest_by_pipeline(tx)
        assert {name: [j.run.run_id for j in some.of_series] for name, some in found.items()} == {
            "ads": ["ads-2"],
            "search": ["search-2", "searchparams.model=b-2"],
        }
        assert found["search"].of_series == runs.latest_of_each(tx, "search")


def test_the_newest_values_of_many_series_come_oldest_first_and_no_more_than_asked_for(database):
    few, none, without = SeriesKey("few"), SeriesKey("none"), SeriesKey("search", "params.model=b")
    with database.begin() as tx:
        for i in range(6):  # three end at the same moment
            runs.record(tx, judged(run_at(f"run{i}", NOON + max(i, 2) * MINUTE, ndcg=float(i))))
            runs.record(tx, judged(run_at(f"b{i}", NOON + i * MINUTE, recall=float(i)), series=without))
        runs.record(tx, judged(run_at("only", NOON, mrr=0.5), series=few))
        wanted = {SERIES: "ndcg", few: "mrr", none: "ndcg"}
        assert runs.newest_values(tx, wanted, 4) == {SERIES: [2, 3, 4, 5], few: [0.5]}
        assert runs.newest_values(tx, {SERIES: "ndcg"}, 9) == {SERIES: [0, 1, 2, 3, 4, 5]}
        assert runs.newest_values(tx, {SERIES: "ndcg"}, 5) == {SERIES: [1, 2, 3, 4, 5]}
        assert all(math.isnan(value) for value in runs.newest_values(tx, {without: "ndcg"}, 2)[without])
        assert runs.newest_values(tx, {}, 9) == {}


def test_only_accepted_runs_serve_as_baseline(database):
    with database.begin() as tx:
        runs.record(tx, judged(run_at("good", NOON)))
        runs.record(tx, judged(run_at("bad", NOON + MINUTE), Outcome.SUSPICIOUS))
        assert [j.run.run_id for j in runs.recent(tx, SERIES, 9, accepted_only=True)] == ["good"]
        assert runs.latest(tx, "search").run.run_id == "bad"


def test_a_baseline_may_be_asked_for_as_it_was_before_a_moment(database):
    with database.begin() as tx:
        for i in range(3):
            runs.record(tx, judged(run_at(f"run{i}", NOON + i * MINUTE)))
        assert [j.run.run_id for j in runs.recent(tx, SERIES, 9, before=NOON + MINUTE)] == ["run0", "run1"]
        assert runs.comes_late(tx, SERIES, run_at("run1", NOON + 2 * MINUTE))
        assert not runs.comes_late(tx, SERIES, run_at("run3", NOON + 2 * MINUTE))
        assert runs.seen(tx, "search", ["run0", "run2", "another"]) == {"run0", "run2"}


def test_a_bad_run_is_doubtful_until_it_is_accepted(database):
    with database.begin() as tx:
        runs.record(tx, judged(run_at("old", NOON)))
        runs.record(tx, judged(run_at("bad", NOON + MINUTE), Outcome.REGRESSED))
        assert runs.doubtful(tx, SERIES) == ["bad"]
        runs.accept(tx, "search", ["bad"])
        assert runs.doubtful(tx, SERIES) == []
        assert [j.run.run_id for j in runs.recent(tx, SERIES, 9, accepted_only=True)] == ["old", "bad"]


def test_a_contact_is_replaced_by_its_later_self(database):
    first = Contact("search", "7", NOON, NOON)
    later = Contact("search", "7", NOON, NOON + MINUTE, watermark=NOON + MINUTE, past_read=True)
    with database.begin() as tx:
        contacts.save(tx, first)
        contacts.save(tx, Contact("other", "7", NOON, NOON))
        contacts.save(tx, later)
        assert contacts.of_pipeline(tx, "search") == [later]


def test_a_series_carries_its_state_from_run_to_run(database):
    state = SeriesState(3, {"ndcg": Streak("run2", 2, confirmed=True)}, {"ndcg": (0.5, float("inf"))})
    with database.begin() as tx:
        assert runs.load_state(tx, SERIES) == SeriesState()
        runs.save_state(tx, SERIES, SeriesState(1))
        runs.save_state(tx, SERIES, state)
        assert runs.load_state(tx, SERIES) == state
        assert runs.load_state(tx, SeriesKey("search", "x")) == SeriesState()


def test_the_states_of_a_pipelines_other_series_are_at_hand(database):
    with database.begin() as tx:
        for place, name in enumerate(("a", "b", "c")):
            runs.save_state(tx, SeriesKey("search", name), SeriesState(place))
        runs.save_state(tx, SeriesKey("shop", "a"), SeriesState(9))
        assert runs.other_states(tx, SeriesKey("search", "b"), 12) == [SeriesState(0), SeriesState(2)]
        assert runs.other_states(tx, SeriesKey("search", "b"), 1) == [SeriesState(0)]


def test_what_was_said_of_a_run_can_be_read_again(database):
    with database.begin() as tx:
        runs.record(tx, judged(run_at("run1"), Outcome.SUSPICIOUS, wants_confirmation=True))
        assessment = runs.find(tx, "search", "run1").assessment
    assert assessment.outcome is Outcome.SUSPICIOUS
    assert assessment.wants_confirmation


# ---- incidents


def test_an_incident_is_stored_once_however_often_it_changes(database):
    with database.begin() as tx:
        incidents.save(tx, incident(state=IncidentState.CANDIDATE))
        incidents.save(tx, incident(bad_runs=("run1", "run2")))
        assert incidents.standing(tx, SERIES) == [incident(bad_runs=("run1", "run2"))]


def test_incidents_that_are_over_no_longer_stand(database):
    with database.begin() as tx:
        incidents.save(tx, incident(incident_id="a", state=IncidentState.RESOLVED))
        incidents.save(tx, incident(incident_id="b", state=IncidentState.DISMISSED))
        incidents.save(tx, incident(incident_id="c", opened_at=NOON + MINUTE))
        incidents.save(tx, incident(incident_id="d", state=IncidentState.CANDIDATE))
        assert [i.incident_id for i in incidents.standing(tx, SERIES)] == ["d", "c"]
        assert incidents.standing(tx, SeriesKey("search", "other")) == []
        resolved = incidents.of_pipeline(tx, "search", IncidentState.RESOLVED)
    assert [i.incident_id for i in resolved] == ["a"]


# ---- leases


def test_a_lease_is_held_by_one_owner_until_it_ends(database):
    with database.begin() as tx:
        assert leases.take(tx, "pipeline:search", "a", NOON, MINUTE)
        assert not leases.take(tx, "pipeline:search", "b", NOON + 30 * SECOND, MINUTE)
        assert leases.take(tx, "pipeline:search", "b", NOON + 60 * SECOND, MINUTE)
        assert not leases.take(tx, "pipeline:search", "a", NOON + 61 * SECOND, MINUTE)


def test_a_holder_renews_its_lease(database):
    with database.begin() as tx:
        assert leases.take(tx, "pipeline:search", "a", NOON, MINUTE)
        assert leases.take(tx, "pipeline:search", "a", NOON + 50 * SECOND, MINUTE)
        assert not leases.take(tx, "pipeline:search", "b", NOON + 70 * SECOND, MINUTE)


def test_a_lease_given_back_is_free_and_only_its_holder_gives_it_back(database):
    with database.begin() as tx:
        leases.take(tx, "pipeline:search", "a", NOON, MINUTE)
        leases.give_back(tx, "pipeline:search", "b")
        assert not leases.take(tx, "pipeline:search", "b", NOON, MINUTE)
        leases.give_back(tx, "pipeline:search", "a")
        assert leases.take(tx, "pipeline:search", "b", NOON, MINUTE)


def test_of_many_that_ask_for_a_lease_at_once_one_gets_it(database):
    together = threading.Barrier(8)

    def ask(number: int) -> bool:
        together.wait()
        with database.begin() as tx:
            return leases.take(tx, "pipeline:search", f"owner{number}", NOON, MINUTE)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask, range(8))) == 1


# ---- transactions


def test_a_transaction_that_raises_leaves_nothing(database):
    class Surprise(Exception):  # noqa: N818
        pass

    def break_off():
        with database.begin() as tx:
            runs.record(tx, judged(run_at("run1")))
            incidents.save(tx, incident())
            raise Surprise

    with pytest.raises(Surprise):
        break_off()
    with database.begin() as tx:
        assert not runs.is_seen(tx, "search", "run1")
        assert incidents.standing(tx, SERIES) == []


# ---- what breaks it


def test_a_state_that_another_process_holds_is_told_as_such(sqlite_url, tmp_path, monkeypatch):
    monkeypatch.setattr("bot.store.database._BUSY_SECONDS", 0)
    holder = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with (
        pytest.raises(StateError, match=r"state\.db: .*database is locked \(another process holds it; is a second"),
        Database(sqlite_url).begin(),
    ):
        pass
    holder.close()


def test_a_state_file_that_is_something_else_is_told_as_such(tmp_path):
    (tmp_path / "state.db").write_bytes(b"not a database, but long enough to look at" * 100)
    with pytest.raises(StateError, match=r"state\.db: .*file is not a database \(the file is damaged or something"):
        Database(f"sqlite:///{tmp_path}/state.db").migrate()


def test_a_damaged_state_file_is_told_as_such(sqlite_url, tmp_path):
    path = tmp_path / "state.db"
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StateError, match=r"state\.db: .*malformed \(the file is damaged; restore it from a backup\)"):
        Database(sqlite_url).migrate()


def test_a_folder_that_is_not_there_is_told_as_such(tmp_path):
    with pytest.raises(
        StateError, match=r"none/state\.db: .*unable to open .*\(the folder must exist and be writable\)"
    ):
        Database(f"sqlite:///{tmp_path}/none/state.db").migrate()


def record_under(database: Database, pragma: str) -> None:
    """Record more runs than fit a page, in one transaction that SQLite hinders."""
    with database.begin() as tx:
        tx.exec_driver_sql(pragma)
        for i in range(200):
            runs.record(tx, judged(run_at(f"run{i}")))


def test_a_disk_that_is_full_is_told_as_such_and_nothing_is_half_written(sqlite_database):
    with pytest.raises(StateError, match=r"is full \(the disk is full; make room and start again, nothing was half"):
        record_under(sqlite_database, "PRAGMA max_page_count = 1")
    with sqlite_database.begin() as tx:
        assert runs.count(tx, "search") == 0


def test_a_state_that_may_not_be_written_is_told_as_such(sqlite_database):
    with pytest.raises(StateError, match=r"readonly database \(the file must be writable\)"):
        record_under(sqlite_database, "PRAGMA query_only = ON")


@pytest.mark.external_service
def test_a_database_that_cannot_hold_every_language_is_refused(postgres_url_in):
    for encoding in ("SQL_ASCII", "LATIN1"):
        url = postgres_url_in(encoding)
        for database, use in ((Database(url), Database.migrate), (Database(url, read_only=True), Database.version)):
            with pytest.raises(StateError, match=rf"has the encoding {encoding}, which .* ENCODING 'UTF8' TEMPLATE te"):
                use(database)
            database.close()


@pytest.mark.external_service
def test_names_in_any_language_are_kept_whatever_the_account_has_set(postgres_url, monkeypatch):
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    database = Database(postgres_url)
    with database.begin() as tx:
        runs.record(tx, judged(run_at("跑", NOON, ndcg=0.5)))
        assert runs.find(tx, "search", "跑").run.run_id == "跑"
    database.close()


@pytest.mark.parametrize("mask", [0, 0o277])
def test_the_state_and_what_lies_beside_it_are_for_one_account_alone(tmp_path, mask):
    before = os.umask(mask)
    try:
        database = Database(f"sqlite:///{tmp_path / 'state.db'}")
        database.migrate()
        with database.begin() as tx:
            runs.record(tx, judged(run_at("run1")))
        back_up(database, tmp_path / "backup")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    database.close()
    assert modes == dict.fromkeys(("state.db", "state.db-wal", "state.db-shm", "backup"), 0o600)


@pytest.mark.parametrize("url", ["", "herald.db", "sqlit:///x", "mysql://x/y", "postgresql+nodriver://x"])
def test_an_address_that_is_none_is_refused_with_what_would_be_right(url):
    with pytest.raises(StateError, match=r"store\.url: should be sqlite:///FILE or postgresql://USER@HOST/DATABASE"):
        Database(url)


def test_a_database_server_that_is_away_is_told_without_the_password():
    database = Database("postgresql://herald:s3cret@127.0.0.1:1/herald")
    with pytest.raises(StateError, match=r"the state cannot be used: .*refused") as caught:
        database.migrate()
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in database.address


def test_a_fire_that_was_never_started_is_due():
    assert not Fire("f", "search", NOON, 1).state.is_over


def test_too_many_at_once_for_the_state_are_told_in_a_sentence(sqlite_database):
    with pytest.raises(StateError, match=r"state\.db: .*too many wait for it at once"), sqlite_database.begin():
        raise sqlalchemy.exc.TimeoutError("QueuePool limit of size 5 overflow 10 reached")


def test_runs_that_are_set_aside_are_kept_apart_from_those_that_wait(database):
    poison = SetAside(
        "search", "r1", "run \u4e2d", "ValueError: half \ufffd", NOON, NOON, 2, "1.0", NOON + 60 * MINUTE, "f1"
    )
    waiting = SetAside("search", "r2", "run 2", "away", NOON + 60 * MINUTE, NOON, 1, "", waits=True)
    other = replace(poison, pipeline="other", not_before=None, was_past=True, log_tail="the end")
    with database.begin() as tx:
        for each in (poison, waiting, other, poison):
            quarantine.save(tx, each)
    with database.begin() as tx:
        assert list(quarantine.of_pipeline(tx, "search")) == [poison]
        assert quarantine.of_each(tx) == {"other": [other], "search": [poison]}
        assert quarantine.find(tx, "search", "r2") == waiting
        assert quarantine.among(tx, "search", ["r1", "r2", "r3"]) == {"r1"}
        assert quarantine.last_end(tx, "search") == NOON
        assert quarantine.last_end(tx, "none") is None
        quarantine.drop(tx, "search", "r1")
        assert list(quarantine.of_pipeline(tx, "search")) == []
    assert poison.is_due(NOON, "1.1")
    assert not poison.is_due(NOON, "1.0")
    assert poison.is_due(NOON + 60 * MINUTE, "1.0")
    assert not other.is_due(NOON + 60000 * MINUTE, "1.0")
