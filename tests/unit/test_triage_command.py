"""`herald triage`: what is quiet, said by hand and taken back; looking at it changes nothing."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from bot.cli.main import app
from bot.domain.incidents import Incident, IncidentState, Kind, SeriesKey
from bot.domain.objects import Marker, ObjectKey, ObjectKind
from bot.store import Database, incidents, listenings, objects, outbox, runs
from bot.store.listenings import Listening
from tests.unit.state_samples import NOON, judged, known, run_at

INCIDENT = "0123456789ab"
TICKET = ObjectKey("jira", ObjectKind.TICKET, str(Marker("herald", INCIDENT)))
CONFIG = """
[tracker.jira]
url = "http://127.0.0.1:1"
project = "SR"

[pipeline.search]
experiment = "search"
tracker = "jira"

[pipeline.search.metrics.ndcg]
"""


@pytest.fixture
def state(tmp_path, monkeypatch) -> Database:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HERALD_TRACKER__JIRA__TOKEN", "x")
    (tmp_path / "config.toml").write_text(CONFIG)
    database = Database(f"sqlite:///{tmp_path / 'herald.db'}")
    database.migrate()
    series = SeriesKey("search")
    opened = Incident(INCIDENT, Kind.REGRESSED, series, IncidentState.OPEN, "run1", NOON, ("ndcg",), ("run1",))
    with database.begin() as tx:
        runs.record(tx, judged(run_at("run1", ndcg=0.5)))
        incidents.save(tx, opened)
        objects.know(tx, known(TICKET, "SR-1"))
    yield database
    database.close()


def herald(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["triage", *words])
    return result.exit_code, result.output if result.exception is None else f"{result.output}{result.exception}"


def shown(*words: str) -> dict:
    code, text = herald("--json", *words)
    assert code == 0, text
    return json.loads(text)


@pytest.fixture
def undelivered(monkeypatch):
    """Let nothing go out: what is owed is looked at instead."""
    monkeypatch.setattr("bot.delivery.dispatcher.Dispatcher.drain", lambda *_: None)


def owed(database: Database) -> list[str]:
    with database.begin() as tx:
        return [each.effect.kind for each in outbox.outstanding(tx)]


@pytest.mark.parametrize("name", [INCIDENT, "012345", "SR-1"])
def test_what_is_said_by_hand_holds_is_shown_and_told_on_the_ticket(state, undelivered, name):
    code, text = herald("say", name, "noise 30d seeds differ")
    assert code == 0, text
    assert "seeds differ" in text
    (rule,) = shown()["rules"]
    assert (rule["kind"], rule["reason"], rule["said"], rule["ticket"]) == ("noise", "seeds differ", "hand", "SR-1")
    assert "answer_comment" in owed(state)
    assert "seeds differ" in herald()[1]


def test_what_is_taken_back_by_hand_no_longer_holds(state, undelivered):
    herald("say", INCIDENT, "mute 3d the catalogue moves")
    code, text = herald("undo", "1")
    assert code == 0, text
    assert shown()["rules"] == []
    (rule,) = shown("--all")["rules"]
    assert rule["state"] == "ended"
    assert rule["undone_by"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("say", INCIDENT, "noise seeds differ"), "noise 30d REASON"),
        (("say", "nowhere", "why"), "'nowhere' is no incident and no ticket that Herald filed"),
        (("undo", "7"), "there is no rule 7"),
    ],
)
def test_what_cannot_be_done_by_hand_is_told_with_what_would_be_right(state, undelivered, words, said):
    code, text = herald(*words)
    assert code != 0
    assert said in text
    assert shown("--all")["rules"] == []


def test_a_rule_is_taken_back_once(state, undelivered):
    herald("say", INCIDENT, "mute 3d the catalogue moves")
    herald("undo", "1")
    assert "taken back rule 1" in herald("undo", "1")[1]


def test_looking_writes_nothing(state, tmp_path):
    (tmp_path / "herald.db").chmod(0o400)
    before = (tmp_path / "herald.db").read_bytes()
    assert "Nothing is quiet" in herald()[1]
    assert shown() == {"rules": [], "services": []}
    assert (tmp_path / "herald.db").read_bytes() == before


def test_where_answers_could_not_be_read_is_named(state):
    since = datetime.now(UTC) - timedelta(hours=1)
    with state.begin() as tx:
        listenings.save(tx, Listening("jira", failing_since=since, said="jira: is down", unread={"SR-1": since}))
    assert "answers not read: jira" in herald()[1]
    (service,) = shown()["services"]
    assert (service["said"], service["not_read"]) == ("jira: is down", ["SR-1"])


def test_one_round_names_a_tracker_that_cannot_be_asked(state):
    code, text = herald("read")
    assert code == 1
    assert "not read: jira" in text
