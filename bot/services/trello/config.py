"""The section of a Trello board in the configuration."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AnyHttpUrl, Field, field_validator, model_validator

from bot.domain.capabilities import TextForm
from bot.sections import Duration, Secret, Section, ServiceSection, Url
from bot.services.answers_section import AnswersSection, PeopleSection

MEMBERS = ("admin", "normal")  # kinds of a board's members who may write


class ListNames(Section):
    """What a board's lists are called, by the state of the cards in them."""

    todo: str = "To do"
    doing: str = "In progress"
    done: str = "Done"

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if len({self.todo, self.doing, self.done}) < len(ListNames.model_fields):
            raise ValueError("todo, doing and done should name three lists")
        return self


MemberId = Annotated[str, Field(pattern=r"^[0-9a-f]{24}$")]
MemberName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{3,100}$")]  # without the @


class TrelloSection(ServiceSection):
    kind: Literal["trello"] = "trello"
    url: Url = AnyHttpUrl("https://api.trello.com/1")
    key: Secret  # of the app
    token: Secret  # of the account that allowed the app in
    board: str  # the board's id, or the letters after /b/ in its address
    lists: ListNames = ListNames()
    due: Duration | None = None  # a new card is due this long after it was made
    archive: bool = False  # cards that are done leave the board
    mentions: dict[MemberId, MemberName] = {}  # user names, by which comments mention people, by the ids of members
    answers: AnswersSection = AnswersSection()
    search_lag: Duration = timedelta(seconds=5)  # cards are listed, not searched for: no index has to catch up

    text_form: ClassVar[TextForm] = TextForm(
        "Trello", dialect="markdown", folder="trello", limit=15_000
    )  # it takes 16,384 characters
    lists_tickets: ClassVar[bool] = False  # Confluence shows no list of cards
    own_fields: ClassVar[frozenset[str]] = frozenset()

    @property
    def listens(self) -> bool:
        """Say whether its cards are read for what people answer."""
        return self.answers.listen

    def mention_of(self, account: str) -> str:
        """Return how a comment mentions an account: by its user name, where config has it; else nothing."""
        name = self.mentions.get(account, "")
        return f"@{name}" if name else ""

    def has_ticket(self, key: str) -> bool:
        """Say whether that could be a card: the letters after /c/ in its address, or its id."""
        return re.fullmatch(r"[A-Za-z0-9]{8}|[0-9a-f]{24}", key) is not None

    @field_validator("answers")
    @classmethod
    def _know_their_people(cls, answers: AnswersSection) -> AnswersSection:
        _check_people(answers.people)
        return answers


def _check_people(people: PeopleSection) -> None:
    if people.groups:
        raise ValueError("people.groups should be left out: a board has members alone; name people.accounts")
    strangers = [role for role in people.roles if role not in MEMBERS]
    if strangers:
        raise ValueError(f"people.roles: {strangers[0]!r} should be one of {', '.join(MEMBERS)}: kinds of members")
