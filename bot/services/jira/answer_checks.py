"""Whether a Jira lets Herald hear what people answer."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bot.domain.checks import Check
from bot.services.answer_checks import check_names
from bot.services.checks import listed, walled
from bot.services.evidence import id_in, rows_in, text_in
from bot.services.jira.config import JiraSection
from bot.services.jira.connection import JiraConnection
from bot.services.jira.people import JiraPeople

_LOOK_AT_PEOPLE = "Give the account the global permission Browse users and groups, or list who may in answers.people."
_ADMINISTER = "Let the account administer the project, which Jira asks of who looks at roles, or name groups instead."


def check_answers(link: JiraConnection, config: JiraSection) -> Iterator[Check]:
    """Look at what reading answers leans on: the names that config maps, and who may give commands."""
    if not config.answers.listen:
        return
    yield from walled("answers", partial(_check_names, link, config), asks="Jira")
    people, wanted = JiraPeople(config, link), config.answers.people
    if wanted.speakers.is_open:
        yield from walled("who may give commands", partial(_check_anybody, people), _LOOK_AT_PEOPLE)
    if wanted.groups:
        yield from walled("groups", partial(_check_groups, people), _LOOK_AT_PEOPLE)
    if wanted.roles:
        yield from walled("roles", partial(_check_roles, people, wanted.roles), _ADMINISTER)


def _check_names(link: JiraConnection, config: JiraSection) -> Iterator[Check]:
    """Hold the mapped names against resolutions and, for projects that have none, statuses."""
    known = [
        name
        for path in ("resolution", "status")
        for name in link.get(
            f"list each {path}",
            path,
            lambda answer: [held for each in rows_in(answer) for held in (id_in(each), text_in(each, "name"))],
        )
    ]
    yield from check_names(config.answers, known, "resolution", "Jira")


def _check_anybody(people: JiraPeople) -> Iterator[Check]:
    name = "who may give commands"
    if people.anybody_assignable():
        yield Check(name, ok=True, said="all to whom tickets can be assigned")
        return
    yield Check(name, ok=False, said="Jira shows us nobody to whom tickets can be assigned", remedy=_LOOK_AT_PEOPLE)


def _check_groups(people: JiraPeople) -> Iterator[Check]:
    people.groups_of(people.me().account)
    yield Check("groups", ok=True, said="Jira shows who is in them")


def _check_roles(people: JiraPeople, names: tuple[str, ...]) -> Iterator[Check]:
    there = people.role_names()
    strangers = [name for name in names if name.casefold() not in {each.casefold() for each in there}]
    if strangers:
        said = f"the project has no role {listed(strangers)}; it has {listed(there)}"
        yield Check("roles", ok=False, said=said, remedy="Set answers.people.roles to some of them.")
        return
    people.roles(names)
    yield Check("roles", ok=True, said=listed(names))
