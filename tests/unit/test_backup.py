"""The state, carried away and brought back."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from bot.domain.incidents import IncidentState
from bot.domain.objects import Bound
from bot.errors import StateError
from bot.store import Database, contacts, fires, incidents, objects, outbox, runs
from bot.store.backup import back_up, restore
from bot.store.contacts import Contact
from bot.store.objects import KnownObject
from bot.store.tables import metadata
from tests.unit.state_samples import NOON, TICKET, incident, judged, open_ticket, run_at

YEAR = timedelta(days=365)


@pytest.fixture
def filled(database) -> Database:
    with database.begin() as tx:
        for number in range(3):
            runs.record(tx, judged(run_at(f"run{number}", NOON, ndcg=float("nan"))))
        incidents.save(tx, incident())
        outbox.owe(tx, "search", [open_ticket()], NOON)
        objects.know(tx, KnownObject(TICKET, Bound("S-1", "https://jira/S-1", "S-1"), "", NOON))
        contacts.save(tx, Contact("search", "7", NOON, NOON, NOON, past_read=True))
        fires.record(tx, "search", NOON)
    return database


def rows(database: Database) -> dict[str, int]:
    with database.begin() as tx:
        return {t.name: tx.scalar(select(func.count()).select_from(t)) for t in metadata.sorted_tables}


@pytest.fixture
def empty(tmp_path) -> Database:
    database = Database(f"sqlite:///{tmp_path / 'empty.db'}")
    database.migrate()
    yield database
    database.close()


def test_a_backup_brings_everything_back(filled, empty, tmp_path):
    count = back_up(filled, tmp_path / "backup")
    assert restore(empty, tmp_path / "backup", NOON, replace=False) == count
    assert rows(empty) == rows(filled)
    with empty.begin() as tx:
        assert incidents.of_pipeline(tx, "search", IncidentState.OPEN) == [incident()]
        assert runs.find(tx, "search", "run1").run.name == "run1"


def test_a_backup_is_one_file_that_is_whole_by_itself(filled, tmp_path):
    back_up(filled, tmp_path / "backup")
    assert sorted(path.name for path in tmp_path.glob("backup*")) == ["backup"]


@pytest.mark.external_service
def test_a_state_moves_from_sqlite_to_postgresql_and_goes_on_there(sqlite_database, postgres_url, tmp_path):
    with sqlite_database.begin() as tx:
        outbox.owe(tx, "search", [open_ticket()], NOON)
    back_up(sqlite_database, tmp_path / "backup")
    moved = Database(postgres_url)
    restore(moved, tmp_path / "backup", NOON, replace=False)
    with moved.begin() as tx:
        effect, view = open_ticket()
        outbox.owe(tx, "search", [(type(effect)(effect.target, "again"), view)], NOON)
        assert [owed.seq for owed in outbox.outstanding(tx)] == [1, 2]
    moved.close()


def test_what_was_owed_is_looked_for_before_it_is_sent_again(filled, empty, tmp_path):
    back_up(filled, tmp_path / "backup")
    restore(empty, tmp_path / "backup", NOON + YEAR, replace=False)
    with empty.begin() as tx:
        (owed,) = outbox.outstanding(tx)
        (contact,) = contacts.of_pipeline(tx, "search")
    assert owed.is_doubtful
    assert (contact.since, contact.past_read) == (NOON + YEAR, False)


def test_a_state_that_is_there_is_replaced_only_when_asked(filled, tmp_path):
    back_up(filled, tmp_path / "backup")
    with pytest.raises(StateError, match="holds a state already; --replace puts the backup in its place"):
        restore(filled, tmp_path / "backup", NOON, replace=False)
    before = rows(filled)
    restore(filled, tmp_path / "backup", NOON, replace=True)
    assert rows(filled) == before


@pytest.mark.parametrize("content", [b"", b"not a database", None])
def test_what_is_no_backup_is_refused_and_the_state_stays(filled, tmp_path, content):
    file = tmp_path / "other"
    if content is not None:
        file.write_bytes(content)
    before = rows(filled)
    with pytest.raises(StateError, match=r"is not a backup of Herald's state|there is no such file"):
        restore(filled, file, NOON, replace=True)
    assert rows(filled) == before


def test_a_backup_replaces_no_file(filled, tmp_path):
    (tmp_path / "backup").write_text("precious")
    with pytest.raises(StateError, match="is there already"):
        back_up(filled, tmp_path / "backup")
    with pytest.raises(StateError, match="there is no folder"):
        back_up(filled, tmp_path / "nowhere" / "backup")
