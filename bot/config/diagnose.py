"""What config says of diagnoses: how each component of a run is set, and how many reruns a diagnosis may take."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from bot.config.owners import OwnerSection
from bot.config.recipes import RecipeSection
from bot.domain.job_protocol import COMMIT_TAG
from bot.domain.manifest import Component, ComponentKind
from bot.domain.recipes import Recipe, literal
from bot.domain.runs import Run
from bot.sections import Duration, Section, Size

_OWNED = {
    ComponentKind.DATA: "data",
    ComponentKind.TEST_SET: "test_set",
    ComponentKind.CODE: "code",
    ComponentKind.PARAM: "params",
    ComponentKind.ENVIRONMENT: "environment",
    ComponentKind.MACHINE: "machine",
}


class SwapSection(RecipeSection):
    """How a component is set, and what has to be there for it."""

    needs: tuple[str, ...] = ()  # paths, without which it cannot be set

    @property
    def all_texts(self) -> tuple[str, ...]:
        return (*self.texts, *self.needs)

    @property
    def recipe(self) -> Recipe:
        return replace(super().recipe, needs=self.needs)


class ParamsSection(SwapSection):
    """How a parameter is set: `{name}` to `{value}`."""

    places: ClassVar[tuple[str, ...]] = ("name", "value")

    @model_validator(mode="after")
    def _names_the_value(self) -> Self:
        if not any("{value}" in text for text in self.texts):
            raise ValueError('should set a parameter to its {value}, as arguments = ["--set", "{name}={value}"] does')
        return self

    def set_to(self, name: str, value: str) -> Recipe:
        """Return how one parameter is set."""

        def fill(text: str) -> str:
            return text.replace("{name}", literal(name)).replace("{value}", literal(value))

        def named(path: str) -> str:
            return path.replace("{name}", name).replace("{value}", value)

        environment = {
            key.replace("{name}", name).replace("{value}", value): fill(text) for key, text in self.environment.items()
        }
        needs = tuple(map(named, self.needs))
        return Recipe(f"{name}={value}", tuple(map(fill, self.arguments)), environment, fill(self.cwd), needs=needs)


class DataSection(SwapSection):
    """How the data are set: as those of a run, and where they come in parts with some of what is new of them."""

    places: ClassVar[tuple[str, ...]] = ("parts",)

    parts: Annotated[str, Field(pattern=r"^((params|tags)\..+)?$")] = ""  # of a run: what lists the parts of its data

    @model_validator(mode="after")
    def _sets_the_parts(self) -> Self:
        if bool(self.parts) != any("{parts}" in text for text in self.texts):
            raise ValueError(
                'should have both parts = "tags.NAME" or "params.NAME", which lists the parts of a run\'s data, and '
                '{parts} in what sets them, as arguments = ["--days", "{parts}"]; or neither'
            )
        return self

    def parts_of(self, run: Run) -> tuple[str, ...]:
        """Return the parts of a run's data, in their order; none where it has nothing that lists them."""
        kind, _, name = self.parts.partition(".")
        listed = (run.params if kind == "params" else run.tags).get(name, "")
        return tuple(dict.fromkeys(part for part in re.split(r"[,\s]+", listed) if part))

    def set_to(self, run: Run, parts: Sequence[str]) -> Recipe | None:
        """Return how the data are set to some parts, and else to those of a run; None where it lacks what is named."""
        if self.parts and not parts:
            return None
        recipe, listed = self.recipe.of(run), literal(",".join(parts))
        if isinstance(recipe, str):
            return None
        return Recipe(
            recipe.name,
            tuple(text.replace("{parts}", listed) for text in recipe.arguments),
            {name: text.replace("{parts}", listed) for name, text in recipe.environment.items()},
            recipe.cwd.replace("{parts}", listed),
            needs=tuple(path.replace("{parts}", ",".join(parts)) for path in recipe.needs),
        )


class CodeSection(Section):
    """How the code is set to a commit: in a worktree of its own, or as the job's own arguments say."""

    git: str = ""  # the repository, whose commits are checked out beside it
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    cwd: str = ""  # inside the worktree, where there is one

    @property
    def texts(self) -> tuple[str, ...]:
        return (*self.arguments, *self.environment.values(), self.cwd)

    @property
    def all_texts(self) -> tuple[str, ...]:
        return self.texts

    def set_to(self, run: Run, commit: str) -> Recipe | None:
        """Return how the code is set to a commit, and else to that of a run; None where it lacks what is named."""
        filled = Recipe("", self.arguments, self.environment, self.cwd).of(
            replace(run, tags={**run.tags, COMMIT_TAG: commit})
        )
        if isinstance(filled, str):
            return None
        return replace(filled, commit=commit) if self.git else filled

    @model_validator(mode="after")
    def _sets_the_code(self) -> Self:
        if not (self.git or any(self.texts)):
            raise ValueError('should say how a commit is set: git = "." checks it out, or arguments name {commit}')
        return self


class EnvironmentSection(SwapSection):
    """How what is installed is set: by the job's own words, or as a lock file says, in an environment made once."""

    lock: str = ""  # the file; where git is given, that of the run's commit
    git: str = ""  # the repository, or a folder in it
    make: Annotated[tuple[str, ...], Field(min_length=1)] = ("python3", "-m", "venv", "{folder}")
    install: Annotated[tuple[str, ...], Field(min_length=1)] = (
        *("{python}", "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--requirement", "{lock}"),
    )
    timeout: Duration = timedelta(minutes=30)
    size: Size = 20_000_000_000  # that one environment may take
    keep: Annotated[int, Field(ge=2, le=100)] = 4  # environments, those used last: two sides need two

    @property
    def texts(self) -> tuple[str, ...]:
        return (*super().texts, self.lock)

    @property
    def recipe(self) -> Recipe:
        lock = f"{{commit}}:{self.lock}" if self.git and self.lock else self.lock
        return replace(super().recipe, lock=lock)

    @property
    def lacking(self) -> str:
        if self.git:
            return f'git = "{self.git}" should have the lock file beside it: lock = "requirements.lock"'
        return "should set something to what it was: arguments, environment, cwd or lock"

    @model_validator(mode="after")
    def _makes_it_of_the_lock(self) -> Self:
        if self.git and not self.lock:
            raise ValueError(self.lacking)
        if self.lock and not any("{folder}" in word for word in self.make):
            raise ValueError("make should name the {folder} that the environment is to be in")
        if self.lock and not any("{lock}" in word for word in self.install):
            raise ValueError("install should name the {lock} file that it installs")
        return self


class CutSection(RecipeSection):
    """How every rerun is set to a part of the data, so that it takes less time; filled from the bad run."""

    share: Annotated[float, Field(gt=0, lt=1)]  # of the data: reruns are noisier by its square root


class DiagnoseSection(Section):
    """How a diagnosis sets each component to what it was; what is not here is left out of it, and named."""

    reruns: Annotated[int, Field(ge=1, le=50)] = 7
    reruns_within: Annotated[int, Field(ge=0, le=50)] = 8  # more, among the commits or parts of what did it
    timeout: Duration | None = None  # no rerun begins later than this after it was asked for
    concurrency: Annotated[int, Field(ge=1, le=16)] = 1  # reruns at a time, of jobs_at_once
    data: DataSection | None = None
    test_set: SwapSection | None = None
    code: CodeSection | None = None
    params: ParamsSection | None = None
    environment: EnvironmentSection | None = None
    machine: SwapSection | None = None
    owners: dict[str, OwnerSection] = {}  # by component: data, test_set, code, params, params.NAME and so on
    cut: CutSection | None = None

    @model_validator(mode="after")
    def _sets_something(self) -> Self:
        if not self.settable:
            names = ", ".join(kind.value for kind in ComponentKind if kind is not ComponentKind.SEED)
            raise ValueError(f"should say how at least one component is set: {names.replace('param', 'params')}")
        return self

    @field_validator("owners")
    @classmethod
    def _are_of_components(cls, owners: dict[str, OwnerSection]) -> dict[str, OwnerSection]:
        for owned in owners:
            if owned not in _OWNED.values() and not re.fullmatch(r"params\..+", owned):
                raise ValueError(f"owners: {owned!r} should be one of {', '.join(_OWNED.values())}, or params.NAME")
        return owners

    def owner_of(self, component: Component) -> OwnerSection | None:
        """Return who has a component: of a parameter whoever has that one, else whoever has them all."""
        kind = _OWNED.get(component.kind, "")
        return self.owners.get(f"{kind}.{component.name}") or self.owners.get(kind)

    @property
    def share(self) -> float:
        """How much of the data reruns see."""
        return 1.0 if self.cut is None else self.cut.share

    @property
    def settable(self) -> frozenset[ComponentKind]:
        sections = {
            ComponentKind.DATA: self.data,
            ComponentKind.TEST_SET: self.test_set,
            ComponentKind.CODE: self.code,
            ComponentKind.PARAM: self.params,
            ComponentKind.ENVIRONMENT: self.environment,
            ComponentKind.MACHINE: self.machine,
        }
        return frozenset(kind for kind, section in sections.items() if section is not None)

    @property
    def params_named(self) -> frozenset[str]:
        """Parameters by which other components are set: those are parts of these."""
        sections = (self.data, self.test_set, self.code, self.environment, self.machine, self.cut)
        texts = (text for section in sections if section is not None for text in section.texts)
        named = {name for text in texts for name in re.findall(r"\{params\.([^{}]+)\}", text)}
        kind, _, name = self.data.parts.partition(".") if self.data is not None else ("", "", "")
        return frozenset(named | {name} if kind == "params" else named)

    def lacking(self, kind: ComponentKind, run: Run) -> str:
        """Name what a run does not have, by which config sets a component as it was there; nothing where it has all."""
        if kind is ComponentKind.DATA and self.data is not None and self.data.parts and not self.data.parts_of(run):
            return self.data.parts
        section = {ComponentKind.DATA: self.data, ComponentKind.CODE: self.code}.get(kind) or self.recipe(kind)
        texts = () if section is None else section.all_texts
        lock = section.lock if isinstance(section, EnvironmentSection) else ""
        filled = Recipe("", texts, lock=lock).of(run)
        return filled if isinstance(filled, str) else ""

    def recipe(self, kind: ComponentKind) -> SwapSection | None:
        """Return how a component is set that is neither code, nor data, nor a parameter."""
        match kind:
            case ComponentKind.TEST_SET:
                return self.test_set
            case ComponentKind.ENVIRONMENT:
                return self.environment
            case ComponentKind.MACHINE:
                return self.machine
            case _:
                return None
