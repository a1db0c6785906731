"""What people's answers mean and who may give them, as `[tracker.NAME.answers]` of the configuration says."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Protocol, Self, runtime_checkable

from pydantic import AfterValidator, Field, model_validator

from bot.domain.rules import RuleKind
from bot.sections import Duration, Section

if TYPE_CHECKING:
    from bot.ports import Resolution, Speakers

_SHORTEST_ROUND = timedelta(seconds=10)  # a search of the tracker each


def _spoken(names: tuple[str, ...]) -> tuple[str, ...]:
    if any(not name.strip() for name in names):
        raise ValueError("should hold ids or names; one of them is empty")
    return names


def _longer_than_none(lasts: timedelta) -> timedelta:
    if lasts <= timedelta(0):
        raise ValueError("should be longer than no time at all, such as 30d")
    return lasts


def _slow_enough(every: timedelta) -> timedelta:
    if every < _SHORTEST_ROUND:
        raise ValueError(f"should be {_SHORTEST_ROUND.total_seconds():.0f}s or longer: each round asks the tracker")
    return every


Names = Annotated[tuple[str, ...], AfterValidator(_spoken)]
Lasting = Annotated[Duration, AfterValidator(_longer_than_none)]


@runtime_checkable
class Answerable(Protocol):
    """The section of a service of which people's answers are read."""

    @property
    def answers(self) -> AnswersSection: ...


class PeopleSection(Section):
    """Who may give commands; without anybody, those to whom tickets can be assigned."""

    accounts: Names = ()  # by the ids by which the service tells people apart
    groups: Names = ()
    roles: Names = ()  # of the project

    @property
    def speakers(self) -> Speakers:
        from bot.ports import Speakers  # every command reads the configuration, and few listen to anyone

        return Speakers(frozenset(self.accounts), frozenset(self.groups), frozenset(self.roles))


class AnswersSection(Section):
    """What a resolution means, by its id or its name; on Trello that of a list or of a label."""

    listen: bool = True  # whether tickets are read for what people answer
    every: Annotated[Duration, AfterValidator(_slow_enough)] = timedelta(minutes=2)
    fixed: Names = ("Done", "Fixed")
    expected: Names = ()
    noise: Names = ()
    duplicate: Names = ("Duplicate",)
    accepted: Names = ()
    noise_lasts: Lasting = timedelta(days=30)
    accepted_lasts: Lasting = timedelta(days=90)
    watch_runs: int = Field(default=3, ge=1)  # good ones that confirm a fix
    people: PeopleSection = PeopleSection()

    @model_validator(mode="after")
    def _mean_one_thing(self) -> Self:
        meant: dict[str, RuleKind] = {}
        for kind, name in self.names:
            if meant.setdefault(name.casefold(), kind) is not kind:
                raise ValueError(f"{name!r} should stand in one list; it is in {meant[name.casefold()]} and in {kind}")
        return self

    @property
    def names(self) -> tuple[tuple[RuleKind, str], ...]:
        """Return every id or name that means something, with what it means."""
        return (
            *((RuleKind.FIXED, name) for name in self.fixed),
            *((RuleKind.EXPECTED, name) for name in self.expected),
            *((RuleKind.NOISE, name) for name in self.noise),
            *((RuleKind.DUPLICATE, name) for name in self.duplicate),
            *((RuleKind.ACCEPTED, name) for name in self.accepted),
        )

    def kind_of(self, resolution: Resolution) -> RuleKind | None:
        """Tell what a resolution means, its id before its name; None where config does not say."""
        by_name = {name.casefold(): kind for kind, name in self.names}
        return by_name.get(resolution.id.casefold()) or by_name.get(resolution.name.casefold())
