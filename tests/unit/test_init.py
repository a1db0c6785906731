"""What `herald init` asks, and what it writes."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from bot.cli import app
from bot.config_file import check_config
from bot.first_config import Account, Answers, secrets_of, write_config

SITE = "https://team.atlassian.net"
EVERYTHING = (
    ("--mlflow", "http://127.0.0.1:5000"),
    ("--experiment", "search relevance"),
    ("--metric", "ndcg_at_10"),
    ("--metric", "val/loss"),
    ("--direction", "up"),
    ("--owner", 'Search & "Discovery"'),
    ("--tracker", "jira"),
    ("--jira-url", SITE),
    ("--email", "herald@example.com"),
    ("--project", "SR"),
    ("--wiki", "confluence"),
    ("--confluence-url", SITE),
    ("--space", "ML"),
    ("--chat", "slack"),
    ("--channel", "C0123456789"),
)


@pytest.fixture(autouse=True)
def no_secrets(monkeypatch):
    import os

    for name in [name for name in os.environ if name.startswith("HERALD_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "config.toml"


def init(path, *options, answers=()):
    flat = [word for option in options for word in option]
    return CliRunner().invoke(app, ["init", "--config", str(path), *flat], input="\n".join([*answers, ""]))


def test_options_alone_write_a_whole_configuration_and_name_its_secrets(path):
    done = init(path, *EVERYTHING)
    assert done.exit_code == 0, done.output
    raw = tomllib.loads(path.read_text())
    assert raw["tracker"]["jira"] == {
        "kind": "jira",
        "url": SITE,
        "deployment": "cloud",
        "email": "herald@example.com",
        "project": "SR",
    }
    assert raw["pipeline"]["search-relevance"] == {
        "experiment": "search relevance",
        "owner": 'Search & "Discovery"',
        "tracker": "jira",
        "wiki": "confluence",
        "chat": "slack",
        "channel": "C0123456789",
        "metrics": {
            "ndcg_at_10": {"direction": "up", "min_effect": "2 %"},
            "val/loss": {"direction": "up", "min_effect": "2 %"},
        },
    }
    for name in ("TRACKER__JIRA__TOKEN", "WIKI__CONFLUENCE__TOKEN", "CHAT__SLACK__TOKEN"):
        assert f"HERALD_{name}" in done.output
    assert "herald doctor" in done.output


def test_what_no_option_answers_is_asked(path):
    answers = ("", "search", "ndcg, hit_rate", "sideways", "down", "", "trello", "nC8QJoZi", "none", "webhook")
    done = init(path, answers=answers)
    assert done.exit_code == 0, done.output
    assert "'sideways' is not one of up, down." in done.output
    raw = tomllib.loads(path.read_text())
    assert raw["mlflow"] == {"tracking_uri": "http://127.0.0.1:5000"}
    assert raw["tracker"] == {"trello": {"kind": "trello", "board": "nC8QJoZi"}}
    assert "wiki" not in raw
    assert list(raw["pipeline"]["search"]["metrics"]) == ["ndcg", "hit_rate"]
    assert raw["pipeline"]["search"]["metrics"]["ndcg"]["direction"] == "down"
    assert "HERALD_TRACKER__TRELLO__KEY\n" in done.output


def test_jira_and_confluence_of_one_site_share_address_and_account(path):
    given = ("--mlflow", "x"), ("--experiment", "e"), ("--metric", "m"), ("--direction", "up"), ("--owner", "")
    done = init(path, *given, ("--chat", "none"), answers=("jira", SITE, "h@e.org", "SR", "confluence", "", "ML"))
    assert done.exit_code == 0, done.output
    raw = tomllib.loads(path.read_text())
    assert raw["wiki"]["confluence"]["url"] == SITE
    assert raw["wiki"]["confluence"]["email"] == "h@e.org"


def test_a_jira_of_ones_own_is_data_center_and_has_no_email(path):
    given = tuple(option for option in EVERYTHING if option[0] not in ("--email", "--jira-url", "--wiki"))
    done = init(path, *given, ("--jira-url", "https://jira.team.example/"), ("--wiki", "none"))
    assert done.exit_code == 0, done.output
    jira = tomllib.loads(path.read_text())["tracker"]["jira"]
    assert jira == {
        "kind": "jira",
        "url": "https://jira.team.example",
        "deployment": "datacenter",
        "project": "SR",
    }


def test_a_configuration_that_is_there_is_left_alone_unless_forced(path):
    path.write_text("# mine")
    refused = init(path, *EVERYTHING)
    assert refused.exit_code == 1
    assert "--force replaces it" in str(refused.exception)
    assert path.read_text() == "# mine"
    assert init(path, *EVERYTHING, ("--force",)).exit_code == 0
    assert path.read_text() != "# mine"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((("--tracker", "asana"),), "--tracker: 'asana' is not one of ['jira', 'trello', 'none']"),
        ((("--jira-url", "team"),), "tracker.jira.url: 'team' should be a valid URL"),
        ((("--jira-url", "https://me:secret@team.example"),), "a password does not belong in this file"),
    ],
)
def test_an_answer_that_would_be_refused_writes_nothing(path, options, words):
    kept = tuple(option for option in EVERYTHING if option[0] not in {name for name, _ in options})
    done = init(path, *kept, *options)
    assert done.exit_code == 1
    assert words in str(done.exception)
    assert not path.exists()


def test_with_its_secrets_set_it_ends_by_running_doctor(path, monkeypatch):
    class NoRuns:
        def experiments(self, _):
            return ()

    monkeypatch.setattr("bot.doctor.make_run_store", lambda _: NoRuns())
    given = tuple(option for option in EVERYTHING if option[0] in ("--mlflow", "--experiment", "--metric"))
    nothing = (("--direction", "up"), ("--owner", ""), ("--tracker", "none"), ("--wiki", "none"), ("--chat", "none"))
    done = init(path, *given, *nothing)
    assert "✗ runs of search-relevance: MLflow has no experiment search relevance" in done.output
    assert done.exit_code == 1


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@given(names, names, names)
def test_any_name_survives_being_written(experiment, metric, owner):
    answers = Answers("sqlite:///x.db", experiment, (metric,), "up", owner, board="b", chat="webhook")
    raw = tomllib.loads(write_config(answers))
    [pipeline] = raw["pipeline"].values()
    assert (pipeline["experiment"], pipeline["owner"], list(pipeline["metrics"])) == (experiment, owner, [metric])


def test_every_kind_of_service_that_may_be_chosen_makes_a_configuration_that_loads(tmp_path):
    for jira in (None, Account(SITE, "h@e.org"), Account("https://jira.team.example")):
        for chat in ("slack", "webhook", "none"):
            answers = Answers("x", "e", ("m",), "up", "", jira, "SR", "" if jira else "b", jira, "ML", chat, "C1")
            check_config(tmp_path / "config.toml", write_config(answers))
            assert len(secrets_of(answers)) == 2 + (chat != "none")


def test_the_example_that_explains_every_key_is_printed_where_nothing_is_to_be_asked():
    from pathlib import Path

    done = CliRunner().invoke(app, ["init", "--example"])
    assert done.output == (Path(__file__).parents[2] / "config.example.toml").read_text(encoding="utf-8")
