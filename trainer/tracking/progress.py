"""Shows how far a job is: a bar at a terminal, a line now and then elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic

LINE_EVERY = 2.0  # s

Advance = Callable[[int, str], None]


@contextmanager
def show_progress(title: str, total: int, unit: str) -> Iterator[Advance]:
    """Give a function to call with how many were done and a note, such as the loss."""
    if sys.stderr.isatty():
        with _bar(title, total, unit) as advance:
            yield advance
    else:
        yield show_lines(title, total, unit)


@contextmanager
def _bar(title: str, total: int, unit: str) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    pace = Speed()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total, speed="", note="")

        def advance(count: int, note: str) -> None:
            pace.add(count)
            bar.update(task, advance=count, speed=f"{pace.rate():.0f} {unit}/s", note=note)

        yield advance


def show_lines(title: str, total: int, unit: str) -> Advance:
    """Give such a function that writes a line now and then, also beside a bar."""
    last = monotonic()
    pace = Speed()

    def advance(count: int, note: str) -> None:
        nonlocal last
        pace.add(count)
        done, now = pace.done, monotonic()
        if done < total and now - last < LINE_EVERY:
            return
        last = now
        rate = pace.rate()
        left = (total - done) / rate if rate else 0.0
        told = f"{rate:.0f} {unit}/s, {left:.0f} s left, " if rate else ""
        say(f"{title}: {done}/{total} {unit}, {told}{note}")

    return advance


def say(line: str) -> None:
    """Tell the person at the terminal, or the log; results go elsewhere.

    Who cannot be told, as where the log's disk is full or its reader gone, is no reason to lose what is under way.
    """
    with suppress(OSError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


class Speed:
    """Counts from the first step's end: what was prepared before it is no part of the speed."""

    def __init__(self) -> None:
        self.done = self.first = 0
        self.began = 0.0

    def add(self, count: int) -> None:
        if not self.done:
            self.first, self.began = count, monotonic()
        self.done += count

    def rate(self) -> float:
        """Give how many a second, nought after a single step."""
        return (self.done - self.first) / max(monotonic() - self.began, 1e-9)
