"""How the services of the tests' golden texts read what is written for them."""

from __future__ import annotations

from bot.services.jira.config import JiraSection
from bot.services.slack.config import SlackSection
from bot.services.trello.config import TrelloSection

JIRA, TRELLO, SLACK = JiraSection.text_form, TrelloSection.text_form, SlackSection.text_form
FORMS = {"jira": JIRA, "trello": TRELLO}
