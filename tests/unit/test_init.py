"""What `herald init` asks, and what it writes."""

import tomllib
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from bot.cli.main import app
from bot.config.file import check_config
from bot.config.services import SERVICES, secrets_in
from bot.config.starter import CHAT_KINDS, Account, Answers, MailAccount, secrets_of, write_config
from bot.domain.direction import guess_direction
from bot.domain.policy import Direction
from bot.domain.runs import Run, RunStatus
from tests.memory_runs import MemoryRunStore

SITE = "https://team.atlassian.net"
EVERYTHING = (
    ("--mlflow", "http://127.0.0.1:5000"),
    ("--experiment", "search relevance"),
    ("--metric", "ndcg_at_10"),
    ("--metric", "val/loss"),
    ("--direction", "up"),
    ("--every", "30m"),
    ("--release", "models:/search@production"),
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
        "schedule": {"every": "30m"},
        "release": {"model": "models:/search@production"},
        "metrics": {
            "ndcg_at_10": {"direction": "up", "min_effect": "2 %"},
            "val/loss": {"direction": "up", "min_effect": "2 %"},
        },
    }
    for name in ("TRACKER__JIRA__TOKEN", "WIKI__CONFLUENCE__TOKEN", "CHAT__SLACK__TOKEN"):
        assert f"HERALD_{name}" in done.output
    assert "herald doctor" in done.output


def test_what_no_option_answers_is_asked(path):
    metrics = ("ndcg, val/loss", "sideways", "down", "")
    answers = ("", "search", *metrics, "soon", "15m", "", "", "trello", "nC8QJoZi", "none", "webhook")
    done = init(path, ("--mlflow", "sqlite://"), answers=answers[1:])
    assert done.exit_code == 0, done.output
    assert "'sideways' is not one of up, down." in done.output
    assert "Which way is val/loss better (down, up) [down]" in done.output
    assert "'soon' should be a number with its unit" in done.output
    raw = tomllib.loads(path.read_text())
    assert raw["tracker"] == {"trello": {"kind": "trello", "board": "nC8QJoZi"}}
    assert "wiki" not in raw
    metrics = raw["pipeline"]["search"]["metrics"]
    assert {name: metric["direction"] for name, metric in metrics.items()} == {"ndcg": "down", "val/loss": "down"}
    assert raw["pipeline"]["search"]["schedule"] == {"every": "15m"}
    assert "release" not in raw["pipeline"]["search"]
    assert "HERALD_TRACKER__TRELLO__KEY\n" in done.output


@pytest.mark.parametrize(
    ("kind", "answers", "section", "channel"),
    [
        ("feishu", ("cli_a1", "oc_1"), {"kind": "feishu", "app_id": "cli_a1"}, "oc_1"),
        ("dingtalk", ("ding1", "cid1"), {"kind": "dingtalk", "app_key": "ding1"}, "cid1"),
        (
            "mail",
            ("127.0.0.1", "Herald <herald@example.com>", "", "plan@example.com"),
            {"kind": "mail", "host": "127.0.0.1", "sender": "Herald <herald@example.com>", "security": "none"},
            "plan@example.com",
        ),
        ("wecom", (), {"kind": "wecom"}, "the webhook's own"),
    ],
)
def test_every_chat_is_asked_for_what_it_needs(path, kind, answers, section, channel):
    given = (*EVERYTHING[:8], ("--tracker", "none"), ("--wiki", "none"))
    done = init(path, *given, answers=(kind, *answers))
    raw = tomllib.loads(path.read_text())
    assert raw["chat"] == {kind: section}
    assert raw["pipeline"]["search-relevance"]["channel"] == channel
    assert done.exit_code in {0, 1}, done.output  # mail needs no secret here, so that doctor looks, in vain


def test_jira_and_confluence_of_one_site_share_address_and_account(path):
    given = ("--mlflow", "x"), ("--experiment", "e"), ("--metric", "m"), ("--direction", "up"), ("--owner", "")
    given = (*given, ("--every", "1d"), ("--release", ""))
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
        ((("--tracker", "asana"),), "--tracker: 'asana' is not one of jira, trello, none"),
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
        def version(self):
            return ""

        def experiments(self, _):
            return ()

    monkeypatch.setattr("bot.doctor.make_run_store", lambda _: NoRuns())
    given = tuple(option for option in EVERYTHING if option[0] in ("--mlflow", "--experiment", "--metric"))
    nothing = (
        ("--every", "1h"),
        ("--release", ""),
        ("--direction", "up"),
        ("--owner", ""),
        ("--tracker", "none"),
        ("--wiki", "none"),
        ("--chat", "none"),
    )
    done = init(path, *given, *nothing)
    assert "✗ runs of search-relevance: MLflow has no experiment named search relevance" in done.output
    assert done.exit_code == 1


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@given(names, names, names)
def test_any_name_survives_being_written(experiment, metric, owner):
    answers = Answers("sqlite:///x.db", experiment, {metric: Direction.UP}, owner=owner, board="b", chat="webhook")
    raw = tomllib.loads(write_config(answers))
    [pipeline] = raw["pipeline"].values()
    assert (pipeline["experiment"], pipeline["owner"], list(pipeline["metrics"])) == (experiment, owner, [metric])


def test_every_kind_of_service_that_may_be_chosen_makes_a_configuration_that_loads(tmp_path):
    for jira in (None, Account(SITE, "h@e.org"), Account("https://jira.team.example")):
        for chat in CHAT_KINDS:
            board = "" if jira else "b"
            answers = Answers("x", "e", {"m": Direction.UP}, "1h", "", "", jira, "SR", board, jira, "ML", chat, "C1")
            answers = replace(answers, app="a", mail=MailAccount("smtp", "h@e.org", "u") if chat == "mail" else None)
            check_config(tmp_path / "config.toml", write_config(answers))
            of_chat = () if chat == "none" else secrets_in(SERVICES["chat"][chat])
            assert len(secrets_of(answers)) == 2 + len(of_chat)


def test_the_example_that_explains_every_key_is_printed_where_nothing_is_to_be_asked():
    from pathlib import Path

    done = CliRunner().invoke(app, ["init", "--example"])
    assert done.output == (Path(__file__).parents[2] / "config.example.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("metric", "direction"),
    [
        *((name, "up") for name in ("ndcg_at_10", "recall@50", "AUC", "mrr", "accuracy", "f1", "hit_rate", "throughput_qps")),
        *((name, "down") for name in ("loss", "val/loss", "valLoss", "RMSE", "log_loss", "latency_p95_ms", "p99", "error_rate")),
        *((name, "down") for name in ("perplexity", "bounce-rate", "trainingTime", "model_size_mb", "logloss", "test.MAE")),
        *((name, "up") for name in ("error_free_share", "loss_reduction", "timeliness", "closeness", "coverage")),
    ],
)  # fmt: skip
def test_which_way_is_better_is_guessed_from_the_name(metric, direction):
    assert guess_direction(metric) is Direction(direction)


def test_what_mlflow_has_is_shown_and_metrics_bring_their_guess(path, monkeypatch):
    store = MemoryRunStore()
    at = datetime(2026, 11, 1, tzinfo=UTC)
    store.add("ranking", Run("r", "night", RunStatus.FINISHED, at, at, {"ndcg": 0.4, "loss": 1.0}))
    store.create("other")
    monkeypatch.setattr("bot.connections.open_run_store", lambda _address, _folder: store)
    metrics = ("loss ndcg", "", "")
    done = init(path, answers=("", "ranking", *metrics, "", "", "", "none", "none", "none"))
    assert "Its experiments: other, ranking" in done.output
    assert "What its newest runs have logged: loss, ndcg" in done.output
    judged = tomllib.loads(path.read_text())["pipeline"]["ranking"]["metrics"]
    assert {name: metric["direction"] for name, metric in judged.items()} == {"loss": "down", "ndcg": "up"}


def test_a_metric_given_by_an_option_may_have_spaces_within(path):
    kept = [option for option in EVERYTHING if option[0] != "--metric"]
    init(path, *kept, ("--metric", "val loss"))
    assert list(tomllib.loads(path.read_text())["pipeline"]["search-relevance"]["metrics"]) == ["val loss"]


def test_a_script_that_answers_by_options_alone_gets_the_defaults_of_the_rest(path):
    kept = [option for option in EVERYTHING if option[0] not in ("--every", "--release", "--direction")]
    flat = [word for option in kept for word in option]
    done = CliRunner().invoke(app, ["init", "--config", str(path), *flat], input="")
    assert done.exit_code == 0, done.output
    pipeline = tomllib.loads(path.read_text())["pipeline"]["search-relevance"]
    assert pipeline["schedule"] == {"every": "1h"}
    assert pipeline["metrics"]["val/loss"]["direction"] == "down"


def test_names_that_mlflow_does_not_have_are_asked_for_again_with_the_nearest_and_then_taken(path, monkeypatch):
    store = MemoryRunStore()
    at = datetime(2026, 11, 1, tzinfo=UTC)
    store.add("search relevance", Run("r", "night", RunStatus.FINISHED, at, at, {"ndcg@10": 0.4, "map 10": 1.0}))
    monkeypatch.setattr("bot.connections.open_run_store", lambda _address, _folder: store)
    names = ("Serch-Relevance", "search relevance", "ndcg_10, map 10", "ndcg@10, map 10", "", "")
    rest = ("", "search@production", "", "none", "none", "none")
    done = init(path, answers=("", *names, *rest))
    assert "no experiment 'Serch-Relevance' so far; did you mean 'search relevance'?" in done.output
    assert "No run has a metric 'ndcg_10' so far; did you mean 'ndcg@10'?" in done.output
    (pipeline,) = tomllib.loads(path.read_text())["pipeline"].values()
    assert pipeline["experiment"] == "search relevance"
    assert list(pipeline["metrics"]) == ["ndcg@10", "map 10"]
    assert pipeline["release"] == {"model": "models:/search@production"}


def test_a_name_that_is_yet_to_come_is_taken_when_it_is_said_again(path, monkeypatch):
    store = MemoryRunStore()
    store.create("other")
    monkeypatch.setattr("bot.connections.open_run_store", lambda _address, _folder: store)
    init(path, answers=("", "ranking", "ranking", "ndcg", "", "", "", "", "none", "none", "none"))
    assert tomllib.loads(path.read_text())["pipeline"]["ranking"]["experiment"] == "ranking"
