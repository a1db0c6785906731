"""Reading config.toml: what is refused and in which words, and how secrets are kept."""

import inspect
import math
import os
import re
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Annotated, get_args, get_origin

import pytest
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from bot.config.file import load_config
from bot.config.models import Config
from bot.config.services import SERVICES
from bot.domain.policy import Direction, Guard, MetricPolicy, MinEffect, Preset
from bot.errors import ConfigError
from bot.services.jira.config import JiraSection
from bot.services.slack.config import SlackSection
from bot.services.trello.config import TrelloSection
from bot.services.webhook.config import WebhookSection
from bot.text.locales import known_locales

LANGUAGES = f"should be {', '.join(map(repr, known_locales()[:-1]))} or {known_locales()[-1]!r}"
EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
JIRA = """
[tracker.jira]
url = "https://team.example"
project = "SR"
"""
TRELLO = """
[tracker.board]
kind = "trello"
board = "nC8QJoZi"
"""
SLACK = """
[chat.slack]
kind = "slack"
"""
PIPELINE = """
[pipeline.search]
experiment = "search"
[pipeline.search.metrics.ndcg]
"""


@pytest.fixture(autouse=True)
def no_secrets(monkeypatch):
    for name in [name for name in os.environ if name.startswith("HERALD_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def read(tmp_path):
    def read(text: str, secrets_dir: Path | None = None) -> Config:
        path = tmp_path / "config.toml"
        path.write_text(text, encoding="utf-8")
        return load_config(path, secrets_dir)

    return read


@pytest.fixture
def refusal(tmp_path, read):
    """Return the words of a refusal behind `FILE: `, a line a problem."""

    def refusal(text: str, secrets_dir: Path | None = None) -> str:
        with pytest.raises(ConfigError) as caught:
            read(text, secrets_dir)
        lines = str(caught.value).splitlines()
        prefix = f"{tmp_path / 'config.toml'}: "
        assert all(line.startswith(prefix) for line in lines)
        return "\n".join(line.removeprefix(prefix) for line in lines)

    return refusal


@pytest.fixture
def jira_token(monkeypatch):
    monkeypatch.setenv("HERALD_TRACKER__JIRA__TOKEN", "s3cret-of-jira")


# ---- what is refused, and in which words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            'instanse = "a"',
            "instanse: is not a key of the configuration; did you mean 'instance'?",
        ),
        (
            '[mlflow]\ntracking_url = "x"',
            "mlflow.tracking_url: is not a key of the configuration; did you mean 'tracking_uri'?",
        ),
        (
            "[mlflow]\nzebra = 1",
            "mlflow.zebra: is not a key of the configuration; known here: tables, tracking_uri, ui_url",
        ),
        (
            PIPELINE + "directoin = 'down'",
            "pipeline.search.metrics.ndcg.directoin: is not a key of the configuration; did you mean 'direction'?",
        ),
        (
            PIPELINE + "[pipeline.search.recovery]\nrun = 2",
            "pipeline.search.recovery.run: is not a key of the configuration; did you mean 'runs'?",
        ),
        (
            PIPELINE + "[pipeline.search.judge.guards.size]\nmaxfall = 2",
            "pipeline.search.judge.guards.size.maxfall: is not a key of the configuration; did you mean 'max_fall'?",
        ),
        (
            PIPELINE + "[pipeline.search.schedule]\nevry = '6h'",
            "pipeline.search.schedule.evry: is not a key of the configuration; did you mean 'every'?",
        ),
        ("[pipeline.search]\nexperiment = 'x'", "pipeline.search.metrics: is missing"),
        ("locale = 'xx'", f"locale: 'xx' {LANGUAGES}"),
        ("locale = 3", f"locale: 3 {LANGUAGES}"),
        ("jobs_folder = 7", "jobs_folder: 7 should be a valid string"),
        ("instance = 'My Herald'", "instance: 'My Herald' should have small letters and digits alone"),
        (
            PIPELINE + "min_effect = '2'",
            (
                "pipeline.search.metrics.ndcg.min_effect: '2' should be a share such as \"2 %\", or a number of 0 or more "
                "in the metric's own unit"
            ),
        ),
        (
            PIPELINE + "min_effect = -0.1",
            (
                'pipeline.search.metrics.ndcg.min_effect: -0.1 should be a share such as "2 %", or a number of 0 or more '
                "in the metric's own unit"
            ),
        ),
        (
            PIPELINE + "min_effect = true",
            (
                'pipeline.search.metrics.ndcg.min_effect: True should be a share such as "2 %", or a number of 0 or more '
                "in the metric's own unit"
            ),
        ),
        (
            PIPELINE + "lower = 1.0\nupper = 0.5",
            "pipeline.search.metrics.ndcg: lower (1) should be below upper (0.5)",
        ),
        (
            PIPELINE + '[pipeline.search.metrics."ndcg@10"]\nlower = 1\nupper = 0.5',
            'pipeline.search.metrics."ndcg@10": lower (1) should be below upper (0.5)',
        ),
        (
            PIPELINE + "direction = 'sideways'",
            "pipeline.search.metrics.ndcg.direction: 'sideways' should be 'up' or 'down'",
        ),
        (
            PIPELINE + "[pipeline.search.schedule]\nevery = '6 hours'",
            "pipeline.search.schedule.every: '6 hours' should be a number with its unit, such as 90s, 15m, 2h, 1d or 1w",
        ),
        (
            PIPELINE + "[pipeline.search.schedule]\nevery = 6",
            "pipeline.search.schedule.every: 6 should be a number with its unit, such as 90s, 15m, 2h, 1d or 1w",
        ),
        (
            PIPELINE + "[pipeline.search.schedule]\nevery = '0.5s'",
            "pipeline.search.schedule: every should be at least 1s",
        ),
        (
            PIPELINE + "[pipeline.search.schedule]\n",
            'pipeline.search.schedule: should have exactly one of cron = "0 3 * * *", every = "6h", at = "03:00" or after = "another-pipeline"',
        ),
        (
            PIPELINE + "[pipeline.search.schedule]\nevery = '1h'\ncron = '* * * * *'",
            'pipeline.search.schedule: should have exactly one of cron = "0 3 * * *", every = "6h", at = "03:00" or after = "another-pipeline"; it has cron and every',
        ),
        (
            PIPELINE + "[pipeline.search.schedule]\ncron = '0 3 * *'",
            "pipeline.search.schedule: cron = '0 3 * *' is not a cron line such as \"0 3 * * *\": it should have five fields: minute, hour, day of the month, month, weekday",
        ),
        (
            PIPELINE + "[pipeline.search.schedule]\ncron = '0 3 * * 8'",
            "pipeline.search.schedule: cron = '0 3 * * 8' is not a cron line such as \"0 3 * * *\": '8' is not a weekday: 0 to 7, where 0 and 7 are Sunday, or mon to sun",
        ),
        (
            PIPELINE + "[pipeline.search.schedule]\ncron = '0 3 30 2 *'",
            "pipeline.search.schedule: cron = '0 3 30 2 *' names a day that never comes",
        ),
        (
            PIPELINE + "[pipeline.search.schedule]\nat = 'noon'",
            'pipeline.search.schedule.at: \'noon\' should be a local time such as "03:00", or a date and time such as "2026-12-01 03:00"',
        ),
        (
            PIPELINE + "[pipeline.search.schedule]\nafter = 'shop'",
            "pipeline.search.schedule.after: 'shop' is not one of ['search']",
        ),
        (
            PIPELINE + "[pipeline.search.schedule]\nafter = 'search'",
            "pipeline.search.schedule.after: search after search goes in a circle, so none would ever start",
        ),
        (
            PIPELINE + "[pipeline.search.schedule]\nevery = '1m'\njitter = '1m'",
            "pipeline.search.schedule: jitter should be shorter than every",
        ),
        (
            PIPELINE + "[pipeline.search.schedule]\nevery = '1m'\ncatch_up = 'all'",
            "pipeline.search.schedule.catch_up: 'all' should be 'one' or 'none'",
        ),
        (
            PIPELINE + "[pipeline.search.job]\ncommand = ['x']\nmemory = '8 bytes'",
            "pipeline.search.job.memory: '8 bytes' should be a number with its unit, such as 512 MB or 8 GB",
        ),
        (
            PIPELINE + "[pipeline.search.job]\ncommand = ['x']\ncpus = 0",
            "pipeline.search.job.cpus: 0 should be greater than or equal to 1",
        ),
        (
            PIPELINE + "[pipeline.search.stale]\ngrace = '1h'",
            "pipeline.search.stale.cadence: is missing",
        ),
        (
            '[dead_man]\nevery = "5m"',
            "dead_man.url: is missing; set HERALD_DEAD_MAN__URL, or put it in a file named herald_dead_man__url in --secrets-dir",
        ),
        (
            '[dead_man]\nurl = "https://hc.example/4711"',
            "dead_man.url: a secret does not belong in this file; set HERALD_DEAD_MAN__URL, or put it in a file named herald_dead_man__url in --secrets-dir",
        ),
        (
            PIPELINE + "[pipeline.search.confirm]\nreruns = 1",
            "pipeline.search: confirm.reruns needs a job to rerun: add [pipeline.NAME.job] or set reruns = 0",
        ),
        (
            PIPELINE + "[pipeline.search.job]\ncommand = []",
            "pipeline.search.job.command: should have at least 1 item, not 0",
        ),
        (
            PIPELINE + "[pipeline.search.tickets]\nlabels = ['two words']",
            "pipeline.search.tickets.labels.0: 'two words' should have no spaces",
        ),
        (
            "[pipeline.search]\nexperiment = 'x'\nseries_by = ['model']\n[pipeline.search.metrics.ndcg]",
            "pipeline.search.series_by.0: 'model' should be params.NAME or tags.NAME",
        ),
        (
            "[pipeline.search]\nexperiment = 'x'\ntime_zone = 'Berlin'\n[pipeline.search.metrics.ndcg]",
            "pipeline.search.time_zone: 'Berlin' should be a time zone such as UTC, Europe/Berlin or Asia/Shanghai",
        ),
        (
            "time_zone = '../etc'",
            "time_zone: '../etc' should be a time zone such as UTC, Europe/Berlin or Asia/Shanghai",
        ),
        (
            PIPELINE + "[pipeline.search.release]\nrun = 'a'\nmodel = 'models:/b@c'",
            'pipeline.search.release: should have either run = "RUN-ID", or model = "models:/NAME@ALIAS"',
        ),
        ("[chat.team]\nkind = 'discord'", "chat.team.kind: 'discord' is not one of " + str(list(SERVICES["chat"]))),
        ("[chat.team]", "chat.team.kind: is missing; it should be " + " or ".join(SERVICES["chat"])),
        (
            "[chat.mail]\nkind = 'mail'\nhost = 'h'\nsender = 'Herald'",
            "chat.mail.sender: 'Herald' should be an address, such as Herald <herald@example.com>",
        ),
        ("[tracker.board]\nkind = 'asana'", "tracker.board.kind: 'asana' is not one of ['jira', 'trello']"),
    ],
)
def test_a_refusal_names_the_key_the_value_and_what_would_be_right(refusal, text, words):
    assert refusal(text) == words


CONFIRM = PIPELINE + "[pipeline.search.job]\ncommand = ['x']\n[pipeline.search.confirm]\n"


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("budget = 2", "confirm: budget needs reruns: set reruns = 1 or more"),
        ("baseline = { cwd = '/old' }", "confirm: baseline needs reruns: set reruns = 1 or more"),
        ("reruns = 3\nbudget = 2", "confirm: budget (2) should be at least the 3 reruns"),
        (
            "reruns = 2\nbudget = 2\nbaseline = { cwd = '/old' }",
            "confirm: budget (2) should be at least the 3 reruns of both recipes",
        ),
        (
            "reruns = 1\nbaseline = {}",
            "confirm.baseline: should set something to what it was: arguments, environment or cwd",
        ),
        (
            "reruns = 1\nbaseline = { arguments = ['--data={param.data}'] }",
            (
                "confirm.baseline: {param.data} in '--data={param.data}' is no place to fill: should be {run_id}, "
                "{commit}, {params.NAME}, {tags.NAME}, {seed} or {fire_id}"
            ),
        ),
    ],
)
def test_reruns_that_cannot_be_are_refused_by_key_and_value(refusal, keys, words):
    assert refusal(CONFIRM + keys) == f"pipeline.search.{words}"


LATENCY = PIPELINE + "[pipeline.search.metrics.latency]\n"


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("min = 200\nmax = 120", "min (200) should be below max (120)"),
        ("max = 120\nwithin = [1, 2]", "should have either within, or min and max"),
        (
            "max = 120\nupper = 100",
            "max (120) says nothing: only values from -inf (lower) to 100 (upper) are valid at all",
        ),
        ("min = 0\nlower = 0", "min (0) says nothing: only values from 0 (lower) to inf (upper) are valid at all"),
        (
            "within = [-1, 5]\nlower = 0",
            "within (-1) says nothing: only values from 0 (lower) to inf (upper) are valid at all",
        ),
        ("breaches = 1", "breaches (1) needs a limit that can be broken: max, min or within"),
        (
            "max = 120\nmin_effect = '2 %'",
            (
                "min_effect says nothing of a metric that is held against its limits alone: "
                'add direction = "up" or "down", and its changes are judged too'
            ),
        ),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused_by_key_and_value(refusal, keys, words):
    assert refusal(LATENCY + keys) == f"pipeline.search.metrics.latency: {words}"


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("within = [120, 100]", "within: should be [lowest, highest]: 120 is not below 100"),
        ("within = '0 %'", "within: '0 %' should be two numbers in the metric's own unit such as [100, 120], or a share such as \"10 %\""),
        ("within = [1, 2, 3]", "within: should be two numbers in the metric's own unit such as [100, 120], or a share such as \"10 %\", not [1, 2, 3]"),
        ("max = nan", "max: nan should be a finite number"),
        ("max = 120\nbreaches = 0", "breaches: 0 should be greater than or equal to 1"),
    ],
)  # fmt: skip
def test_a_limit_is_a_number_or_a_share(refusal, key, words):
    assert refusal(LATENCY + key) == f"pipeline.search.metrics.latency.{words}"


def test_a_metric_with_a_limit_is_judged_too_only_where_its_direction_is_named(read):
    text = LATENCY + 'max = 120\n[pipeline.search.metrics.size]\ndirection = "down"\nwithin = "10 %"\n'
    policies = read(text).pipeline["search"].policies
    assert [policy.name for policy in policies.metrics] == ["ndcg", "size"]
    assert [(each.name, each.high, each.share) for each in policies.limits] == [
        ("latency", 120.0, None),
        ("size", math.inf, 0.1),
    ]


def test_every_problem_is_told_at_once_a_line_each(refusal):
    assert refusal("locale = 'xx'\ninstanse = 'x'\n" + PIPELINE + "lower = 'low'").splitlines() == [
        f"locale: 'xx' {LANGUAGES}",
        "pipeline.search.metrics.ndcg.lower: 'low' should be a valid number, unable to parse string as a number",
        "instanse: is not a key of the configuration; did you mean 'instance'?",
    ]


@pytest.mark.parametrize("kind", ["tracker", "wiki", "chat"])
def test_a_pipeline_that_names_a_service_which_is_not_configured_is_refused(refusal, kind):
    extra = "channel = 'C1'\n" if kind == "chat" else ""
    text = f"[pipeline.search]\nexperiment = 'x'\n{kind} = 'jra'\n{extra}[pipeline.search.metrics.ndcg]"
    assert refusal(text) == f"pipeline.search.{kind}: 'jra' is not one of []"


def test_the_services_that_could_have_been_meant_are_listed(refusal, jira_token):
    text = JIRA + "[pipeline.search]\nexperiment = 'x'\ntracker = 'jra'\n[pipeline.search.metrics.ndcg]"
    assert refusal(text) == "pipeline.search.tracker: 'jra' is not one of ['jira']"


REQUIRING = """fields = { customfield_1 = "x" }
[pipeline.search]
experiment = "x"
tracker = "jira"
tickets.required = ["priority", "%s"]
[pipeline.search.metrics.ndcg]
"""


def test_a_required_field_that_no_ticket_has_is_refused(refusal, read, jira_token):
    known = ["assignee", "components", "customfield_1", "labels", "priority"]
    words = refusal(JIRA + REQUIRING % "Priority")
    assert words == f"pipeline.search.tickets.required: 'Priority' is not one of {known}"
    assert read(JIRA + REQUIRING % "customfield_1")


@pytest.mark.parametrize("extra", ["", 'experiment = "e"\nwatch.experiments = ["e*"]'])
def test_a_pipeline_has_one_experiment_or_globs_and_not_both(refusal, extra):
    text = f"[pipeline.p]\n{extra}\n[pipeline.p.metrics.m]\n"
    assert refusal(text) == 'pipeline.p: should have either experiment = "NAME", or watch.experiments = ["GLOB", ...]'


def test_an_owner_of_what_no_ticket_will_be_about_is_refused(refusal, read):
    owned = '[pipeline.search.owners]\n"{}" = {{ owner = "Fresh food" }}\n'
    assert "'recall' is no metric of ['ndcg'], nor a slice COLUMN=VALUE" in refusal(PIPELINE + owned.format("recall"))
    words = refusal(PIPELINE + owned.format("department = DELI"))
    assert "'department=DELI' is a slice by 'department', which is not in judge.slice_by: []" in words
    sliced = PIPELINE + '[pipeline.search.judge]\nslice_by = ["department"]\n' + owned.format("department = DELI")
    assert read(sliced).pipeline["search"].incident_policy.owners == {"department=DELI": "Fresh food"}
    within = sliced + '"department = DELI / category = 24 / 7" = { owner = "Night shift" }\n'
    assert "department=DELI, category=24" not in read(within).pipeline["search"].incident_policy.owners
    within = sliced + '"department = DELI / category = ham" = { owner = "Butcher" }\n'
    assert read(within).pipeline["search"].incident_policy.owners["department=DELI, category=ham"] == "Butcher"


def test_slices_that_nest_and_cross_read_the_columns_that_they_are_of(read, refusal):
    judge = PIPELINE + '[pipeline.search.judge]\nslice_by = ["device"]\n[pipeline.search.judge.slices]\n'
    text = judge + 'columns = ["brand"]\nnested = [["department", "category"]]\ncrossed = [["brand", "locale"]]\n'
    section = read(text).pipeline["search"]
    policies = section.policies
    assert policies.slice_by == ("device", "brand", "department", "locale")
    assert policies.slice_pairs == (("department", "category"), ("brand", "locale"))
    assert section.judge.columns_read == {"device", "brand", "department", "locale", "category"}
    assert "['brand', 'brand'] should name two different columns" in refusal(judge + 'crossed = [["brand", "brand"]]')
    assert "brand x locale twice" in refusal(judge + 'nested = [["brand", "locale"]]\ncrossed = [["locale", "brand"]]')
    many = ", ".join(f'["a{i}", "b{i}"]' for i in range(9))
    assert "9 pairs of columns; at most 8" in refusal(judge + f"crossed = [{many}]")


def test_a_job_needs_the_one_experiment_that_its_runs_go_to(refusal):
    text = '[pipeline.p]\nwatch.experiments = ["e*"]\njob.command = ["x"]\n[pipeline.p.metrics.m]\n'
    assert refusal(text) == "pipeline.p: a job needs the one experiment that its runs go to: experiment = ..."


def test_a_chat_without_a_channel_is_refused(refusal, monkeypatch):
    monkeypatch.setenv("HERALD_CHAT__SLACK__TOKEN", "xoxb")
    text = SLACK + "[pipeline.search]\nexperiment = 'x'\nchat = 'slack'\n[pipeline.search.metrics.ndcg]"
    assert refusal(text) == "pipeline.search: chat needs a channel: add channel = ..."


def test_a_missing_secret_is_named_by_variable_and_by_file(refusal):
    assert refusal(JIRA) == (
        "tracker.jira.token: is missing; set HERALD_TRACKER__JIRA__TOKEN, or put it in a file named "
        "herald_tracker__jira__token in --secrets-dir"
    )


def test_the_missing_secret_of_a_chat_is_named_too(refusal):
    assert refusal(SLACK) == (
        "chat.slack.token: is missing; set HERALD_CHAT__SLACK__TOKEN, or put it in a file named "
        "herald_chat__slack__token in --secrets-dir"
    )


@pytest.mark.parametrize(
    ("kind", "name", "key"),
    [
        ("tracker", "jira", "token"),
        ("tracker", "trello", "key"),
        ("wiki", "docs", "token"),
        ("chat", "hook", "webhook_url"),
    ],
)
def test_a_secret_written_in_the_file_is_refused_and_not_repeated(refusal, kind, name, key):
    words = refusal(f"[{kind}.{name}]\n{key} = 's3cret'")
    assert words == (
        f"{kind}.{name}.{key}: a secret does not belong in this file; set HERALD_{kind.upper()}__{name.upper()}__"
        f"{key.upper()}, or put it in a file named herald_{kind}__{name}__{key} in --secrets-dir"
    )
    assert "s3cret" not in words


@pytest.mark.parametrize(("section", "key"), [("store", "url"), ("mlflow", "tracking_uri")])
def test_a_password_in_an_address_is_refused_and_not_repeated(refusal, section, key):
    words = refusal(f"[{section}]\n{key} = 'postgresql://herald:s3cret@db/herald'")
    assert words.startswith(f"{section}.{key}: a password does not belong in this file; set HERALD_{section.upper()}__")
    assert "s3cret" not in words


@pytest.mark.parametrize("key", ["mlflow.ui_url", "tracker.jira.url", "wiki.docs.url", "chat.slack.url"])
def test_a_password_in_an_address_that_needs_none_is_refused_too(refusal, key):
    section, name = key.rsplit(".", 1)
    words = refusal(f"[{section}]\n{name} = 'https://me:s3cret@team.example'")
    assert words == f"{key}: a password does not belong in this file; leave it out"


def test_an_address_that_is_none_is_refused_without_a_traceback(refusal, jira_token):
    words = refusal("[tracker.jira]\nurl = 'https://[x'\nproject = 'SR'")
    assert words == "tracker.jira.url: 'https://[x' should be a valid URL, invalid IPv6 address"


def test_a_bad_url_of_a_service_is_refused(refusal, jira_token):
    words = refusal("[tracker.jira]\nurl = 'ftp://team'\nproject = 'SR'")
    assert words == "tracker.jira.url: 'ftp://team' URL scheme should be 'http' or 'https'"


def test_a_name_that_fits_no_environment_variable_is_refused(refusal):
    words = refusal("[tracker.Jira-1]\nurl = 'https://x'\nproject = 'SR'").splitlines()
    assert (
        words[0]
        == "tracker.Jira-1: 'Jira-1' should begin with a small letter, and have small letters, digits and _ alone"
    )


@pytest.mark.parametrize("text", ["[mlflow", "a = ", "[a]\n[a]"])
def test_what_is_not_toml_is_told_with_its_place(refusal, text):
    words = refusal(text)
    assert words.startswith("is not TOML: ")
    assert "(at " in words


def test_a_file_that_is_not_there_is_told_with_what_to_do(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml: there is no such file; `herald init` writes one, or name"):
        load_config(tmp_path / "none.toml")


def test_a_folder_in_place_of_the_file_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r": cannot be read: .*[Ii]s a directory"):
        load_config(tmp_path)


def test_a_file_that_is_not_utf8_is_told(tmp_path):
    path = tmp_path / "config.toml"
    path.write_bytes('title = "Ü"'.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"config\.toml: cannot be read: .*utf-8"):
        load_config(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mlflow = 3", "mlflow: 3 should be a section with keys of its own"),
        ("tracker = 'jira'", "tracker: 'jira' should be a section with keys of its own"),
        ("store = []", "store: should be a section with keys of its own"),
        ("[tracker]\njira = 3", "tracker.jira: 3 should be a section with keys of its own"),
        ("[chat]\nslack = 3", "chat.slack: 3 should be a section with keys of its own"),
        (
            PIPELINE + "[pipeline.search.job]\ncommand = 'python x'",
            'pipeline.search.job.command: \'python x\' should be a list, such as ["one", "two"]',
        ),
    ],
)
def test_a_value_of_the_wrong_shape_is_refused_with_its_key(refusal, text, words):
    assert refusal(text) == words


def test_a_secrets_folder_that_is_not_there_is_told(refusal, tmp_path):
    assert "nowhere" in refusal("", tmp_path / "nowhere")


# ---- what is read


def test_an_empty_file_is_a_configuration_of_defaults(read):
    config = read("")
    assert (config.instance, config.locale, config.time_zone) == ("herald", "en", "UTC")
    assert config.store.url.get_secret_value() == "sqlite:///herald.db"
    assert config.pipeline == {}


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        (" 2 h ", timedelta(hours=2)),
        ("1.5d", timedelta(hours=36)),
        ("1w", timedelta(days=7)),
        ("0s", timedelta(0)),
    ],
)
def test_a_length_of_time_is_a_number_with_its_unit(read, text, length):
    config = read(PIPELINE + f"[pipeline.search.tickets]\ncomment_every = '{text}'")
    assert config.pipeline["search"].tickets.comment_every == length


@pytest.mark.parametrize(
    ("text", "effect"),
    [
        ("'2 %'", MinEffect(0.02)),
        ("'0.5%'", MinEffect(0.005)),
        ("0.01", MinEffect(0.01, relative=False)),
        ("1", MinEffect(1.0, relative=False)),
    ],
)
def test_the_smallest_effect_is_a_share_or_a_number_in_the_metrics_unit(read, text, effect):
    config = read(PIPELINE + f"min_effect = {text}")
    (policy,) = config.pipeline["search"].policies.metrics
    assert policy.min_effect == effect


def test_a_pipelines_policies_are_what_the_judge_reads(read):
    config = read(
        PIPELINE
        + "direction = 'down'\nupper = 9.0\n[pipeline.search.judge]\npreset = 'sensitive'\nmin_runs = 5\n"
        + "slice_by = ['lang']\n[pipeline.search.judge.guards.rows]\nmax_fall = 0.1\n"
        + "[pipeline.search.judge.guards.catalogue_size]\nmax_fall = 0.9\n"
        + "[pipeline.search.recovery]\nruns = 4\n"
    )
    policies = config.pipeline["search"].policies
    assert policies.metrics[0].direction is Direction.DOWN
    assert policies.metrics[0].upper == 9.0
    assert (policies.preset, policies.min_runs, policies.slice_by) == (Preset.SENSITIVE, 5, ("lang",))
    assert Guard("rows", max_fall=0.1) in policies.guards
    assert [guard.max_fall for guard in policies.guards if guard.fact == "catalogue_size"] == [0.9]
    assert config.pipeline["search"].incident_policy.recovery_runs == 4


def test_the_configuration_is_frozen(read):
    config = read("")
    with pytest.raises(ValidationError, match="frozen"):
        config.instance = "other"


def test_a_service_address_loses_the_slash_at_its_end(read, jira_token):
    assert read(JIRA.replace(".example", ".example/")).tracker["jira"].base == "https://team.example"


@pytest.mark.parametrize(
    ("section", "base"),
    [
        ("tracking_uri = 'https://mlflow.example/'", "https://mlflow.example"),
        ("tracking_uri = 'sqlite:///mlflow.db'", None),
        ("tracking_uri = 'sqlite:///mlflow.db'\nui_url = 'https://ui.example'", "https://ui.example"),
    ],
)
def test_runs_have_a_page_where_mlflow_is_reached_by_a_browser(read, section, base):
    assert read(f"[mlflow]\n{section}").mlflow.page_base == base


@pytest.fixture
def trello_account(monkeypatch):
    monkeypatch.setenv("HERALD_TRACKER__BOARD__KEY", "k")
    monkeypatch.setenv("HERALD_TRACKER__BOARD__TOKEN", "t")


def test_a_tracker_is_jira_or_trello_by_its_kind(read, jira_token, trello_account):
    config = read(JIRA + TRELLO + "lists = { done = 'Shipped' }")
    assert isinstance(config.tracker["jira"], JiraSection)
    assert isinstance(config.tracker["board"], TrelloSection)
    assert config.tracker["board"].lists.todo == "To do"
    assert config.tracker["board"].lists.done == "Shipped"


def test_a_key_that_only_another_kind_of_tracker_has_is_no_key(refusal, trello_account):
    assert refusal(TRELLO + "project = 'SR'") == (
        "tracker.board.project: is not a key of the configuration; known here: answers, archive, board, ca_file, due, key, "
        "kind, lists, mentions, search_lag, timeout, token, url"
    )


def test_two_states_cannot_share_a_list(refusal, trello_account):
    assert refusal(TRELLO + "lists = { done = 'To do' }") == (
        "tracker.board.lists: todo, doing and done should name three lists"
    )


def test_a_chat_is_slack_or_a_webhook_by_its_kind(read, monkeypatch):
    monkeypatch.setenv("HERALD_CHAT__SLACK__TOKEN", "xoxb")
    monkeypatch.setenv("HERALD_CHAT__HOOK__WEBHOOK_URL", "https://hooks.example/x")
    config = read(SLACK + "[chat.hook]\nkind = 'webhook'")
    assert isinstance(config.chat["slack"], SlackSection)
    assert isinstance(config.chat["hook"], WebhookSection)


# ---- secrets


def test_a_secret_comes_from_the_environment(read, jira_token):
    assert read(JIRA).tracker["jira"].token.get_secret_value() == "s3cret-of-jira"


def test_a_secret_comes_from_a_file_of_the_secrets_folder(read, tmp_path):
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "herald_tracker__jira__token").write_text("from-a-file\n")
    assert read(JIRA, folder).tracker["jira"].token.get_secret_value() == "from-a-file"


def test_the_environment_comes_before_the_secrets_folder(read, tmp_path, jira_token):
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "herald_tracker__jira__token").write_text("from-a-file")
    assert read(JIRA, folder).tracker["jira"].token.get_secret_value() == "s3cret-of-jira"


def test_the_state_address_with_its_password_comes_from_the_environment(read, monkeypatch):
    monkeypatch.setenv("HERALD_STORE__URL", "postgresql://herald:s3cret@db/herald")
    config = read("[store]\nurl = 'sqlite:///x.db'")
    assert config.store.url.get_secret_value() == "postgresql://herald:s3cret@db/herald"
    assert "s3cret" not in f"{config!r} {config.model_dump_json()}"


@pytest.mark.parametrize(
    "show", [repr, str, lambda config: config.model_dump_json(), lambda config: str(config.tracker)]
)
def test_a_secret_is_masked_wherever_the_configuration_is_shown(read, jira_token, show):
    assert "s3cret" not in show(read(JIRA))


@pytest.mark.parametrize("end", ["\r\n", "\n", " \r\n"])
def test_the_end_of_its_line_is_no_part_of_a_token(read, monkeypatch, end):
    monkeypatch.setenv("HERALD_TRACKER__JIRA__TOKEN", f"s3cret-of-jira{end}")
    assert read(JIRA).tracker["jira"].token.get_secret_value() == "s3cret-of-jira"


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("s3cret\r\nanother", "should be one line"),
        ("s3cret\x07", "should be one line"),
        ("s3cretö秘", "printable ASCII"),
    ],
)
def test_a_token_that_cannot_be_sent_is_refused_without_being_shown(refusal, monkeypatch, token, said):
    monkeypatch.setenv("HERALD_EXECUTOR__LAB__TOKEN", token)
    words = refusal('[executor.lab]\nkind = "ray"\nurl = "http://head:8265"\n')
    assert "executor.lab.token: " in words
    assert said in words
    assert "s3cret" not in words


def test_every_secret_that_config_knows_is_read_as_one_line():
    fields_by_name = {
        f"{section.__name__}.{name}": field
        for section in sections(Config)
        for name, field in section.model_fields.items()
        if "SecretStr" in str(field.annotation)
    }
    assert len(fields_by_name) > 12
    for name, field in fields_by_name.items():
        with pytest.raises(ValidationError, match="one line"):
            pytest.fail(
                name + str(TypeAdapter(Annotated[field.annotation, Field(), *field.metadata]).validate_python("a\nb"))
            )


@pytest.mark.parametrize("name", ["A B", "A;touch x", "1A", "", "A-B", "Ä"])
def test_a_name_that_no_shell_takes_for_a_variables_is_refused(refusal, name):
    words = refusal(PIPELINE + f'[pipeline.search.job]\ncommand = ["x"]\nenvironment = {{ "{name}" = "1" }}\n')
    assert f"environment: {name!r} should be a variable's name" in words or "should be a variable's name" in words


def test_no_secret_shows_in_a_refusal_or_its_traceback(read, jira_token):
    with pytest.raises(ConfigError) as caught:
        read(JIRA + "proyect = 'SR'\nlocale = 3")
    shown = "".join(traceback.format_exception(caught.value))
    assert "proyect" in shown
    assert "s3cret" not in shown


def test_a_service_that_is_half_configured_is_told_without_the_value_of_its_secret(refusal, monkeypatch):
    monkeypatch.setenv("HERALD_WIKI__DOCS__TOKEN", "s3cret")
    words = refusal('[wiki.docs]\nspace = "SR"\n')
    assert "wiki.docs.url: is missing" in words
    assert "s3cret" not in words


def test_every_key_of_how_a_metric_is_judged_reaches_the_judge(read):
    keys = {
        "direction": "'down'",
        "min_effect": "'5 %'",
        "lower": "0",
        "upper": "1",
        "prior_spread": "0.1",
        "optional": "true",
    }
    (policy,) = (
        read(PIPELINE + "\n".join(f"{key} = {value}" for key, value in keys.items()))
        .pipeline["search"]
        .policies.metrics
    )
    assert {field.name for field in fields(MetricPolicy)} == {"name", *keys}
    assert [key for key in keys if getattr(policy, key) == getattr(MetricPolicy("ndcg"), key)] == []


# ---- the example


@pytest.fixture
def example(monkeypatch):
    for service in ("TRACKER__JIRA", "WIKI__CONFLUENCE", "CHAT__SLACK"):
        monkeypatch.setenv(f"HERALD_{service}__TOKEN", "x")
    return load_config(EXAMPLE)


def test_the_example_loads(example):
    assert set(example.pipeline) == {"next-purchase", "search-relevance"}
    assert example.pipeline["next-purchase"].confirm.reruns == 1
    assert example.pipeline["search-relevance"].job is None


def sections(annotation) -> Iterator[type[BaseModel]]:
    """Yield every model that can be reached from *annotation*."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from sections(field.annotation)
    elif get_origin(annotation) not in {None, Mapping} or get_origin(annotation) is Annotated:
        for part in get_args(annotation):
            yield from sections(part)


def test_the_example_mentions_every_key_there_is():
    text = EXAMPLE.read_text(encoding="utf-8")
    keys = {name for section in sections(Config) for name in section.model_fields}
    assert {"comment_every", "max_rise", "webhook_url", "ca_file"} <= keys
    missing = {key for key in keys if key not in text and key.upper() not in text}
    assert missing == set()


def test_a_channel_has_its_own_language_before_its_pipelines_and_all_others(read, monkeypatch):
    monkeypatch.setenv("HERALD_CHAT__TEAM__TOKEN", "x")
    config = read("locale = 'en'\n[chat.team]\nkind = 'slack'\nlocales = { C2 = 'zh', C3 = 'en' }\n" + PIPELINE)
    assert [config.locale_of("search", "team", channel) for channel in ("C1", "C2", "C3")] == ["en", "zh", "en"]
    assert config.locale_of("search") == "en"


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 10_000, "a = " + "9" * 5000, "a" + ".a" * 5000 + " = 1", "# " + "x" * 2_000_000]
)
def test_a_file_that_no_person_wrote_is_refused_in_a_sentence(tmp_path, text):
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as raised:
        load_config(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert len(str(raised.value)) < 500


def test_secrets_of_services_that_are_not_named_here_are_let_be(read, tmp_path, monkeypatch):
    monkeypatch.setenv("HERALD_TRACKER__JIRA__TOKEN", "x")
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "herald_tracker__trello__key").write_text("x")
    (folder / "herald_chat__team__webhook_url").write_text("https://hooks.example/x")
    config = read(PIPELINE, folder)
    assert (config.tracker, config.chat) == ({}, {})
    assert read(JIRA + PIPELINE, folder).tracker["jira"].token.get_secret_value() == "x"


def test_every_pattern_of_a_name_has_its_words():
    from bot.config import file, models, pipeline, values
    from bot.executors.kubernetes import config as kubernetes

    modules = (models, pipeline, values, kubernetes)
    patterns = [re.findall(r'pattern=r?"([^"]+)"', inspect.getsource(each)) for each in modules]
    assert {*chain(*patterns), values.ALIAS, kubernetes.LABEL, kubernetes.NAME} == set(file._PATTERNS)
