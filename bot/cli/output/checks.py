"""What `herald doctor` prints: what was looked at, how it is, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.markup import escape

from bot.cli.output.terminal import print_json, progress
from bot.domain.checks import Check
from bot.runtime.log import journal
from bot.services.checks import Examined
from bot.text.tables import WholeConsole


def print_examined(places: Iterable[Examined], *, as_json: bool) -> bool:
    """Print a line a check as it comes, what is wrong with what to do about it; return whether all is well."""
    console = WholeConsole()
    told: list[Examined] = []
    for place in (each.masked(journal.mask) for each in _looked_at(places)):
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
        notes = sum(check.is_note for place in told for check in place.checks)
        noted = "" if not notes else "1 note above." if notes == 1 else f"{notes} notes above."
        well = "All is well." if not notes else f"Nothing is broken; {noted}"
        console.print(well if wrong == 0 else f"To mend: {wrong}.{' ' if notes else ''}{noted}")
    return wrong == 0


def _looked_at(places: Iterable[Examined]) -> Iterator[Examined]:
    """Yield what is found at each place; meanwhile a person sees that something is under way: servers may be slow."""
    looking = iter(places)
    while True:
        with progress("looking"):
            place = next(looking, None)
        if place is None:
            return
        yield place


def _print_check(console: Console, check: Check) -> None:
    sign = "[yellow]![/]" if check.is_note else "[green]✓[/]" if check.ok else "[red]✗[/]"
    advice = f"  [yellow]→ {escape(check.remedy)}[/]" if check.remedy else ""
    console.print(f"  {sign} {escape(check.name)}: {escape(check.said)}{advice}", highlight=False)
