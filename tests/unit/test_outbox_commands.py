"""What a person does about effects that are stuck."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot.cli.main import app
from bot.cli.output.outbox import print_retried
from bot.store import Database, claims
from bot.store.owed import EffectState, ParkedFor
from tests.unit.backlogs import many
from tests.unit.state_samples import NOON, TICKET, comment, open_ticket, owe, tell

WORDS = "Jira did not create the ticket (400): priority: Field 'priority' cannot be set."


@pytest.fixture
def folder(sqlite_url, tmp_path) -> Path:
    (tmp_path / "config.toml").write_text(
        f'[store]\nurl = "{sqlite_url}"\n\n[pipeline.search]\nexperiment = "search"\n[pipeline.search.metrics.ndcg]\n'
    )
    database = Database(sqlite_url)
    owe(database, open_ticket(), comment("a"), tell("a"))
    with database.begin() as tx:
        owed = claims.claim_next(tx, "host/1/1/a", NOON, NOON)
        fields = {"priority": "Field 'priority' cannot be set."}
        claims.mark_parked(tx, owed, "host/1/1/a", NOON, ParkedFor.REFUSED, WORDS, fields=fields)
    database.close()
    return tmp_path


def herald(folder, *arguments, code=0):
    done = CliRunner().invoke(app, ["outbox", *arguments, "--config", str(folder / "config.toml")])
    assert done.exit_code == code, done.output
    return done.output


def test_what_is_stuck_is_listed_with_the_services_words(folder):
    listed = json.loads(herald(folder, "--json"))
    assert [(each["number"], each["state"]) for each in listed] == [(1, "parked"), (2, "pending"), (3, "pending")]
    assert listed[0]["error"] == WORDS
    assert "parked" in herald(folder)


def test_one_effect_is_shown_with_what_the_service_says_of_each_field(folder):
    shown = json.loads(herald(folder, "show", "1", "--json"))
    assert shown["on"] == str(TICKET)
    assert shown["parked_for"] == "refused"
    assert shown["fields"] == {"priority": "Field 'priority' cannot be set."}
    assert "fields: priority" in herald(folder, "show", "1")


def test_a_cancelled_effect_is_owed_no_more(folder):
    assert json.loads(herald(folder, "cancel", "1", "--json"))["state"] == EffectState.CANCELLED
    assert [each["number"] for each in json.loads(herald(folder, "--json"))] == [2, 3]


def test_a_retry_that_fails_again_says_so_and_exits_with_one(folder):
    tried = json.loads(herald(folder, "retry", "1", "--json", code=1))
    assert tried["state"] == "parked"
    assert tried["error"] == "jira: is no longer in the configuration; add it again, or cancel what is owed to it"
    assert tried["fields"] == {}


def test_a_retry_tries_what_belongs_to_the_same_incident_and_waits_for_no_backlog(folder):
    other = many(1, 1)[0]
    database = Database(f"sqlite:///{folder / 'state.db'}")
    owe(database, *other.effects())
    database.close()
    herald(folder, "retry", "1", code=1)
    listed = json.loads(herald(folder, "--json"))
    assert [(each["number"], each["state"]) for each in listed] == [
        (1, "parked"),
        (2, "pending"),  # behind it
        (3, "parked"),
        (4, "pending"),
        (5, "pending"),
    ]


@pytest.mark.parametrize("command", ["show", "retry", "cancel"])
def test_a_number_that_nothing_has_is_answered_by_name(folder, command):
    done = CliRunner().invoke(app, ["outbox", command, "99", "--config", str(folder / "config.toml")])
    assert done.exit_code == 1
    assert "outbox: " in str(done.exception)
    assert "99" in str(done.exception)


def test_all_that_is_parked_is_retried_at_one_word(folder):
    other = many(1, 1)[0]
    database = Database(f"sqlite:///{folder / 'state.db'}")
    owe(database, *other.effects())
    database.close()
    herald(folder, "retry", "1", code=1)
    assert "put back, 0 of them delivered." in herald(folder, "retry", "--all", code=1)
    tried = json.loads(herald(folder, "retry", "--all", "--json", code=1))
    assert {each["state"] for each in tried} == {"parked"}
    assert len(tried) > 1


def test_a_retry_of_nothing_says_what_went_out_meanwhile(capsys):
    print_retried([], 2, as_json=False)
    assert capsys.readouterr().out == "Nothing is parked.\n2 that were owed besides went out, too.\n"
    print_retried([], 0, as_json=False)
    assert capsys.readouterr().out == "Nothing is parked.\n"


def test_a_retry_wants_a_number_or_all(folder):
    for arguments in ([], ["1", "--all"]):
        done = CliRunner().invoke(app, ["outbox", "retry", *arguments, "--config", str(folder / "config.toml")])
        assert "either a number" in str(done.exception)
