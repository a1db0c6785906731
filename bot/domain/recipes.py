"""Recipes: how a job is set for one run, where that is not what config has; what a rerun is made by.

A rerun swaps something of a job (its arguments, its environment, the tree it works in) and leaves the rest. Whoever
asks for one names it, so that the runs of one recipe are told from those of another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from bot.domain.job_protocol import COMMIT_TAG
from bot.domain.runs import Run

OWN = ""  # the name of the recipe that config has: a run's own, with another seed
BASELINE = "baseline"  # that of the newest run that was accepted before
SWAP, PIECES = "swap ", "pieces "  # what those of a diagnosis begin with
_PLACE = re.compile(r"\{(run_id|commit|params\.[^{}]+|tags\.[^{}]+)\}")
_BRACE = "{{}"  # stands for a brace of a value, until the job's own places are filled
_OF_A_JOB = re.compile(r"\{(seed|fire_id|\{)\}")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is set otherwise for one run of a job."""

    name: str = OWN
    arguments: tuple[str, ...] = ()  # after the command's own
    environment: Mapping[str, str] = field(default_factory=dict)  # over what config sets
    cwd: str = ""  # another tree to work in
    commit: str = ""  # of the code: its tree is checked out, and worked in
    lock: str = ""  # file that says what is installed, COMMIT:PATH where it is one of a commit
    needs: tuple[str, ...] = ()  # paths that have to be there
    replaces: Mapping[str, str] = field(default_factory=dict)  # what its run must not say it has, by component
    keeps: Mapping[str, str] = field(default_factory=dict)  # what its run must have of what nobody sets, if it says so

    @property
    def is_of_diagnosis(self) -> bool:
        """Say whether it was asked for to find out what did it, not to confirm a run."""
        return self.name.startswith((SWAP, PIECES))

    def of(self, run: Run) -> Recipe | str:
        """Fill what *run* was made with into its places; or say which of them the run does not have.

        `{run_id}`, `{commit}`, `{params.NAME}` and `{tags.NAME}` are places; anything else in braces is left as it is.
        """
        texts = (*self.arguments, *self.environment.values(), self.cwd, self.commit, self.lock, *self.needs)
        lacking: str | None = next(
            (name for text in texts for name in _PLACE.findall(text) if _known_of(run, name) is None), None
        )
        if lacking is not None:
            return lacking
        return Recipe(
            self.name,
            tuple(_fill(word, run, literal) for word in self.arguments),
            {name: _fill(value, run, literal) for name, value in self.environment.items()},
            _fill(self.cwd, run, literal),
            _fill(self.commit, run),
            _fill(self.lock, run),
            tuple(_fill(path, run) for path in self.needs),
            self.replaces,
        )

    def for_job(self, seed: str, fire_id: str) -> Recipe:
        """Fill the places of a job's own, `{seed}` and `{fire_id}`; not what only looks like them in a run's values."""
        values = {"seed": seed, "fire_id": fire_id, "{": "{"}

        def fill(text: str) -> str:
            return _OF_A_JOB.sub(lambda found: values[found[1]], text)

        environment = {name: fill(text) for name, text in self.environment.items()}
        return replace(self, arguments=tuple(map(fill, self.arguments)), environment=environment, cwd=fill(self.cwd))


def literal(value: str) -> str:
    """Return a value of a run such that a recipe has it as it is, whatever looks like a place in it."""
    return value.replace("{", _BRACE)


AS_CONFIGURED = Recipe()


@dataclass(frozen=True, slots=True)
class Plan:
    """How many reruns may be made to confirm what one run let suspect, and of what."""

    reruns: int = 0  # of the run's own recipe, unless fewer settle it
    budget: int = 0  # of all recipes together, where that does not settle it
    has_baseline: bool = False  # whether the baseline's recipe can be set


def _fill(text: str, run: Run, shown: Callable[[str], str] = str) -> str:
    return _PLACE.sub(lambda found: shown(_known_of(run, found[1]) or ""), text)


def _known_of(run: Run, name: str) -> str | None:
    kind, _, key = name.partition(".")
    match kind:
        case "run_id":
            return run.run_id
        case "commit":
            return run.tags.get(COMMIT_TAG)
        case "params":
            return run.params.get(key)
        case _:
            return run.tags.get(key)
