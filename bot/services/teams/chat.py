"""Microsoft Teams: the webhook of a workflow that posts each card it gets to a channel or a chat."""

from __future__ import annotations

from bot.domain.message import MessageDocument
from bot.errors import MissingError, PermanentError
from bot.ports import Posted
from bot.services.evidence import prove
from bot.services.hook_chats import HookChat
from bot.services.refusals import Answer
from bot.services.teams.card import build_card
from bot.services.teams.config import TeamsSection

_ACCEPTED = 202
_IS_OFF = ("WorkflowTriggerIsNotEnabled", "WorkflowDisabled")
_ADVICE = {
    401: "Check webhook_url: take the workflow's address anew, whole, with its signature.",
    403: "Check webhook_url, and who may trigger the workflow: it has to be anyone.",
    404: "Check webhook_url: the workflow was deleted.",
    410: "Check webhook_url: Office connectors are gone; make a workflow.",
}


class TeamsChat(HookChat):
    """A workflow's webhook as :class:`bot.ports.Chat`."""

    who = "A workflow of Teams"

    def __init__(self, config: TeamsSection) -> None:
        super().__init__("The workflow of Teams", config, _ADVICE)

    def post(self, channel: str, mark: str, document: MessageDocument) -> Posted:
        """Send to the workflow, which knows the channel itself; *channel* and *mark* stay with us."""
        try:
            self._hook.send(build_card(document, self.capabilities.budget), _check_taken)
        except PermanentError as error:
            if not any(each in str(error) for each in _IS_OFF):
                raise
            raise MissingError(f"{error} Turn the workflow on.", status=error.status) from None
        return Posted(channel, mark)


def _check_taken(answer: Answer) -> None:
    """A workflow accepts what it is sent, and posts it afterwards."""
    prove(answer.status_code == _ACCEPTED, "does not say that it was accepted (202)")
