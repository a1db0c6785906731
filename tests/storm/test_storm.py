"""A small storm, and proof that it would notice: without the look for what an earlier request did, it ends red."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.storm.house import ROOT

pytestmark = [pytest.mark.long, pytest.mark.external_service]


def storm(*arguments: str) -> tuple[int, dict[str, str], str]:
    command = [sys.executable, "-m", "tests.storm.run", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200, check=False)
    lines = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
    assert "duplicates" in lines, done.stderr
    return done.returncode, lines, done.stderr


SMALL = ("--seeds", "3", "--pipelines", "3", "--runs", "9", "--patience", "400")


def test_a_small_storm_loses_nothing_and_says_nothing_twice():
    code, told, seen = storm(*SMALL, "--kills", "10")
    assert (told["duplicates"], told["losses"], code) == ("0", "0", 0), seen
    assert "SIGKILL=10" in told["ends"]
    assert int(told["deliveries"]) > 50


def test_without_its_search_the_storm_finds_things_said_twice():
    code, told, _ = storm(*SMALL, "--kills", "6", "--rate", "0.3", "--keep-clocks", "--mutate", "search")
    assert int(told["duplicates"]) > 0
    assert code == 1
