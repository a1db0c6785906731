"""The section of a Jira in the configuration."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, ClassVar, Literal

from bot.domain.capabilities import TextForm, TicketState
from bot.sections import Duration, Secret, Section, ServiceSection
from bot.services.answers_section import AnswersSection


class TransitionNames(Section):
    """What the ways into a state are called, where there are several: the transition, or the status it leads to."""

    todo: str | None = None
    doing: str | None = None
    done: str | None = None

    def into(self, state: TicketState) -> str | None:
        match state:
            case TicketState.TODO:
                return self.todo
            case TicketState.DOING:
                return self.doing
            case TicketState.DONE:
                return self.done


class JiraSection(ServiceSection):
    kind: Literal["jira"] = "jira"
    deployment: Literal["cloud", "datacenter"] = "cloud"
    email: str | None = None  # with it, the token is an API token of this account; without, a personal access token
    token: Secret
    project: str
    issue_type: str = "Bug"
    fields: dict[str, Any] = {}  # what else a new ticket needs, as Jira's REST API takes it
    transitions: TransitionNames = TransitionNames()
    transition_fields: dict[str, Any] = {}  # what the screens of transitions ask for, as Jira's REST API takes it
    search_lag: Duration = timedelta(seconds=30)
    answers: AnswersSection = AnswersSection()

    # Jira takes 32,767 characters and counts what its own conversion adds.
    text_form: ClassVar[TextForm] = TextForm("Jira", dialect="wiki", folder="jira", limit=28_000)
    lists_tickets: ClassVar[bool] = True  # a page can list its tickets by their labels

    @property
    def listens(self) -> bool:
        """Say whether its tickets are read for what people answer."""
        return self.answers.listen

    @property
    def own_fields(self) -> frozenset[str]:
        """Name what is set on every ticket besides what pipelines set."""
        return frozenset(self.fields)

    def mention_of(self, account: str) -> str:
        """Return how a comment names an account so that it hears of that."""
        return f"accountid:{account}" if self.deployment == "cloud" else account

    def has_ticket(self, key: str) -> bool:
        """Say whether a ticket of that key would be one of the project, whether it is there or not."""
        return re.fullmatch(rf"{re.escape(self.project)}-[1-9][0-9]{{0,9}}", key) is not None
