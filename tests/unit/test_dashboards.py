"""The dashboard and the alert rules name only figures, labels and values that /metrics shows."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from bot.domain.fires import FireState, Standing
from bot.domain.judge.findings import Outcome
from bot.runtime import tallies
from bot.runtime.request_counts import requests_made
from bot.store.backlog import Why
from bot.web.metrics import exposition
from tests.unit.simulation import World, configured, make_server
from tests.unit.state_samples import NOON

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
DASHBOARD = DEPLOY / "grafana" / "herald.json"
RULES = DEPLOY / "prometheus" / "alerts.yml"
OF_SCRAPING = {"job", "instance"}  # labels that Prometheus adds
WORDS = {  # values that labels can have, where they are ours
    "why": set(map(str, Why)),
    "state": set(map(str, FireState)),
    "standing": set(map(str, Standing)),
    "outcome": set(map(str, Outcome)),
}


def queries() -> Iterator[str]:
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


@pytest.fixture(scope="module")
def shown(tmp_path_factory, migrated_sqlite) -> dict[str, set[str]]:
    """Return the labels of every figure, by the names of its samples; those without samples by their families."""
    from bot.store import Database

    folder = tmp_path_factory.mktemp("figures")
    shutil.copyfile(migrated_sqlite, folder / "state.db")
    database = Database(f"sqlite:///{folder / 'state.db'}")
    server = make_server(World(NOON, folder), database, configured({"search": {"schedule": {"every": "1d"}}}))
    server.round()
    tallies.delivery.note(1, "jira")
    requests_made.note("https://elsewhere.example", "200")
    with database.begin() as tx:
        page = exposition(server.herald, tx).decode()
    database.close()
    known: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(page):
        known.setdefault(family.name, set())
        for sample in family.samples:
            known.setdefault(sample.name, set()).update(sample.labels)
    return known


LABELS_WITHOUT_SAMPLES = {  # of what this small state has none of
    "herald_effects": {"service", "why"},
    "herald_oldest_effect_seconds": {"service", "why"},
    "herald_open_incidents": {"pipeline", "kind"},
    "herald_fires": {"pipeline", "state"},
    "herald_jobs": {"executor", "standing"},
    "herald_last_look_timestamp_seconds": {"pipeline"},
    "herald_answers_read_timestamp_seconds": {"service"},
}


def test_every_figure_that_is_asked_for_is_shown(shown):
    asked = {name for query in queries() for name in re.findall(r"\b(?:herald|process)_[a-z_]+", query)}
    assert len(asked) >= 18
    assert asked - shown.keys() == set()


def test_every_label_that_is_asked_for_is_of_that_figure(shown):
    of_figure = {name: labels | LABELS_WITHOUT_SAMPLES.get(name, set()) for name, labels in shown.items()}
    for query in queries():
        names = re.findall(r"\b(?:herald|process)_[a-z_]+", query)
        there = OF_SCRAPING.union(*(of_figure[name] for name in names))
        grouped = {label.strip() for group in re.findall(r"by \(([^)]*)\)", query) for label in group.split(",")}
        assert grouped <= there, query
        for name, matchers in re.findall(r"\b((?:herald|process)_[a-z_]+)\{([^}]*)\}", query):
            for label, value in re.findall(r'(\w+)[=!]~?"([^"]*)"', matchers):
                assert label in of_figure[name] | OF_SCRAPING, query
                if label in WORDS:
                    assert set(value.split("|")) <= WORDS[label], query


def test_the_labels_of_what_this_state_lacks_are_those_of_the_page():
    text = (DEPLOY.parent / "bot" / "web" / "metrics.py").read_text(encoding="utf-8")
    for name, labels in LABELS_WITHOUT_SAMPLES.items():
        assert f'"{name}"' in text
        assert all(f'"{label}"' in text for label in labels)


def test_every_alert_says_what_is_wrong_and_what_to_do():
    (group,) = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    names = [rule["alert"] for rule in group["rules"]]
    assert len(set(names)) == len(names)
    for rule in group["rules"]:
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"].keys() == {"summary", "description"}
        assert all(text.endswith(".") for text in rule["annotations"].values())
        used = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
        grouped = {label.strip() for each in re.findall(r"by \(([^)]*)\)", rule["expr"]) for label in each.split(",")}
        assert used <= grouped, rule["alert"]


def test_panels_of_the_dashboard_have_a_place_of_their_own():
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
        assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


@pytest.mark.long
def test_promtool_reads_the_rules_and_every_query(tmp_path):
    promtool = os.environ.get("PROMTOOL") or shutil.which("promtool")
    if promtool is None:
        pytest.skip("needs promtool, of Prometheus: PROMTOOL=/path/of/it")
    checked = subprocess.run([promtool, "check", "rules", RULES], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    asked = [{"record": f"herald:query{n}", "expr": _filled(query)} for n, query in enumerate(queries())]
    (tmp_path / "queries.yml").write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": asked}]}))
    checked = subprocess.run(
        [promtool, "check", "rules", tmp_path / "queries.yml"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def _filled(query: str) -> str:
    return query.replace("$job", ".*").replace("$__rate_interval", "5m")


@pytest.mark.long
def test_promtool_finds_nothing_wrong_with_the_page_of_figures(tmp_path, sqlite_database):
    promtool = os.environ.get("PROMTOOL") or shutil.which("promtool")
    if promtool is None:
        pytest.skip("needs promtool, of Prometheus: PROMTOOL=/path/of/it")
    server = make_server(World(NOON, tmp_path), sqlite_database, configured({"search": {"schedule": {"every": "1d"}}}))
    server.round()
    with sqlite_database.begin() as tx:
        page = exposition(server.herald, tx)
    checked = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, check=False)
    assert checked.returncode == 0, (checked.stdout + checked.stderr).decode()
