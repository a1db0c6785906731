"""What all of them print alike: progress, JSON, outcomes in their colours, moments."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from bot.domain.judge import Outcome

_COLOURS = {
    Outcome.IMPROVED: "green",
    Outcome.OK: "green",
    Outcome.NO_BASELINE: "blue",
    Outcome.INSUFFICIENT_DATA: "blue",
    Outcome.SUSPICIOUS: "yellow",
    Outcome.OUTSIDE: "yellow",
    Outcome.BREACHED: "red",
    Outcome.REGRESSED: "red",
    Outcome.INVALID: "red",
    Outcome.STALE: "yellow",
    Outcome.FAILED: "red",
    Outcome.BLIND: "red",
    Outcome.AWAY: "red",
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


def as_text(value: Any) -> str:
    return json.dumps(_sayable(value), ensure_ascii=False, indent=2, default=str, allow_nan=False)


def _sayable(value: Any) -> Any:
    """Return what JSON can say: null where a number is none."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case datetime():
            return value.isoformat()
        case Mapping():
            return {key: _sayable(each) for key, each in value.items()}
        case list() | tuple():
            return [_sayable(each) for each in value]
    return value


def coloured(outcome: Outcome) -> str:
    return f"[{_COLOURS[outcome]}]{outcome.replace('_', ' ')}[/]"


def when(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone():%Y-%m-%d %H:%M}"
