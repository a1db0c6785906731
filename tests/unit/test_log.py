"""The log tells each fault in one line, without what was at hand, and counts it where it comes again."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from bot.config.file import secrets_of
from bot.config.models import Config
from bot.runtime.log import Journal, describe, set_up

SECRET = "xoxb-4711 & more"


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def journal(time) -> Journal:
    return Journal(clock=time)


@pytest.fixture
def written(journal):
    """Log into memory; return what gives the lines so far."""
    stream = io.StringIO()
    before = logging.getLogger().handlers[:]
    set_up(logging.INFO, stream, journal)
    yield lambda: stream.getvalue().splitlines()
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = before


def break_deep(depth: int, at_hand: str) -> None:
    if depth:
        break_deep(depth - 1, at_hand)
    raise KeyError("ndcg\nat 10")


def log_broken(what: str = "p1", depth: int = 2) -> None:
    try:
        break_deep(depth, SECRET)
    except KeyError:
        structlog.get_logger().exception("broke", what=what)


def test_what_nobody_foresaw_is_one_line_with_the_way_to_it_and_nothing_that_was_at_hand(written):
    log_broken()
    (line,) = written()
    assert "KeyError: 'ndcg\\\\nat 10'" in line.replace('"', "")
    assert line.index("break_deep") < line.index("log_broken")
    assert f"{__name__}:" in line
    assert "at_hand" not in line
    assert "xoxb" not in line


def test_what_led_to_a_fault_stands_in_its_line(written):
    try:
        try:
            break_deep(0, "")
        except KeyError as error:
            raise ValueError("no verdict") from error
    except ValueError:
        structlog.get_logger().exception("broke", what="p1")
    (line,) = written()
    assert "ValueError: no verdict" in line
    assert "KeyError" in line


def test_a_thousand_frames_are_one_short_line(written):
    log_broken(depth=900)
    (line,) = written()
    assert "more)" in line
    assert len(line) < 2000


def test_equal_faults_are_counted_and_told_the_first_time_the_tenth_and_the_hundredth(written):
    for _ in range(250):
        log_broken()
    assert ["times" in line for line in written()] == [False, True, True]
    assert [line.split("times=")[1].split()[0] for line in written()[1:]] == ["10", "100"]


def test_errors_that_differ_in_numbers_and_ids_alone_are_equal(written):
    for number in range(9):
        run = f"{number:032x}"
        structlog.get_logger().error("failed", what="p1", error=f"run {run}: attempt {number} at 0x{number}af: no")
    assert len(written()) == 1


def test_each_errand_tells_its_own_fault(written):
    for _ in range(9):
        for name in ("p1", "p2", "p3"):
            log_broken(name)
    assert len(written()) == 3


def test_a_fault_that_comes_again_after_recovery_is_news(written, journal):
    log_broken("p1")
    log_broken("p2")
    journal.forget("p1")
    log_broken("p1")
    log_broken("p2")
    assert len(written()) == 3


def test_a_fault_that_comes_again_after_an_hour_of_none_is_news(written, time):
    log_broken()
    time.now += 3000
    log_broken()
    time.now += 3000
    log_broken()
    assert len(written()) == 1
    time.now += 3700
    log_broken()
    assert len(written()) == 2


def test_what_is_said_once_by_itself_is_never_counted(written):
    for _ in range(3):
        structlog.get_logger().error("configuration kept as it was", error="no", always=True)
    assert len(written()) == 3
    assert "always" not in written()[0]


def test_what_went_well_is_not_counted(written):
    for _ in range(20):
        structlog.get_logger().info("judged", pipeline="p1")
    assert len(written()) == 20


def test_ever_new_faults_take_no_more_memory_than_a_thousand(written, journal):
    letters = "ghijklmnop"
    for number in range(5000):
        words = "".join(letters[int(digit)] for digit in str(number))
        structlog.get_logger().error("failed", what="p1", error=words)
    assert len(journal._seen) == 1000


def test_no_secret_is_written_however_it_stands_there(written, journal):
    journal.hide([SECRET])
    structlog.get_logger().error("failed", error=f"GET /?key=xoxb-4711%20%26%20more and {SECRET}")
    structlog.get_logger().error("failed", error="postgresql://herald:open-sesame@db/herald")
    structlog.get_logger().info("delivered", effect=("a", SECRET))
    assert not any("4711" in line or "sesame" in line for line in written())
    assert sum(line.count("<secret>") for line in written()) == 3


def test_a_secret_is_struck_out_as_python_and_json_show_it(journal):
    journal.hide(["first-line\r\nsecond-line", 's3cret"ö\t'])
    shown = [
        repr(b"Bearer first-line\r\nsecond-line"),
        "only second-line",
        json.dumps('s3cret"ö\t'),
        repr('s3cret"ö\t'),
    ]
    masked = " ".join(map(journal.mask, shown))
    assert "-line" not in masked
    assert "s3cret" not in masked


def test_the_secrets_of_a_configuration_are_known(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "of-mlflow")
    config = Config(
        store={"url": "postgresql://herald:of-the-state@db/herald"},
        mlflow={"tracking_uri": "https://me:of-the-door@mlflow"},
        tracker={"jira": {"url": "https://j.example", "token": "of-jira", "project": "P"}},
        dead_man={"url": "https://hc.example/of-the-switch"},
    )
    found = set(secrets_of(config))
    assert found >= {"of-mlflow", "of-the-state", "of-the-door", "of-jira", "https://hc.example/of-the-switch"}
    found = set(secrets_of(Config(store={"url": "sqlite:////srv/herald.db"})))
    assert "sqlite:////srv/herald.db" not in found, "the path of a file is none, wherever it was given"


def test_what_libraries_warn_of_is_counted_too(written):
    for number in range(30):
        logging.getLogger("urllib3.connectionpool").warning("pool is full, size %s", number)
    logging.getLogger("jira").info("chatter")
    assert len(written()) == 2


def test_a_log_that_cannot_be_written_ends_nothing(journal):
    class Full(io.StringIO):
        def write(self, _text: str) -> int:
            raise OSError(28, "No space left on device")

    before = logging.getLogger().handlers[:]
    try:
        set_up(logging.INFO, Full(), journal)
        structlog.get_logger().error("failed", error="no")
    finally:
        structlog.reset_defaults()
        logging.getLogger().handlers[:] = before


def test_an_exception_that_cannot_be_read_is_told_by_its_name():
    class MuteError(Exception):
        def __str__(self) -> str:
            raise ValueError

    assert describe(MuteError()).startswith("MuteError")


def test_a_command_that_breaks_says_so_in_one_line_without_what_was_at_hand():
    code = (
        "from bot.cli import main, opening\n"
        "def broken(*_, **__):\n"
        "    token = 'xoxb-4711-secret'\n"
        "    raise RuntimeError('out of luck')\n"
        "opening.read_config = broken\n"
        "main.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "status"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("herald: broke: RuntimeError: out of luck (at ")
    assert "xoxb" not in line


_TOGETHER = """
import threading
from bot.runtime import log
log.set_up(50)
logger = log.get_logger("any")
threads = [threading.Thread(target=lambda: logger.info("nobody wants this")) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_threads_that_write_the_first_lines_together_write_as_it_was_set_up():
    done = subprocess.run([sys.executable, "-c", _TOGETHER], check=True, capture_output=True, text=True)
    assert done.stdout + done.stderr == ""
