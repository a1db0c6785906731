"""What a run was made from, as far as that is on record: code, data, test set, parameters, environment, machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from bot.domain import job_protocol as seam
from bot.domain.runs import DataCard, Run

SEEDS = ("seed", "random_seed", "random_state")
_TESTING = ("test", "eval", "valid")  # what the context of a data set begins with that a run was scored on


class ComponentKind(StrEnum):
    """What may change between two runs of a pipeline."""

    TEST_SET = "test_set"
    DATA = "data"
    CODE = "code"
    PARAM = "param"
    ENVIRONMENT = "environment"
    MACHINE = "machine"
    SEED = "seed"


@dataclass(frozen=True, slots=True, order=True)
class Component:
    """One thing that a run is made from, and that may be another in the next run."""

    kind: ComponentKind
    name: str = ""  # of a parameter; there is one of each other kind

    def __str__(self) -> str:
        return f"{self.kind}.{self.name}" if self.name else str(self.kind)

    @classmethod
    def named(cls, text: str) -> Component:
        """Return the component that is written so."""
        kind, _, name = text.partition(".")
        return cls(ComponentKind(kind), name)


@dataclass(frozen=True, slots=True)
class Ingredient:
    """What a component was in one run."""

    identity: str  # the same text: the same component
    shown: str  # what people read


Manifest = Mapping[Component, Ingredient]


def manifest_of(run: Run, card: DataCard) -> Manifest:
    """Return what is on record of what a run was made from; what is not on record is left out."""
    return dict(_parts(run, card))


def _parts(run: Run, card: DataCard) -> Iterator[tuple[Component, Ingredient]]:
    if commit := run.tags.get(seam.COMMIT_TAG):
        yield Component(ComponentKind.CODE), Ingredient(commit, commit)
    data = run.tags.get(seam.DATA_TAG) or card.texts.get("hash") or _named(run, testing=False)
    if data:
        yield Component(ComponentKind.DATA), Ingredient(data, data)
    elif card:
        facts = repr((sorted(card.numbers.items()), sorted(card.texts.items())))
        yield Component(ComponentKind.DATA), Ingredient(facts, "")  # people read what differs of them
    test_set = run.tags.get(seam.TEST_SET_TAG) or card.texts.get("test_hash") or _named(run, testing=True)
    if test_set:
        yield Component(ComponentKind.TEST_SET), Ingredient(test_set, test_set)
    environment, lock = run.tags.get(seam.ENVIRONMENT_TAG, ""), run.tags.get(seam.LOCK_TAG, "")
    if environment or lock:
        yield Component(ComponentKind.ENVIRONMENT), Ingredient(lock or environment, environment or lock)
    if machine := run.tags.get(seam.MACHINE_TAG):
        yield Component(ComponentKind.MACHINE), Ingredient(machine, machine)
    for name, value in run.params.items():
        if name in SEEDS:
            yield Component(ComponentKind.SEED), Ingredient(value, value)
        elif value != data:  # the data's hash among the parameters is the data's
            yield Component(ComponentKind.PARAM, name), Ingredient(value, value)


def _named(run: Run, *, testing: bool) -> str:
    """Name the data sets that MLflow has as a run's inputs: those it was scored on, or the others."""
    named = sorted(f"{each.name} {each.digest}" for each in run.datasets if _is_testing(each.context) is testing)
    return ", ".join(named)


def _is_testing(context: str) -> bool:
    return context.casefold().startswith(_TESTING)
