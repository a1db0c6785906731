"""What `herald demo` prints at its end: the runs, and where ticket, pages and message are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from bot.cli.output.diagnose import cause_as_json
from bot.cli.output.runs import run_as_json
from bot.cli.output.terminal import coloured, print_json
from bot.demo.outcome import InquirySeen, StoryOutcome
from bot.domain.judged_run import JudgedRun
from bot.text.tables import WholeConsole

_HEADLINE = "hr_at_10"


def print_outcome(result: StoryOutcome, *, as_json: bool) -> None:
    """Print the outcome: a table with links for a person, one object for a script."""
    if as_json:
        print_json(_as_object(result))
        return
    console = WholeConsole()
    console.print(_runs_table(result.runs))
    for ticket in result.tickets:
        console.print(f"Ticket   {escape(ticket.key)} [{ticket.status}], {len(ticket.comments)} comments  {ticket.url}")
    for asked in result.inquiries:
        console.print(f"Cause    {escape(_cause_of(asked))}")
    for page in result.pages:
        console.print(f"Page     {escape(page.bound.title)}  {page.bound.url}", highlight=False)
    for message in result.messages:
        console.print(f"Message  {escape(message.text.splitlines()[0])}  {message.url}", highlight=False)
    console.print(f"{result.seconds:.0f} seconds")


def _as_object(result: StoryOutcome) -> dict[str, Any]:
    """Return the outcome as one object for `--json`."""
    return {
        "runs": [run_as_json(judged) for judged in result.runs],
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
        "diagnoses": [
            {"likeliest": cause, "reruns": asked.reruns}
            for asked in result.inquiries
            if (cause := _cause(asked)) is not None
        ],
        "pages": [{"title": page.bound.title, "url": page.bound.url} for page in result.pages],
        "messages": [{"channel": m.channel, "text": m.text, "url": m.url} for m in result.messages],
        "seconds": round(result.seconds, 1),
    }


def _cause(asked: InquirySeen) -> dict[str, Any] | None:
    diagnosis = asked.record.diagnosis
    return None if diagnosis is None else cause_as_json(asked.record.inquiry, diagnosis.likeliest)


def _cause_of(asked: InquirySeen) -> str:
    cause = _cause(asked)
    if cause is None:
        return asked.record.state.value
    named = " and ".join(cause["components"]) or cause["kind"]
    return f"{named}, {min(cause['probability'], 0.99):.0%} sure, by {asked.reruns} reruns"


def _runs_table(judged: Sequence[JudgedRun]) -> Table:
    table = Table("run", "HR@10", "nDCG@10", "MRR", "recall@50", "against baseline", "finding")
    for each in judged:
        metrics = each.run.metrics
        told = next((f for f in each.findings if f.metric == _HEADLINE and f.part is None), None)
        table.add_row(
            escape(each.run.name),
            *(f"{metrics[name]:.4f}" for name in (_HEADLINE, "ndcg_at_10", "mrr", "recall_at_50")),
            "" if told is None or told.relative is None else f"{told.relative:+.1%} HR@10",
            coloured(each.outcome),
        )
    return table
