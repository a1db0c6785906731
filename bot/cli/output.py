"""What commands print: tables for people, one JSON object for scripts."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from bot.domain.judge import Finding, Outcome, Reason
from bot.judging.unread import say_unread
from bot.services.checks import Check, Examined
from bot.store.aside import SetAside
from bot.store.runs import JudgedRun
from bot.text import formats
from bot.text.tables import Stacking, WholeConsole

if TYPE_CHECKING:  # what is printed is made elsewhere, by what is slow to load
    from bot.cli.dry_run import Rehearsal
    from bot.delivery.dispatcher import DrainReport
    from bot.domain.views import DigestView
    from bot.judging.doubts import Doubt
    from bot.pipeline.cycle import CycleReport
    from bot.reports.overview import OpenIncident, Overview, PipelineOverview

_RUNS_SHOWN = 10
_ASIDE_SHOWN = 5
_COLOURS = {
    Outcome.IMPROVED: "green",
    Outcome.OK: "green",
    Outcome.NO_BASELINE: "blue",
    Outcome.INSUFFICIENT_DATA: "blue",
    Outcome.SUSPICIOUS: "yellow",
    Outcome.REGRESSED: "red",
    Outcome.INVALID: "red",
    Outcome.STALE: "yellow",
    Outcome.FAILED: "red",
    Outcome.BLIND: "red",
}


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show that something is under way and for how long, where a person is watching.

    Yields what to call with how much of it is done, where that is known.
    """
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)


def print_json(value: Any) -> None:
    print(as_text(value))


_FAILURES_SHOWN = 10


def as_text(value: Any) -> str:
    return json.dumps(_sayable(value), ensure_ascii=False, indent=2, default=str, allow_nan=False)


def _sayable(value: Any) -> Any:
    """Return what JSON can say: null where a number is none."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {key: _sayable(each) for key, each in value.items()}
        case list() | tuple():
            return [_sayable(each) for each in value]
    return value


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
                "trouble": report.trouble,
                "could_not_look": report.unseen or None,
                "cannot_judge": [doubt.finding.metric for doubt in report.doubts],
                "unjudged": [_doubt_as_json(doubt) for doubt in report.doubts],
                "runs": [run_as_json(judged) for judged in report.judged],
                "set_aside": [_aside_as_json(each) for each in report.set_aside],
                "history": report.history,
                "incidents": [_incident_as_json(told) for told in filed],
                "delivered": drained.delivered,
                "failures": failures,
                "left": left,
            }
        )
        return
    console = WholeConsole()
    if report.busy:
        console.print(f"{escape(name)}: another Herald is at work on it; nothing was done here")
    elif report.trouble:
        console.print(f"{escape(name)}: there was nothing to look at: {escape(report.trouble)}")
    elif not report.judged and not report.unseen:  # why it could not be looked is said at the end, as an error
        console.print(f"{escape(name)}: no new run to judge")
    shown = report.judged[-_RUNS_SHOWN:]
    if len(shown) < len(report.judged):
        console.print(f"{escape(name)}: {len(report.judged)} runs judged; the latest of them:")
    if shown:
        _findings_table(shown).print(console)
        _print_unread(console, shown)
    _print_set_aside(console, report.set_aside)
    if report.history:
        _print_first_contact(console, name, report, filed)
    _print_doubts(console, name, report.doubts)
    for told in filed:
        where = f"{told.ticket.title} {told.ticket.url}" if told.ticket else "no ticket yet"
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


def print_status(seen: Overview, *, as_json: bool) -> None:
    """Print pipelines, open incidents, and how much is owed."""
    if as_json:
        print_json(
            {
                "pipelines": [_pipeline_as_json(pipeline) for pipeline in seen.pipelines],
                "owed": seen.owed,
                "parked": seen.parked,
                "refused": [asdict(refusal) for refusal in seen.refused],
            }
        )
        return
    console = WholeConsole()
    table = Stacking("pipeline", "last run", "ended", "finding", "next", "open incidents")
    for pipeline in seen.pipelines:
        last = pipeline.last
        table.add_row(
            escape(pipeline.name),
            escape(last.run.name) if last else "none yet",
            when(last.run.ended if last else None),
            coloured(last.outcome) if last else "",
            when(pipeline.next_due) or (f"after {escape(pipeline.after)}" if pipeline.after else "by hand"),
            escape(_standing(pipeline)),
        )
    table.print(console)
    for pipeline in seen.pipelines:
        if pipeline.last is not None:
            _print_unread(console, [pipeline.last])
        _print_set_aside(console, pipeline.set_aside)
        _print_blind_spots(console, pipeline)
    console.print(f"owed: {seen.owed:,}, parked: {seen.parked:,}")
    for refusal in seen.refused:
        where = " ".join(part for part in (refusal.service, refusal.channel) if part)
        what = ": what config names is missing there" if refusal.is_missing else " refuses our account"
        told = f"since {when(refusal.since)}; {refusal.waiting:,} wait for it, and go on by themselves"
        console.print(f"[red]{escape(where)}[/]{what} {told}: {escape(refusal.words)}")
    if any(pipeline.count > len(pipeline.incidents) for pipeline in seen.pipelines):
        console.print("--all names every open incident, --json too.")


def _standing(pipeline: PipelineOverview) -> str:
    """Name the pipeline's open incidents, the latest first, and say how many there are besides."""
    told = [
        f"{i.incident.kind} {i.ticket.title if i.ticket else i.incident.state}" for i in reversed(pipeline.incidents)
    ]
    more = pipeline.count - len(told)
    if more > 0:
        told.append(f"and {more:,} more" if told else f"{more:,}")
    return ", ".join(told) or "none"


def _print_unread(console: Console, judged: Iterable[JudgedRun]) -> None:
    """Say of runs what they were judged without."""
    for run in judged:
        for each in run.unread:
            name = escape(f"{run.series.pipeline}: {run.run.name}")
            console.print(f"[yellow]judged without:[/] {name}: {escape(say_unread(each))}")


def _print_blind_spots(console: Console, pipeline: PipelineOverview) -> None:
    """Say of a pipeline what could not be looked at, and what cannot be judged: neither is the same as all quiet."""
    name, look = escape(pipeline.name), pipeline.look
    if look is not None and look.unseen_since is not None:
        console.print(f"[red]could not look:[/] {name} since {when(look.unseen_since)}: {escape(look.said)}")
    _print_doubts(console, pipeline.name, pipeline.doubts)


def _print_doubts(console: Console, name: str, doubts: Iterable[Doubt]) -> None:
    """Say of a pipeline which metrics cannot be judged, why, and since which run."""
    for doubt in doubts:
        series = f" ({doubt.last.series.series})" if doubt.last.series.series else ""
        told = f"[yellow]cannot judge:[/] {escape(f'{name}{series}: {doubt.finding.metric}')}"
        if doubt.since is None:
            console.print(f"{told}: {doubt}")
        else:
            since = f"since run {escape(doubt.since.run.name)}, {when(doubt.since.run.ended)}"
            console.print(f"{told} {doubt}, {since}")


def _print_set_aside(console: Console, set_aside: Sequence[SetAside]) -> None:
    """Say how many runs are set aside, and of the latest of them why."""
    for each in set_aside[-_ASIDE_SHOWN:]:
        again = f"again after {when(each.not_before)}" if each.not_before else "again by another version of Herald"
        told = escape(f"{each.pipeline}: {each.name}: {each.why}")
        console.print(f"[red]set aside:[/] {told} (tried {each.tries} times; {again})")
    if len(set_aside) > _ASIDE_SHOWN:
        console.print(f"[red]set aside:[/] {escape(set_aside[0].pipeline)}: {len(set_aside)} runs in all")


def print_digest(view: DigestView, text: str, *, as_json: bool) -> None:
    """Print the digest as it would read."""
    if as_json:
        print_json({"tone": view.tone, "quiet": view.is_quiet, "text": text, "parts": [asdict(p) for p in view.parts]})
        return
    print(text)


def print_rehearsal(rehearsal: Rehearsal, *, as_json: bool) -> None:
    """Print what would have been sent."""
    if as_json:
        print_json(
            {
                "runs": [run_as_json(judged) for judged in rehearsal.judged],
                "would_send": [{"effect": said.what, "on": said.target, "text": said.text} for said in rehearsal.sent],
            }
        )
        return
    console = WholeConsole()
    if not rehearsal.judged:
        console.print("No new run to judge (a dry run starts no job).")
    else:
        _findings_table(rehearsal.judged[-_RUNS_SHOWN:]).print(console)
    for said in rehearsal.sent:
        console.rule(escape(f"{said.what}: {said.target}"))
        console.print(said.text, markup=False, highlight=False)
    console.print(f"Nothing was sent; {len(rehearsal.sent)} messages would have been.")


def print_addresses(rows: Sequence[tuple[str, str, str]], pages: str) -> None:
    """Print where services are, what they ask for, and where their pages are."""
    table = Stacking("service", "address", "credentials")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    console = WholeConsole()
    table.print(console)
    console.print(f"Pages to look at: {pages}   Ctrl-C ends it.")


def run_as_json(judged: JudgedRun) -> dict[str, Any]:
    return {
        "run_id": judged.run.run_id,
        "name": judged.run.name,
        "outcome": judged.outcome,
        "accepted": judged.accepted,
        "metrics": dict(judged.run.metrics),
        "findings": [_finding_as_json(finding) for finding in judged.findings],
        "unread": [{"artifact": e.artifact, "trouble": e.trouble, "detail": e.detail} for e in judged.unread],
    }


def _aside_as_json(each: SetAside) -> dict[str, Any]:
    return {
        "run": each.name,
        "id": each.run_id,
        "why": each.why,
        "since": each.since,
        "tries": each.tries,
        "next_try": each.not_before,
    }


def _finding_as_json(finding: Finding) -> dict[str, Any]:
    return {
        "metric": finding.metric,
        "slice": str(finding.part) if finding.part else None,
        "outcome": finding.outcome,
        "reason": finding.reason,
        "value": finding.value,
        "baseline": finding.baseline,
        "change": finding.change,
        "relative": finding.relative,
        "interval": [finding.change_low, finding.change_high],
        "onset": finding.onset,
        "method": finding.method,
    }


def _incident_as_json(told: OpenIncident) -> dict[str, Any]:
    return {
        "id": told.incident.incident_id,
        "kind": told.incident.kind,
        "state": told.incident.state,
        "metrics": told.incident.metrics,
        "opened_at": told.incident.opened_at,
        "ticket": told.ticket.title if told.ticket else None,
        "url": told.ticket.url if told.ticket else None,
    }


def _doubt_as_json(doubt: Doubt) -> dict[str, Any]:
    return {
        "metric": doubt.finding.metric,
        "series": doubt.last.series.series,
        "reason": doubt.finding.reason,
        "since": doubt.since.run.ended if doubt.since else None,
        "run": doubt.since.run.name if doubt.since else None,
    }


def _pipeline_as_json(pipeline: PipelineOverview) -> dict[str, Any]:
    return {
        "name": pipeline.name,
        "last": run_as_json(pipeline.last) if pipeline.last else None,
        "next_due": pipeline.next_due,
        "seen_at": pipeline.look.seen_at if pipeline.look else None,
        "could_not_look": None
        if pipeline.look is None or pipeline.look.unseen_since is None
        else {"since": pipeline.look.unseen_since, "said": pipeline.look.said},
        "cannot_judge": [doubt.finding.metric for doubt in pipeline.doubts],
        "unjudged": [_doubt_as_json(doubt) for doubt in pipeline.doubts],
        "after": pipeline.after,
        "open_incidents": pipeline.count,
        "set_aside": [_aside_as_json(each) for each in pipeline.set_aside],
        "incidents": [_incident_as_json(told) for told in pipeline.incidents],
    }


def _findings_table(runs: Sequence[JudgedRun]) -> Stacking:
    table = Stacking("run", "metric", "finding", "value", "baseline", "change", "why")
    are_apart = any(sum(finding.part is None for finding in judged.findings) > 1 for judged in runs)
    for judged in runs:
        name = escape(judged.run.name)
        for finding in judged.findings:
            if finding.part is None:
                relative = finding.relative
                table.add_row(
                    name,
                    escape(finding.metric),
                    coloured(finding.outcome),
                    _number(finding.value),
                    _number(finding.baseline),
                    "" if relative is None else _share(relative),
                    _why(finding),
                )
                name = ""
        if are_apart:
            table.add_section()
    return table


def coloured(outcome: Outcome) -> str:
    return f"[{_COLOURS[outcome]}]{outcome.replace('_', ' ')}[/]"


def _number(value: float | None) -> str:
    if value is not None and formats.is_infinite(value):
        return "infinite" if value > 0 else "minus infinity"
    return "" if value is None else f"{value:.4g}"


def _share(share: float) -> str:
    return f"{100 * share:+.2g}%" if formats.is_long(share) else f"{share:+.1%}"


def _why(finding: Finding) -> str:
    """Name the reason of a finding in words."""
    if finding.reason is not Reason.ABSURD:
        return finding.reason.replace("_", " ")
    return "infinite" if finding.value is not None and formats.is_infinite(finding.value) else "beyond all measure"


def when(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone():%Y-%m-%d %H:%M}"


def print_examined(places: Iterable[Examined], *, as_json: bool) -> bool:
    """Print a line a check as it comes, what is wrong with what to do about it; return whether all is well."""
    console = WholeConsole()
    told: list[Examined] = []
    for place in places:
        told.append(place)
        if not as_json:
            console.print(f"[bold]{escape(place.place)}[/]")
            for check in place.checks:
                _print_check(console, check)
    wrong = sum(not check.ok for place in told for check in place.checks)
    if as_json:
        checks = [
            {"place": place.place, "check": each.name, "ok": each.ok, "said": each.said, "remedy": each.remedy}
            for place in told
            for each in place.checks
        ]
        print_json({"ok": wrong == 0, "checks": checks})
    else:
        console.print("All is well." if wrong == 0 else f"To mend: {wrong}.")
    return wrong == 0


def _print_check(console: Console, check: Check) -> None:
    sign = "[green]✓[/]" if check.ok else "[red]✗[/]"
    advice = f"  [yellow]→ {escape(check.remedy)}[/]" if check.remedy else ""
    console.print(f"  {sign} {escape(check.name)}: {escape(check.said)}{advice}", highlight=False)
