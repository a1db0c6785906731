"""Imports what is large and seldom needed when it first is, on a thread named as the one that loads all else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

_ONE_AT_A_TIME = threading.Lock()


@dataclass(slots=True)
class LateImport:
    """What *load* imports: a thread that met another in the middle of it would find half of a module."""

    load: Callable[[], None]
    is_there: bool = False

    def ensure(self) -> None:
        """Import it unless it has been, and wait for that; raises what keeps it from being imported, each time anew."""
        if self.is_there:
            return
        with _ONE_AT_A_TIME:
            failures: list[BaseException] = []
            if not self.is_there:
                thread = threading.Thread(target=self._import, args=(failures,), name="loading", daemon=True)
                thread.start()
                thread.join()
            if failures:
                raise failures[0]

    def _import(self, failures: list[BaseException]) -> None:
        try:
            self.load()
        except BaseException as error:  # noqa: BLE001 - whoever waits raises it
            failures.append(error)
        else:
            self.is_there = True
