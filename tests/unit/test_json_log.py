"""The log for machines: one JSON object a line whatever stands in it, and ids that lead through a whole story."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import structlog
import typer
from hypothesis import given
from hypothesis import strategies as st

from bot.cli.serve import _last_words
from bot.delivery.services import Services
from bot.errors import ConfigError
from bot.runtime.json_lines import LogFormat, as_json_line
from bot.runtime.log import Journal, set_up
from bot.services.memory.tracker import MemoryTracker
from tests.unit.simulation import World, configured, make_server
from tests.unit.state_samples import NOON

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def written(journal):
    """Log as JSON into memory; return what gives the lines so far, read."""
    stream = io.StringIO()
    before = logging.getLogger().handlers[:]
    set_up(logging.INFO, stream, journal, LogFormat.JSON)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = before


def lose_a_metric() -> None:
    try:
        {}["ndcg\nat 10"]
    except KeyError as error:
        raise ValueError("no verdict") from error


def test_a_line_says_when_how_bad_and_what_before_all_else(written):
    structlog.get_logger().warning("put back", effect="e1", seconds=30.0)
    (line,) = written()
    assert list(line) == ["time", "level", "event", "effect", "seconds"]
    assert (line["level"], line["event"], line["seconds"]) == ("warning", "put back", 30.0)
    assert line["time"].endswith("Z")


def test_what_was_raised_stands_in_fields_of_its_own(written):
    try:
        lose_a_metric()
    except ValueError:
        structlog.get_logger().exception("broke", what="p1")
    (line,) = written()
    assert line["error"] == "ValueError: no verdict"
    assert "KeyError" in line["because"]
    assert f"{__name__}:" in line["at"]


def test_secrets_are_struck_out_here_too(written, journal):
    journal.hide(['a"quoted\\secret'])
    structlog.get_logger().error(
        'got a"quoted\\secret', error='token a"quoted\\secret', where=("x", "postgresql://a:b@c/d")
    )
    (line,) = written()
    assert line["event"] == "got <secret>"
    assert line["error"] == "token <secret>"
    assert "a:b@" not in line["where"]


@given(
    st.dictionaries(st.text(), st.one_of(st.text(), st.floats(), st.integers(), st.binary(), st.none(), st.booleans()))
)
def test_whatever_is_logged_is_one_line_of_json(values):
    line = as_json_line(None, "", {"event": "x\ny\u2028z\ud800", **values})
    assert len(line.splitlines()) == 1
    assert line.isascii()
    read = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    json.dumps(read, ensure_ascii=False).encode()  # no half of a character is left


def test_one_story_can_be_followed_by_its_ids_from_the_schedule_to_the_ticket(written, sqlite_database, tmp_path):
    world, tracker = World(NOON, tmp_path, exit_code=3), MemoryTracker()
    section = {"schedule": {"every": "1d"}, "job": {"command": ["train"]}, "tracker": "jira"}
    config = configured(
        {"search": section}, tracker={"jira": {"url": "https://jira.example", "token": "t", "project": "P"}}
    )
    server = make_server(world, sqlite_database, config, services=Services({"jira": tracker}, {}, {}))
    for _ in range(20):
        server.round()
        world.advance(timedelta(hours=3))
    lines = written()

    def told(event: str, **ids: object) -> dict[str, object]:
        return next(line for line in lines if line["event"] == event and ids.items() <= line.items())

    fire = told("due", pipeline="search")["fire"]
    assert told("job started", fire=fire)
    ended = told("job ended", fire=fire)
    run = told("judged", fire=fire, outcome="failed")["run"]
    assert (ended["exit_code"], ended["run"]) == (3, run)
    incident = told("incident", run=run, fire=fire, turn="filed")["incident"]
    delivered = told("delivered", incident=incident, service="jira", pipeline="search")
    assert delivered["made"] in tracker.tickets
    assert delivered["effect"]


def run_herald(*words: str) -> subprocess.CompletedProcess[str]:
    code = "from bot.cli.main import main; main()"
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_a_configuration_that_cannot_be_used_is_a_line_of_json_too(tmp_path):
    (tmp_path / "config.toml").write_text('instanc = "a"\n')
    done = run_herald("serve", "--log-format", "json", "-c", str(tmp_path / "config.toml"))
    (line,) = [json.loads(each) for each in done.stderr.splitlines()]
    assert (done.returncode, line["level"], "instance" in line["error"]) == (2, "critical", True)


def test_a_format_that_there_is_not_is_refused_with_those_that_there_are():
    done = run_herald("serve", "--log-format", "xml")
    assert (done.returncode, "'text', 'json'" in done.stderr) == (2, True)


def test_what_keeps_herald_from_serving_is_one_line_of_json_too(written):
    with pytest.raises(typer.Exit) as ended, _last_words(LogFormat.JSON):
        raise ConfigError("--http 127.0.0.1:1: cannot be listened on: Permission denied")
    (line,) = written()
    assert (line["event"], "cannot be listened on" in line["error"]) == ("not served", True)
    assert ended.value.exit_code == 2


def test_a_fault_of_ours_that_ends_herald_is_one_line_of_json_too(written):
    with pytest.raises(typer.Exit) as ended, _last_words(LogFormat.JSON):
        lose_a_metric()
    (line,) = written()
    assert ended.value.exit_code == 1
    assert (line["event"], line["error"]) == ("broke", "ValueError: no verdict")
    with pytest.raises(ValueError, match="no verdict"), _last_words(LogFormat.TEXT):
        lose_a_metric()
