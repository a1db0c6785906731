"""A small cut of `make chaos`, and, in `make chaos` itself, proof that it would notice: it goes red without what keeps deliveries single."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def storm(*arguments: str) -> tuple[int, dict[str, str]]:
    command = [sys.executable, "-m", "tests.chaos.run", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    lines = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert "duplicates" in lines, done.stderr
    return done.returncode, {**lines, "seen": done.stderr}


@pytest.mark.long  # the suite kills at each step of each name instead
@pytest.mark.parametrize("backend", ["sqlite", pytest.param("postgresql", marks=pytest.mark.external_service)])
def test_two_heralds_that_are_killed_again_and_again_lose_nothing_and_say_nothing_twice(backend):
    code, told = storm("--seed", "3", "--deliveries", "33", "--kills", "8", "--backends", backend)
    assert (told["duplicates"], told["losses"], code) == ("0", "0", 0), told["seen"]
    assert int(told["deliveries"]) >= 45
    assert int(told["kills"]) >= 8


@pytest.mark.long
@pytest.mark.parametrize("mutation", ["search", "lease"])
def test_without_its_search_or_its_lease_the_storm_finds_things_said_twice(mutation):
    code, told = storm(
        *("--seed", "3", "--deliveries", "60", "--kills", "12", "--rate", "0.2"),
        *("--backends", "sqlite", "--mutate", mutation),
    )
    assert int(told["duplicates"]) > 0
    assert code == 1
