"""What `herald triage` prints: rules, a round over what people answered, and a reply."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from bot.cli.output.terminal import print_json, when
from bot.text.tables import Stacking, WholeConsole

if TYPE_CHECKING:  # what is printed is made elsewhere, by what is slow to load
    from bot.domain.views import AnswerView
    from bot.reports.quiet import KnownRule, Quiet
    from bot.store.listenings import Listening
    from bot.triage.round import RoundReport

_STATES = {True: "holds", False: "ended"}


def print_rules(quiet: Quiet, *, as_json: bool) -> None:
    """Print a row a rule, and where answers could not be read."""
    if as_json:
        services = [_listening_as_json(each) for each in quiet.services]
        print_json({"rules": [_rule_as_json(each) for each in quiet.rules], "services": services})
        return
    console = WholeConsole()
    if quiet.rules:
        table = Stacking("#", "what", "pipeline", "of", "who said so", "since", "until", "why", "ticket")
        for each in quiet.rules:
            rule = each.rule
            table.add_row(
                str(rule.number),
                escape(_kind(each)),
                escape(rule.scope.series.pipeline),
                escape(", ".join(rule.scope.keys)),
                escape(str(rule.author)),
                when(rule.made_at),
                _until(each),
                escape(rule.reason),
                escape(each.ticket.title if each.ticket else ""),
            )
        table.print(console)
    else:
        console.print("Nothing is quiet: Herald tells everything that it finds.")
    print_unheard(console, quiet.services)


def print_unheard(console: Console, services: Iterable[Listening]) -> None:
    """Say where people's answers could not be read: that is not the same as that nobody answered."""
    for heard in services:
        if heard.failing_since is not None:
            since = when(heard.failing_since)
            console.print(f"[red]answers not read:[/] {escape(heard.service)} since {since}: {escape(heard.said)}")


def _kind(known: KnownRule) -> str:
    kind = f"{known.rule.kind} of {known.rule.repeats}" if known.rule.repeats else known.rule.kind.value
    return kind if known.holds else f"{kind}, ended"


def _until(known: KnownRule) -> str:
    rule = known.rule
    if rule.undone_at is not None:
        return escape(f"taken back {when(rule.undone_at)} by {rule.undone_by or 'somebody'}")
    return when(rule.until) or "it is taken back"


def _rule_as_json(known: KnownRule) -> dict[str, Any]:
    rule = known.rule
    return {
        "number": rule.number,
        "kind": rule.kind.value,
        "state": _STATES[known.holds],
        "pipeline": rule.scope.series.pipeline,
        "series": rule.scope.series.series,
        "of": rule.scope.keys,
        "incident": rule.scope.incident_id,
        "ticket": known.ticket.title if known.ticket else None,
        "url": known.ticket.url if known.ticket else None,
        "by": str(rule.author),
        "account": rule.author.account,
        "said": rule.said_at.medium.value,
        "said_at": rule.said_at.url or None,
        "reason": rule.reason,
        "made_at": _to_the_second(rule.made_at),
        "until": _to_the_second(rule.until),
        "joins": rule.joins or None,
        "repeats": rule.repeats or None,
        "undone_at": _to_the_second(rule.undone_at),
        "undone_by": str(rule.undone_by) if rule.undone_by else None,
    }


def _to_the_second(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(microsecond=0)


def _listening_as_json(heard: Listening) -> dict[str, Any]:
    return {
        "service": heard.service,
        "read_until": _to_the_second(heard.heard_until),
        "failing_since": _to_the_second(heard.failing_since),
        "said": heard.said or None,
        "not_read": sorted(heard.unread),
    }


def print_round(report: RoundReport, *, as_json: bool) -> None:
    """Print which services were read, and which could not be."""
    if as_json:
        print_json(asdict(report))
        return
    console = WholeConsole()
    if not (report.read or report.busy or report.troubles):
        console.print("No service is listened to: configure a tracker, or a chat with replies = true.")
    for service in report.read:
        console.print(f"{escape(service)}: read")
    for service in report.busy:
        console.print(f"{escape(service)}: another Herald reads it just now")
    for service, words in report.troubles.items():
        console.print(f"[red]not read:[/] {escape(service)}: {escape(words)}")
    if report.lapsed:
        console.print(f"lapsed: {', '.join(map(str, report.lapsed))}")


def print_answer(text: str, view: AnswerView, *, as_json: bool) -> None:
    """Print what was understood, and how it is taken back."""
    if as_json:
        print_json({"text": text, "parts": [asdict(part) for part in view.parts]})
    else:
        print(text)
