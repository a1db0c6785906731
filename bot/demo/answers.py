"""What somebody of the team says on the demo's ticket, and Herald's answer to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests

from bot.app import Herald
from bot.domain.objects import ObjectKind
from bot.errors import HeraldError
from bot.sandbox import RunningSandbox
from bot.store import heard, objects
from bot.store.objects import KnownObject

_TIMEOUT = 20.0  # seconds
_ROUNDS = 20  # until the tracker's index shows the comment
_BETWEEN = 0.5  # seconds


@dataclass(frozen=True, slots=True)
class Teammate:
    """One of the sandbox's people, who answers the ticket as they would in Jira."""

    herald: Herald
    sandbox: RunningSandbox
    pause: Callable[[float], None]

    def say(self, words: str) -> None:
        """Comment on the ticket, once however often the story is told, and let Herald read it."""
        with self.herald.database.begin() as tx:
            tickets = [each for each in objects.all_objects(tx) if each.key.kind is ObjectKind.TICKET]
        for ticket in tickets:
            comment_id = self._found(ticket, words) or self._comment(ticket, words)
            self._wait_for_answer(ticket, comment_id)

    def _found(self, ticket: KnownObject, words: str) -> str | None:
        comments = self._ask("GET", ticket)["comments"]
        return next((comment["id"] for comment in comments if comment["body"] == words), None)

    def _comment(self, ticket: KnownObject, words: str) -> str:
        return str(self._ask("POST", ticket, {"body": words})["id"])

    def _wait_for_answer(self, ticket: KnownObject, comment_id: str) -> None:
        for _ in range(_ROUNDS):
            report = self.herald.triage.run()
            with self.herald.database.begin() as tx:
                if heard.which(tx, ticket.key.service, ticket.key.name, [comment_id]):
                    return
            self.pause(_BETWEEN)
        raise HeraldError(
            f"the demo's comment on {ticket.bound.external_id} was not read: {report.troubles or 'not found'}"
        )

    def _ask(self, method: str, ticket: KnownObject, body: dict[str, str] | None = None) -> Any:
        person = self.sandbox.seed.people[1]
        answer = requests.request(
            method,
            f"{self.sandbox.jira_cloud_url}/rest/api/2/issue/{ticket.bound.external_id}/comment",
            json=body,
            auth=(person.email, person.api_token),
            timeout=_TIMEOUT,
        )
        answer.raise_for_status()
        return answer.json()
