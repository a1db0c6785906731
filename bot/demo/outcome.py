"""What came of the demo's story: read back from Herald's state and from the services, as a person would find it."""

from __future__ import annotations

from dataclasses import dataclass

import requests

from bot.app import Herald
from bot.demo.workspace import PIPELINE
from bot.domain.incidents import IncidentState, SeriesKey
from bot.domain.judged_run import JudgedRun
from bot.domain.objects import ObjectKind
from bot.sandbox import RunningSandbox
from bot.store import fires, incidents, inquiries, objects, runs
from bot.store.inquiries import InquiryRecord
from bot.store.objects import KnownObject

_TIMEOUT = 20.0  # seconds


@dataclass(frozen=True, slots=True)
class TicketSeen:
    key: str
    url: str
    title: str
    status: str
    comments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MessageSeen:
    channel: str
    url: str
    text: str


@dataclass(frozen=True, slots=True)
class InquirySeen:
    record: InquiryRecord
    reruns: int


@dataclass(frozen=True, slots=True)
class StoryOutcome:
    runs: tuple[JudgedRun, ...]
    tickets: tuple[TicketSeen, ...]
    pages: tuple[KnownObject, ...]
    messages: tuple[MessageSeen, ...]
    inquiries: tuple[InquirySeen, ...]
    seconds: float


def gather(herald: Herald, sandbox: RunningSandbox, *, seconds: float) -> StoryOutcome:
    """Read what was judged from the state, and what was told from the services themselves."""
    with herald.database.begin() as tx:
        judged = runs.recent(tx, SeriesKey(PIPELINE), limit=50)
        known = objects.all_objects(tx)
        found = [
            each
            for one in incidents.of_pipeline(tx, PIPELINE, *IncidentState)
            for each in inquiries.of_incident(tx, one.incident_id)
        ]
        asked = [InquirySeen(each, len(fires.reruns_of(tx, PIPELINE, each.inquiry.inquiry_id))) for each in found]
    by_kind = {kind: [each for each in known if each.key.kind is kind] for kind in ObjectKind}
    tickets = tuple(_read_ticket(sandbox, ticket) for ticket in by_kind[ObjectKind.TICKET])
    messages = tuple(_read_message(sandbox, message) for message in by_kind[ObjectKind.MESSAGE])
    return StoryOutcome(tuple(judged), tickets, tuple(by_kind[ObjectKind.PAGE]), messages, tuple(asked), seconds)


def _read_ticket(sandbox: RunningSandbox, ticket: KnownObject) -> TicketSeen:
    key = ticket.bound.external_id
    answer = requests.get(
        f"{sandbox.jira_cloud_url}/rest/api/2/issue/{key}",
        params={"fields": "summary,status,comment"},
        auth=(sandbox.email, sandbox.api_token),
        timeout=_TIMEOUT,
    )
    answer.raise_for_status()
    fields = answer.json()["fields"]
    comments = tuple(comment["body"] for comment in fields["comment"]["comments"])
    return TicketSeen(key, ticket.bound.url, fields["summary"], fields["status"]["name"], comments)


def _read_message(sandbox: RunningSandbox, message: KnownObject) -> MessageSeen:
    answer = requests.get(
        f"{sandbox.slack_url.rstrip('/')}/conversations.history",
        params={"channel": message.place, "latest": message.bound.external_id, "inclusive": "true", "limit": "1"},
        headers={"Authorization": f"Bearer {sandbox.slack_token}"},
        timeout=_TIMEOUT,
    )
    answer.raise_for_status()
    found = answer.json()["messages"][0]
    return MessageSeen(message.place, message.bound.url, found["text"])
