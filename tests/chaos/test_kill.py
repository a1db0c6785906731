"""A Herald that is killed at any step loses nothing and says nothing twice: shown by killing it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KINDS = {"fire", "job", "run", "delivery", "service"}
PARTS = 6  # so that the kills are spread over the workers
WHOLE_STORY = {
    "jobs": 4,
    "judged": 7,
    "owed": [],
    "incidents": [["resolved", 3]],
    "tickets": [{"state": "done", "comments": 2, "distinct comments": 2, "links": 1, "attachments": 1}],
    "pages": 6,
    "distinct pages": 6,
    "pages with a chart": 4,
    "pages with labels": 4,
    "messages": ["tone: good"],
    "says pending": False,
}


def tell(folder: Path, part: int):
    command = [sys.executable, "-m", "tests.chaos.story", str(folder), f"{part}/{PARTS}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assert_whole(told):
    assert told["undisturbed"] == WHOLE_STORY
    assert {step.split(".")[0] for step in told["steps"]} == KINDS
    for one in told["killed"]:
        step = told["steps"][one["kill"] - 1]
        assert one["outcome"] == WHOLE_STORY, f"killed at step {one['kill']}, {step}"
        assert one["processes"] == 2, f"step {one['kill']}, {step}, was never reached"


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_killed_at_any_step_it_loses_nothing_and_says_nothing_twice(tmp_path, part):
    assert_whole(tell(tmp_path, part))
