"""Three Heralds of which one leads, in little: a whole run is `make chaos`."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.chaos.leaders import storm

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.long, pytest.mark.external_service]


def test_whatever_is_killed_paused_or_cut_off_nothing_is_written_in_an_old_epoch(tmp_path):
    came = storm(14, 3, tmp_path, None, 1.0)
    assert came.is_well, (came.twice, came.audit, came.score, came.broken)
    assert came.incidents > 3
    assert came.audit.written > 50


def test_the_storm_finds_out_a_herald_that_writes_without_a_fence(tmp_path):
    came = storm(14, 3, tmp_path, "fence", 1.0)
    assert came.audit.passed_late > 0, came


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
def test_a_storm_that_is_asked_to_end_leaves_no_process_and_no_folder(asked, tmp_path):
    command = [sys.executable, "-m", "tests.chaos.leaders", "--acts", "1000"]
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    storm_process = subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.DEVNULL)
    try:
        begun = wait_for(lambda: list(tmp_path.glob("herald-leaders-*/runs-search*")))
        assert begun, "no Herald has run a job"
        others = psutil.Process(storm_process.pid).children(recursive=True)
        assert len(others) > 3
        storm_process.send_signal(asked)
        storm_process.wait(120)
        assert wait_for(lambda: not [each for each in others if each.is_running()]), others
        assert list(tmp_path.glob("herald-*")) == []
    finally:
        storm_process.kill()


def wait_for(is_so, seconds=180.0):
    deadline = time.monotonic() + seconds
    while not (found := is_so()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found
