"""What `herald run` prints: what was judged, filed and delivered, or would have been."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from bot.text.tables import WholeConsole

if TYPE_CHECKING:  # what is printed is made elsewhere, by what is slow to load
    from bot.cli.dry_run import DryRun
    from bot.delivery.drain_report import DrainReport
    from bot.pipeline.cycle_report import CycleReport
    from bot.reports.overview import OpenIncident

from bot.cli.output.runs import (
    findings_table,
    print_set_aside,
    print_unjudged,
    print_unread,
    run_as_json,
    set_aside_as_json,
    unjudged_as_json,
)
from bot.cli.output.status import incident_as_json
from bot.cli.output.terminal import print_json

_RUNS_SHOWN = 10
_FAILURES_SHOWN = 10


def print_cycle(
    name: str, report: CycleReport, drained: DrainReport, left: int, filed: Sequence[OpenIncident], *, as_json: bool
) -> None:
    """Print what a cycle judged, *filed* and delivered, and could not deliver: how much is *left*, and why."""
    failures = drained.failures_of(name) if left else []
    if as_json:
        print_json(
            {
                "pipeline": name,
                "busy": report.busy,
                "elsewhere": report.elsewhere,
                "trouble": report.trouble,
                "could_not_look": report.unseen or None,
                "cannot_judge": [each.finding.metric for each in report.unjudged],
                "unjudged": [unjudged_as_json(each) for each in report.unjudged],
                "runs": [run_as_json(judged) for judged in report.judged],
                "set_aside": [set_aside_as_json(each) for each in report.set_aside],
                "history": report.history,
                "incidents": [incident_as_json(told) for told in filed],
                "delivered": drained.delivered,
                "failures": failures,
                "left": left,
            }
        )
        return
    console = WholeConsole()
    if report.elsewhere:
        console.print(f"{escape(name)}: its job runs elsewhere, and no other is started; `herald status` says where")
    _print_why_nothing(console, name, report)
    shown = report.judged[-_RUNS_SHOWN:]
    if len(shown) < len(report.judged):
        console.print(f"{escape(name)}: {len(report.judged)} runs judged; the latest of them:")
    if shown:
        findings_table(shown).print(console)
        print_unread(console, shown)
    print_set_aside(console, report.set_aside)
    if report.history:
        _print_first_contact(console, name, report, filed)
    print_unjudged(console, name, report.unjudged)
    for told in filed:
        where = "no ticket yet" if told.has_tracker else "no ticket, since config names no tracker for it"
        if told.ticket:
            where = f"{told.ticket.title} {told.ticket.url}"
        console.print(f"[red]{told.incident.kind}[/] {escape(name)}: {escape(where)}", soft_wrap=True)
    console.print(f"delivered: {drained.delivered}")
    for words in failures[:_FAILURES_SHOWN]:
        console.print(f"[red]not delivered:[/] {escape(words)}")
    if left:
        console.print(f"not delivered: {left}; it stays in the outbox: see [bold]herald outbox[/].")


def _print_first_contact(console: Console, name: str, report: CycleReport, filed: Sequence[OpenIncident]) -> None:
    """Say what was read as the past, and why nothing is filed about it."""
    history = report.history
    some = "1 run that was there already is" if history == 1 else f"{history:,} runs that were there already are"
    now = "Nothing is filed about the past: from now on each new run is news."
    if filed:
        now = "What still stands is filed."
    elif report.is_hopeless:
        now = "None of them has a metric that the configuration names, and without one no new run can be judged either."
    console.print(f"{escape(name)}: first contact: {some} read as its history. {now}")
    if not filed and (past := report.bad_and_over):
        them = "1 of them was bad; it" if past == 1 else f"{past:,} of them were bad; they"
        console.print(
            f"{escape(name)}: {them} ended before the last good one: that is the past, and nothing is filed about it."
        )


def print_dry_run(dry: DryRun, *, as_json: bool) -> None:
    """Print what would have been sent."""
    if as_json:
        print_json(
            {
                "runs": [run_as_json(judged) for judged in dry.judged],
                "would_send": [{"effect": said.what, "on": said.target, "text": said.text} for said in dry.sent],
            }
        )
        return
    console = WholeConsole()
    if not dry.judged:
        console.print("No new run to judge (a dry run starts no job).")
    else:
        findings_table(dry.judged[-_RUNS_SHOWN:]).print(console)
    for said in dry.sent:
        console.rule(escape(f"{said.what}: {said.target}"))
        console.print(said.text, markup=False, highlight=False)
    many = len(dry.sent)
    would = "nothing" if not many else "1 text" if many == 1 else f"{many:,} texts"
    why = "" if dry.has_services else ", whatever was found, as no tracker, wiki or chat is configured"
    console.print(f"Nothing was sent; {would} would have been{why}.")


def _print_why_nothing(console: WholeConsole, name: str, report: CycleReport) -> None:
    if report.busy:
        console.print(f"{escape(name)}: another Herald is at work on it; nothing was done here")
    elif report.trouble:
        console.print(f"{escape(name)}: there was nothing to look at: {escape(report.trouble)}")
    elif not report.judged and not report.unseen:  # why it could not be looked is said at the end, as an error
        console.print(f"{escape(name)}: no new run to judge")
