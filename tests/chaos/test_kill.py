"""A Herald that is killed at any step loses nothing and says nothing twice: shown by killing it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KINDS = {"fire", "job", "run", "rerun", "delivery", "service", "umbrella"}
PARTS_OF_ALL = 6  # so that the kills are spread over the workers
WHOLE_STORY = {
    "jobs": 4,
    "judged": 6,
    "owed": [],
    "incidents": [["resolved", 2]],
    "tickets": [{"state": "done", "comments": 2, "distinct comments": 2, "links": 1, "attachments": 1}],
    "pages": 5,
    "distinct pages": 5,
    "pages with a chart": 4,
    "pages with labels": 3,
    "messages": ["tone: good"],
    "says pending": False,
}


def tell(folder: Path, part: int, parts: int, which: str):
    command = [sys.executable, "-m", "tests.chaos.story", str(folder), f"{part}/{parts}", which]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_killed_once_at_each_step_that_has_a_name_of_its_own_it_loses_nothing_and_says_nothing_twice(tmp_path):
    told = tell(tmp_path, 0, 1, "each")
    assert told["undisturbed"] == WHOLE_STORY
    assert {step.split(".")[0] for step in told["steps"]} == KINDS
    assert set(told["died at"]) >= set(told["steps"])
    assert told["processes"] == len(set(told["died at"])) + 1
    assert told["outcome"] == WHOLE_STORY, told["died at"]


@pytest.mark.long
@pytest.mark.parametrize("part", range(PARTS_OF_ALL))
def test_killed_at_any_step_at_all_it_loses_nothing_and_says_nothing_twice(tmp_path, part):
    told = tell(tmp_path, part, PARTS_OF_ALL, "every")
    assert told["undisturbed"] == WHOLE_STORY
    for one in told["killed"]:
        step = told["steps"][one["kill"] - 1]
        assert one["outcome"] == WHOLE_STORY, f"killed at step {one['kill']}, {step}"
        assert one["processes"] == 2, f"step {one['kill']}, {step}, was never reached"
