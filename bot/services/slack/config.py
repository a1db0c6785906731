"""The section of a Slack workspace in the configuration."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import AnyHttpUrl, field_validator

from bot.domain.capabilities import ChatCapabilities, TextForm
from bot.sections import Language, Secret, ServiceSection, Url
from bot.services.answers_section import PeopleSection


class SlackSection(ServiceSection):
    kind: Literal["slack"] = "slack"
    token: Secret
    locales: dict[str, Language] = {}  # languages of single channels
    url: Url = AnyHttpUrl("https://slack.com/api")
    replies: bool = False  # whether repeats and recovery are also said in the thread, and answers there are read
    people: PeopleSection = PeopleSection()  # who may answer; without anybody, the workspace's full members
    charts: bool = False  # whether the history chart is shown there; takes the scope files:write

    # A message is refused somewhere above 13,000 characters, a section above 3,000.
    text_form: ClassVar[TextForm] = TextForm(
        "Slack", dialect="mrkdwn", folder="slack", limit=10_000, paragraph_limit=2_900
    )

    @property
    def capabilities(self) -> ChatCapabilities:
        return ChatCapabilities(edits=True, threads=self.replies, charts=self.charts)

    @field_validator("people")
    @classmethod
    def _name_accounts(cls, people: PeopleSection) -> PeopleSection:
        if people.groups or people.roles:
            raise ValueError("should name accounts alone: the ids of members, such as U0123456789")
        return people
