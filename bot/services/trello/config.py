"""The section of a Trello board in the configuration."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Literal, Self

from pydantic import AnyHttpUrl, SecretStr, model_validator

from bot.ports import TextForm
from bot.sections import Duration, Section, ServiceSection, Url


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


class TrelloSection(ServiceSection):
    kind: Literal["trello"] = "trello"
    url: Url = AnyHttpUrl("https://api.trello.com/1")
    key: SecretStr  # of the app
    token: SecretStr  # of the account that allowed the app in
    board: str  # the board's id, or the letters after /b/ in its address
    lists: ListNames = ListNames()
    due: Duration | None = None  # a new card is due this long after it was made
    archive: bool = False  # cards that are done leave the board
    search_lag: Duration = timedelta(seconds=5)  # cards are listed, not searched for: no index has to catch up

    text_form: ClassVar[TextForm] = TextForm(
        "Trello", dialect="markdown", folder="trello", limit=15_000
    )  # it takes 16,384 characters
    lists_tickets: ClassVar[bool] = False  # Confluence shows no list of cards
    own_fields: ClassVar[frozenset[str]] = frozenset()
