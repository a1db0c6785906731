"""Shows how far a job is: a bar at a terminal, a line now and then elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
        yield _lines(title, total, unit)


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
    began = monotonic()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total, speed="", note="")
        done = 0

        def advance(count: int, note: str) -> None:
            nonlocal done
            done += count
            bar.update(task, advance=count, speed=f"{_rate(done, began):.0f} {unit}/s", note=note)

        yield advance


def _lines(title: str, total: int, unit: str) -> Advance:
    began = last = monotonic()
    done = 0

    def advance(count: int, note: str) -> None:
        nonlocal done, last
        done += count
        now = monotonic()
        if done < total and now - last < LINE_EVERY:
            return
        last = now
        rate = _rate(done, began)
        left = (total - done) / rate
        say(f"{title}: {done}/{total} {unit}, {rate:.0f} {unit}/s, {left:.0f} s left, {note}")

    return advance


def say(line: str) -> None:
    """Tell the person at the terminal, or the log; results go elsewhere."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _rate(done: int, began: float) -> float:
    return done / max(monotonic() - began, 1e-9)
