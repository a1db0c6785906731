"""What `herald serve` imports before it works, on a thread of its own: rounds record meanwhile what is due."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import sqlalchemy.orm  # noqa: F401  MLflow's stores import it; a query asked in the midst of that finds half of it

from bot.serve.background import Task, start_thread


@dataclass(slots=True)
class Loading:
    """Imports that take seconds, or half a minute where the disk has not been read yet."""

    is_under_way: bool = False
    _failures: list[BaseException] = field(default_factory=list)
    _task: Task | None = None

    def begin(self, load: Callable[[], None], then: Callable[[], None]) -> None:
        """Begin to import, and call *then* once that is over."""

        def work() -> None:
            try:
                load()
            except BaseException as error:  # noqa: BLE001  the loop raises it: without these nothing works
                self._failures.append(error)
            self.is_under_way = False
            then()

        self.is_under_way = True
        self._task = start_thread("loading", work)

    def raise_failure(self) -> None:
        """Raise what has kept something from being imported, if anything has."""
        if self._failures:
            raise self._failures[0]
