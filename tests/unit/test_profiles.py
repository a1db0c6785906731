"""Examples are the same for everybody, unless a seed or a profile was asked for; then that is what counts."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests import profiles

TESTS = Path(__file__).parents[1]

DRAWN = """
from pathlib import Path

from hypothesis import HealthCheck, given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

SEEN = Path("seen")


def note(value):
    with SEEN.open("a") as file:
        print(value, file=file)


@given(st.integers())
def test_default(number):
    note(f"default {number}")


@settings(max_examples=3)
@given(st.integers())
def test_few(number):
    note(f"few {number}")


class Machine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        note("machine")

    @rule(number=st.integers())
    def step(self, number):
        note(f"step {number}")


Machine.TestCase.settings = settings(max_examples=2, stateful_step_count=2)
TestMachine = Machine.TestCase
"""


def draw(folder: Path, *options: str, ci: bool = False) -> list[str]:
    """Run tests of their own under our conftest; return what they were given."""
    folder.mkdir()
    (folder / "conftest.py").write_text("from tests.conftest import *\n")
    (folder / "test_drawn.py").write_text(DRAWN)
    env = {name: value for name, value in os.environ.items() if name not in ("CI", "PYTEST_ADDOPTS")}
    env |= {"PYTHONPATH": str(TESTS.parent), **({"CI": "true"} if ci else {})}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *options, "."]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return (folder / "seen").read_text().splitlines()


@pytest.mark.long
def test_every_run_draws_the_same_with_ci_set_or_not_and_whoever_names_a_profile_gets_that(tmp_path):
    plain, ci = draw(tmp_path / "plain"), draw(tmp_path / "ci", ci=True)
    assert plain == ci
    assert draw(tmp_path / "fresh", "--hypothesis-profile=fresh") != plain


@pytest.mark.long
def test_a_seed_draws_its_own_and_examples_are_multiplied_whatever_a_test_chose(tmp_path):
    seen, again = (draw(tmp_path / n, "--hypothesis-times=5", "--hypothesis-seed=1", ci=n == "a") for n in ("a", "b"))
    assert seen == again
    assert draw(tmp_path / "c", "--hypothesis-times=5") != seen
    count = {kind: sum(line.split()[0] == kind for line in seen) for kind in ("default", "few", "machine")}
    assert 400 < count["default"] <= 500
    assert 10 < count["few"] <= 15
    assert 5 <= count["machine"] <= 11  # one more to look at the machine


def test_a_test_keeps_what_it_chose():
    chosen = settings(max_examples=3, phases=[Phase.generate], suppress_health_check=[HealthCheck.large_base_example])
    adapted = profiles.adapt(chosen, times=100, is_seeded=False)
    assert adapted.max_examples == 300
    assert adapted.phases == (Phase.generate,)
    assert set(adapted.suppress_health_check) == {HealthCheck.large_base_example, HealthCheck.too_slow}


def test_a_seed_counts_in_a_profile_that_repeats_itself_too():
    repeated = settings(settings.get_profile(profiles.REPEATED))
    assert repeated.derandomize
    assert not profiles.adapt(repeated, times=1, is_seeded=True).derandomize


@pytest.mark.parametrize("path", sorted(TESTS.rglob("test_*.py")), ids=lambda path: path.name)
def test_no_examples_are_drawn_inside_of_another_test_where_nobody_could_multiply_them(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    places = [node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef)]
    seen = {id(each) for place in places for each in place.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and any("given(" in ast.unparse(one) for one in node.decorator_list):
            assert id(node) in seen, f"{path.name}, line {node.lineno}"
            assert node.name.startswith("test_"), f"{path.name}, line {node.lineno}"
