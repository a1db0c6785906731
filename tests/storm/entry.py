"""`herald` with something changed: a clock that can be set, or something taken out that keeps deliveries single."""

from __future__ import annotations

import select
import time


def main(mutation: str | None, *, sets_clock: bool) -> None:
    if sets_clock:
        time.sleep = _sleep
    if mutation is not None:
        from tests.chaos.worker import MUTATIONS

        MUTATIONS[mutation]()
    from bot.cli.main import main as herald

    herald()


def _sleep(seconds: float) -> None:
    """Sleep; libfaketime 0.9.10 refuses the call that time.sleep makes, where it leaves the monotonic clock alone."""
    select.select((), (), (), seconds)
