"""Figures for Prometheus: named after its conventions, bounded, without secrets, and what they say is so."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event

from bot.config.addresses import addresses_of
from bot.config.models import Config
from bot.reports.own_health import waiting_since
from bot.runtime import tallies
from bot.runtime.request_counts import RequestCounts
from bot.runtime.tallies import Stopwatch
from bot.store import pipelines
from bot.web.metrics import exposition
from tests.unit.simulation import World, configured, make_server
from tests.unit.state_samples import NOON


@pytest.fixture(scope="module")
def families(pages):
    answer = pages.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {family.name: family for family in text_string_to_metric_families(answer.text)}


def value_of(families, name: str, **labels: str) -> float:
    family = next(each for each in families.values() if name.startswith(each.name))
    (value,) = [each.value for each in family.samples if each.name == name and labels.items() <= each.labels.items()]
    return value


def test_every_figure_says_what_it_is_and_is_named_as_prometheus_would_have_it(families):
    own = [family for family in families.values() if family.name.startswith("herald_")]
    assert len(own) >= 13
    for family in own:
        assert re.fullmatch(r"herald_[a-z]+(_[a-z]+)*", family.name)
        assert family.documentation.endswith(".")
        assert family.type in {"counter", "gauge", "histogram"}
        assert all(each.name.endswith("_total") for each in family.samples if family.type == "counter")
        assert family.name.endswith("_seconds") or family.type != "histogram"
        assert len({(each.name, tuple(sorted(each.labels.items()))) for each in family.samples}) == len(family.samples)
    assert {"process_resident_memory_bytes", "process_cpu_seconds"} <= families.keys()


def test_what_stands_in_the_state_is_shown(families):
    assert value_of(families, "herald_open_incidents", kind="regressed", pipeline="search-relevance") == 1
    assert value_of(families, "herald_runs", outcome="regressed", pipeline="search-relevance") >= 1
    assert value_of(families, "herald_last_look_timestamp_seconds", pipeline="search-relevance") > 1e9
    assert value_of(families, "herald_build_info") == 1
    assert value_of(families, "herald_schedule_lag_seconds", pipeline="next-purchase") == 0


def test_what_has_not_happened_yet_is_shown_as_nothing(families):
    counted = [each for name in ("herald_findings", "herald_runs_judged") for each in families[name].samples]
    assert {each.labels["outcome"] for each in counted} >= {"ok", "regressed", "failed", "blind"}
    assert value_of(families, "herald_delivery_seconds_bucket", service="jira", le="+Inf") >= 0


def test_what_this_process_does_is_counted(sqlite_database, tmp_path):
    judged, late = dict(tallies.runs_judged.counts()), tallies.lateness.spread().up_to[-1]
    found = dict(tallies.findings_made.counts())
    world = World(NOON, tmp_path)
    section = {"schedule": {"at": "12:00"}, "job": {"command": ["true"]}}
    server = make_server(world, sqlite_database, configured({"search": section}, time_zone="UTC"))
    for _ in range(30):
        server.round()
        world.advance(world.job_takes * 4)
    assert tallies.lateness.spread().up_to[-1] - late == len(world.starts) > 0
    assert sum(tallies.runs_judged.counts().values()) - sum(judged.values()) == len(world.starts)
    assert sum(tallies.findings_made.counts().values()) - sum(found.values()) >= len(world.starts)


def test_a_scrape_asks_the_state_the_same_few_questions_whatever_the_number_of_pipelines(sqlite_database, tmp_path):
    asked: list[str] = []
    counts = []
    event.listen(sqlite_database._engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    for number in (1, 40):
        names = {f"p{each}": {"schedule": {"every": "1d"}} for each in range(number)}
        server = make_server(World(NOON, tmp_path), sqlite_database, configured(names))
        server.round()
        asked.clear()
        with sqlite_database.begin() as tx:
            exposition(server.herald, tx)
        counts.append(len(asked))
        assert not [each for each in asked if not each.lstrip().upper().startswith(("SELECT", "BEGIN", "PRAGMA"))]
    assert counts[0] == counts[1] <= 13


def services_of(**more: object) -> RequestCounts:
    counts = RequestCounts()
    counts.know(addresses_of(Config.model_validate(more)))
    return counts


def test_requests_are_counted_by_the_names_that_config_gives_and_never_by_an_address():
    site = "https://team.atlassian.net"
    counts = services_of(
        mlflow={"tracking_uri": "https://mlflow.example.com"},
        tracker={"jira": {"url": site, "project": "SRCH", "token": "t", "email": "a@example.com"}},
        wiki={"confluence": {"url": site, "space": "S", "token": "t", "email": "a@example.com"}},
        chat={"hook": {"kind": "webhook", "webhook_url": "https://hooks.example.com/T0/secret-part"}},
    )
    for url in (
        f"{site}/rest/api/2/issue", f"{site}/wiki/api/v2/pages", "https://mlflow.example.com/api/2.0/mlflow/runs/get",
        "https://hooks.example.com/T0/secret-part", "https://bucket.example.org/a?signature=s", f"{site}.evil.example/",
    ):  # fmt: skip
        counts.note(url, "200")
    found = {service: number for (service, _), number in counts.by_service_and_status().items()}
    assert found == {"jira": 1, "confluence": 1, "mlflow": 1, "hook": 1, "other": 2}


def test_two_services_behind_one_address_are_told_together():
    hook = {"kind": "webhook", "webhook_url": "https://hooks.example.com/a"}
    counts = services_of(chat={"one": hook, "two": {**hook, "webhook_url": "https://hooks.example.com/b"}})
    counts.note("https://hooks.example.com/b", "500")
    assert list(counts.by_service_and_status()) == [("one+two", "500")]


def test_lengths_are_sorted_by_their_bounds_and_none_is_below_nothing():
    watch = Stopwatch((1, 10))
    for seconds in (0.2, 1.0, 5.0, 500.0, -3.0):
        watch.note(seconds, "jira")
    assert (watch.spread("jira").up_to, watch.spread("jira").total) == ((3, 4, 5), 506.2)
    assert watch.spread("slack").up_to == (0, 0, 0)


def test_a_pipeline_that_is_due_and_does_not_start_lags_from_its_due_time(sqlite_database, tmp_path):
    world = World(NOON, tmp_path, job_takes=timedelta(days=1))
    section = {"schedule": {"every": "1d"}, "job": {"command": ["true"]}}
    config = configured({"first": section, "second": section}, jobs_at_once=1)
    server = make_server(world, sqlite_database, config, pause=lambda _: server.orders.ask_to_stop())
    server.round()
    with sqlite_database.begin() as tx:
        due = {name: known.next_due for name, known in pipelines.find_all(tx).items()}
    world.now = max(due.values()) + timedelta(hours=2)
    server.round()
    with sqlite_database.begin() as tx:
        lags = waiting_since(tx, config, world.now)
        shown = {family.name: family for family in read(exposition(server.herald, tx))}
    (late,) = lags
    assert lags == {late: due[late]}
    assert value_of(shown, "herald_schedule_lag_seconds", pipeline=late) == (world.now - due[late]).total_seconds()
    assert value_of(shown, "herald_jobs", executor="local", standing="running") == 1
    assert value_of(shown, "herald_leader_epoch") == 1
    assert value_of(shown, "herald_leader_until_timestamp_seconds") > NOON.timestamp()


def read(page: bytes):
    return text_string_to_metric_families(page.decode())
