"""What came of the demo's story: read back from Herald's state and from the services, as a person would find it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from rich.markup import escape
from rich.table import Table

from bot.app import Herald
from bot.cli import output as tables
from bot.demo.workspace import PIPELINE
from bot.domain.incidents import SeriesKey
from bot.domain.objects import ObjectKind
from bot.sandbox import RunningSandbox
from bot.store import outbox, runs
from bot.store.outbox import KnownObject
from bot.store.runs import JudgedRun
from bot.text.tables import WholeConsole

_TIMEOUT_SECONDS = 20.0
_HEADLINE = "hr_at_10"


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
class Outcome:
    runs: tuple[JudgedRun, ...]
    tickets: tuple[TicketSeen, ...]
    pages: tuple[KnownObject, ...]
    messages: tuple[MessageSeen, ...]
    seconds: float


def gather(herald: Herald, sandbox: RunningSandbox, *, seconds: float) -> Outcome:
    """Read what was judged from the state, and what was told from the services themselves."""
    with herald.database.begin() as tx:
        judged = runs.recent(tx, SeriesKey(PIPELINE), limit=50)
        known = outbox.all_objects(tx)
    by_kind = {kind: [each for each in known if each.key.kind is kind] for kind in ObjectKind}
    with httpx.Client(timeout=_TIMEOUT_SECONDS) as client:
        tickets = tuple(_read_ticket(client, sandbox, ticket) for ticket in by_kind[ObjectKind.TICKET])
        messages = tuple(_read_message(client, sandbox, message) for message in by_kind[ObjectKind.MESSAGE])
    return Outcome(tuple(judged), tickets, tuple(by_kind[ObjectKind.PAGE]), messages, seconds)


def show(result: Outcome, *, as_json: bool) -> None:
    """Print the outcome: a table with links for a person, one object for a script."""
    if as_json:
        tables.print_json(as_object(result))
        return
    console = WholeConsole()
    console.print(_runs_table(result.runs))
    for ticket in result.tickets:
        console.print(f"Ticket   {escape(ticket.key)} [{ticket.status}], {len(ticket.comments)} comments  {ticket.url}")
    for page in result.pages:
        console.print(f"Page     {escape(page.bound.title)}  {page.bound.url}", highlight=False)
    for message in result.messages:
        console.print(f"Message  {escape(message.text.splitlines()[0])}  {message.url}", highlight=False)
    console.print(f"{result.seconds:.0f} seconds")


def as_object(result: Outcome) -> dict[str, Any]:
    """Return the outcome as one object for `--json`."""
    return {
        "runs": [tables.run_as_json(judged) for judged in result.runs],
        "tickets": [
            {
                "key": ticket.key,
                "status": ticket.status,
                "title": ticket.title,
                "url": ticket.url,
                "comments": list(ticket.comments),
            }
            for ticket in result.tickets
        ],
        "pages": [{"title": page.bound.title, "url": page.bound.url} for page in result.pages],
        "messages": [{"channel": m.channel, "text": m.text, "url": m.url} for m in result.messages],
        "seconds": round(result.seconds, 1),
    }


def _runs_table(judged: Sequence[JudgedRun]) -> Table:
    table = Table("run", "HR@10", "nDCG@10", "MRR", "recall@50", "against baseline", "finding")
    for each in judged:
        metrics = each.run.metrics
        told = next((f for f in each.findings if f.metric == _HEADLINE and f.part is None), None)
        table.add_row(
            escape(each.run.name),
            *(f"{metrics[name]:.4f}" for name in (_HEADLINE, "ndcg_at_10", "mrr", "recall_at_50")),
            "" if told is None or told.relative is None else f"{told.relative:+.1%} HR@10",
            tables.coloured(each.outcome),
        )
    return table


def _read_ticket(client: httpx.Client, sandbox: RunningSandbox, ticket: KnownObject) -> TicketSeen:
    key = ticket.bound.external_id
    answer = client.get(
        f"{sandbox.jira_cloud_url}/rest/api/2/issue/{key}",
        params={"fields": "summary,status,comment"},
        auth=(sandbox.email, sandbox.api_token),
    )
    fields = answer.raise_for_status().json()["fields"]
    comments = tuple(comment["body"] for comment in fields["comment"]["comments"])
    return TicketSeen(key, ticket.bound.url, fields["summary"], fields["status"]["name"], comments)


def _read_message(client: httpx.Client, sandbox: RunningSandbox, message: KnownObject) -> MessageSeen:
    answer = client.get(
        f"{sandbox.slack_url.rstrip('/')}/conversations.history",
        params={"channel": message.place, "latest": message.bound.external_id, "inclusive": "true", "limit": "1"},
        headers={"Authorization": f"Bearer {sandbox.slack_token}"},
    )
    found = answer.raise_for_status().json()["messages"][0]
    return MessageSeen(message.place, message.bound.url, found["text"])
