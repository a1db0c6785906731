"""Whether this Herald leads those that share its state: renewed beside its work, looked at by all that it writes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from bot.errors import LeaseLostError, StateError
from bot.runtime.clock import wall_clock
from bot.runtime.log import get_logger
from bot.serve.background import Task, start_thread
from bot.store import Database, fences, leadership, serving
from bot.store.leadership import LEASE, LeaderFence
from bot.store.owners import Owner

_RENEWED_EVERY = LEASE.total_seconds() / 6
_MOMENT = 0.5  # seconds
_LONGEST_STATEMENT = LEASE / 3  # then it is asked for anew

log = get_logger(__name__)


@dataclass(slots=True)
class Leading:
    """The lead, as one Herald asks for it and lets its work lean on it."""

    database: Database  # that the work is done on
    owner: Owner
    wall: Callable[[], datetime] = wall_clock
    epoch: int | None = None  # the one in which this Herald leads
    _own: Database | None = None  # the same state by a connection that no work keeps waiting
    _task: Task | None = None
    _ends: threading.Event = field(default_factory=threading.Event)

    def begin(self) -> None:
        """Ask for the lead now, and from now on again and again."""
        self._own = self.database.beside(_LONGEST_STATEMENT)
        self.keep()
        self._task = start_thread("leading", self._go_on)

    def end(self) -> None:
        """Leave the lead to another, where that can be written within a moment; else it ends by itself."""
        self._ends.set()
        if self._task is not None:
            self._task.join(_MOMENT)
        self.epoch = None
        start_thread("resigning", self._resign).join(_MOMENT)

    def _resign(self) -> None:
        own = self._own or self.database
        try:
            with own.begin() as tx:
                leadership.resign(tx, self.owner)
                serving.leave(tx, self.owner.name)
        except StateError as error:
            log.warning("the lead ends by itself only", error=str(error))
        if own is not self.database:
            own.close()

    def keep_if_alone(self) -> None:
        """Ask for the lead where nothing does so beside."""
        if self._task is None:
            self.keep()

    def keep(self) -> None:
        """Take, renew or note the loss of the lead; while the state cannot be asked, what is written says who leads."""
        try:
            with (self._own or self.database).begin() as tx:
                epoch = leadership.take(tx, self.owner, self.wall())
        except StateError as error:
            log.warning("the lead is not renewed", error=str(error))
            return
        if epoch != self.epoch:
            self._note(epoch)

    def lead(self, work: Callable[[], None]) -> None:
        """Do what one Herald does for all, if this one leads; it steps down where it finds that another does."""
        epoch = self.epoch
        if epoch is None:
            return
        try:
            with fences.behind(self.database, LeaderFence(self.owner.name, epoch)):
                work()
        except LeaseLostError as error:
            log.warning("stepped down", why=str(error), always=True)
            if self.epoch == epoch:
                self.epoch = None

    def _go_on(self) -> None:
        while not self._ends.wait(_RENEWED_EVERY):
            try:
                self.keep()
            except Exception:
                log.exception("broke", what="leading")

    def _note(self, epoch: int | None) -> None:
        self.epoch = epoch
        log.info("follows" if epoch is None else "leads", **({} if epoch is None else {"epoch": epoch}), always=True)
