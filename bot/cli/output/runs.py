"""Runs that were judged, with their findings, and what was left aside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from bot.domain.judge import Finding, Reason
from bot.domain.judged_run import JudgedRun
from bot.reports.unread import say_unread
from bot.store.quarantine import SetAside
from bot.text import formats
from bot.text.tables import Stacking

if TYPE_CHECKING:  # what is printed is made elsewhere, by what is slow to load
    from bot.judging.unjudged_metrics import UnjudgedMetric

from bot.cli.output.terminal import coloured, when

_ASIDE_SHOWN = 5


def findings_table(runs: Sequence[JudgedRun]) -> Stacking:
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


def _number(value: float | None) -> str:
    if value is not None and formats.is_infinite(value):
        return "infinite" if value > 0 else "minus infinity"
    return "" if value is None else f"{value:.4g}"


def _share(share: float) -> str:
    return f"{100 * share:+.2g}%" if formats.is_long(share) else f"{share:+.1%}"


def _why(finding: Finding) -> str:
    """Name the reason of a finding in words."""
    if finding.reason is not Reason.ABSURD:
        limit = f" ({_number(finding.limit)})" if finding.limit is not None else ""
        return f"{finding.reason.replace('_', ' ')}{limit}"
    return "infinite" if finding.value is not None and formats.is_infinite(finding.value) else "beyond all measure"


def print_unread(console: Console, judged: Iterable[JudgedRun]) -> None:
    """Say of runs what they were judged without."""
    for run in judged:
        for each in run.unread:
            name = escape(f"{run.series.pipeline}: {run.run.name}")
            console.print(f"[yellow]judged without:[/] {name}: {escape(say_unread(each))}")


def print_set_aside(console: Console, set_aside: Sequence[SetAside]) -> None:
    """Say how many runs are set aside, and of the latest of them why."""
    for each in set_aside[-_ASIDE_SHOWN:]:
        again = f"again after {when(each.not_before)}" if each.not_before else "again by another version of Herald"
        told = escape(f"{each.pipeline}: {each.name}: {each.why}")
        console.print(f"[red]set aside:[/] {told} (tried {each.tries} times; {again})")
    if len(set_aside) > _ASIDE_SHOWN:
        console.print(f"[red]set aside:[/] {escape(set_aside[0].pipeline)}: {len(set_aside)} runs in all")


def print_unjudged(console: Console, name: str, metrics: Iterable[UnjudgedMetric]) -> None:
    """Say of a pipeline which metrics cannot be judged, why, and since which run."""
    for each in metrics:
        series = f" ({each.last.series.series})" if each.last.series.series else ""
        told = f"[yellow]cannot judge:[/] {escape(f'{name}{series}: {each.finding.metric}')}"
        if each.stretch is None:
            console.print(f"{told}: {each}")
            continue
        first = each.stretch.first.run
        since = f"since run {escape(first.name)}, {when(first.ended)}"
        if each.stretch.is_alike:
            console.print(f"{told} {each}, {since}")
        else:
            console.print(f"{told} {each} in run {escape(each.last.run.name)}, and cannot be judged {since}")


def run_as_json(judged: JudgedRun) -> dict[str, Any]:
    return {
        "run_id": judged.run.run_id,
        "name": judged.run.name,
        "outcome": judged.outcome,
        "accepted": judged.accepted,
        "metrics": dict(judged.run.metrics),
        "findings": [finding_as_json(finding) for finding in judged.findings],
        "unread": [{"artifact": e.artifact, "trouble": e.trouble, "detail": e.detail} for e in judged.unread],
    }


def finding_as_json(finding: Finding) -> dict[str, Any]:
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
        "limit": finding.limit,
    }


def set_aside_as_json(each: SetAside) -> dict[str, Any]:
    return {
        "run": each.name,
        "id": each.run_id,
        "why": each.why,
        "since": each.since,
        "tries": each.tries,
        "next_try": each.not_before,
    }


def unjudged_as_json(each: UnjudgedMetric) -> dict[str, Any]:
    return {
        "metric": each.finding.metric,
        "series": each.last.series.series,
        "reason": each.finding.reason,
        "since": each.since.run.ended if each.since else None,
        "run": each.since.run.name if each.since else None,
    }
