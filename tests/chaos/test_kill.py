"""A Herald that is killed at any step loses nothing and says nothing twice: shown by killing it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.story import of_each_name

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


def assert_whole(told):
    assert told["undisturbed"] == WHOLE_STORY
    assert {step.split(".")[0] for step in told["steps"]} == KINDS
    for one in told["killed"]:
        step = told["steps"][one["kill"] - 1]
        assert one["outcome"] == WHOLE_STORY, f"killed at step {one['kill']}, {step}"
        assert one["processes"] == 2, f"step {one['kill']}, {step}, was never reached"


@pytest.mark.slow
def test_killed_at_each_step_of_each_name_of_effect_it_loses_nothing_and_says_nothing_twice(tmp_path):
    assert_whole(tell(tmp_path, 0, 1, "each"))


@pytest.mark.long
@pytest.mark.parametrize("part", range(PARTS_OF_ALL))
def test_killed_at_any_step_at_all_it_loses_nothing_and_says_nothing_twice(tmp_path, part):
    assert_whole(tell(tmp_path, part, PARTS_OF_ALL, "every"))


def test_each_step_that_has_a_name_is_died_at_once():
    page = ["delivery.claimed", "service.wiki.create-asked", "service.wiki.create-done", "delivery.recorded"]
    ticket = [step.replace("wiki", "tracker") for step in page]
    assert of_each_name(["run.loaded", *page, "run.loaded", *ticket, *page]) == [1, 2, 4, 5, 9]
