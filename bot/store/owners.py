"""Who holds leases: each Herald by a name that no other has, and by the lock that shows whether it lives."""

from __future__ import annotations

import fcntl
import os
import socket
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from uuid import uuid4
from weakref import finalize

from sqlalchemy import ColumnElement, Connection, delete, func, select, update

from bot.runtime.private_files import create_file, make_folder
from bot.store.tables import leadership, leases, outbox, serving

_LONGEST = timedelta(days=1)  # no lease is given for so long: a clock was wrong

TakeOver = Callable[[str, datetime, datetime], bool]  # whether a lease is free: its holder, its end, and now


class Life(Enum):
    LIVES = "lives"
    GONE = "gone"
    UNKNOWN = "unknown"  # on another machine, or of a version that kept no lock


class Lock:
    """The lock on an open file, for as long as somebody refers to it."""

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDWR)
        self.let_go = finalize(self, os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def ran_out(_holder: str, until: datetime, now: datetime) -> bool:
    """Say whether a lease is over by the clock alone; one that ends absurdly late was never right."""
    return not now < until <= now + _LONGEST


def database_time(tx: Connection) -> datetime:
    """Return the time by the one clock that all who share the state can see."""
    if tx.dialect.name != "postgresql":  # a file: whoever opens it is on this machine
        return datetime.now(UTC)
    moment: datetime | None = tx.scalar(select(func.clock_timestamp()))
    assert moment is not None
    return moment.astimezone(UTC)


def agreed_time(tx: Connection, own: datetime, clock: Callable[[Connection], datetime] = database_time) -> datetime:
    """Return the time by which all who share the state decide what is due: the server's, else this process's *own*."""
    return clock(tx) if tx.dialect.name == "postgresql" else own


@dataclass(slots=True)
class Holdings:
    """Which leases the threads of one Herald hold together: by the lease's name, by what it is known, and how many."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    of: dict[str, tuple[str, int]] = field(default_factory=dict)

    def known_as(self, name: str) -> str | None:
        held = self.of.get(name)
        return None if held is None else held[0]

    def join(self, name: str, holding: str) -> None:
        self.of[name] = holding, self.of.get(name, ("", 0))[1] + 1

    def leave(self, name: str) -> bool:
        """Say whether nobody holds it any more."""
        holding, count = self.of.pop(name)
        if count > 1:
            self.of[name] = holding, count - 1
        return count == 1


@dataclass(frozen=True, slots=True)
class Owner:
    """One Herald among those that share a state.

    While it lives, it holds the lock on a file of its own, and the kernel lets go of the lock when it dies, however it
    does. Others that see the file, from another container too, believe the lock alone: no clock, no process number. For
    the others its leases end by the clock of the database.
    """

    name: str
    folder: Path | None = None  # with one file a Herald
    lock: Lock | None = None
    clock: Callable[[Connection], datetime] = database_time
    holdings: Holdings = field(default_factory=Holdings)

    @classmethod
    def begin(cls, folder: Path | None, clock: Callable[[Connection], datetime] = database_time) -> Owner:
        """Take a name and its lock; where no lock can be kept, leases of this Herald end by the clock."""
        token = uuid4().hex[:24]
        name = f"{socket.gethostname()[:24]}/{os.getpid()}/{token}"
        lock = None if folder is None else _lock(folder, token, name)
        return cls(name, folder, lock, clock)

    def may_take_over(self, holder: str, until: datetime, now: datetime) -> bool:
        match self.life_of(holder):
            case Life.LIVES:
                return False
            case Life.GONE:
                return True
            case Life.UNKNOWN:
                return ran_out(holder, until, now)

    def life_of(self, holder: str) -> Life:
        if holder == self.name:
            return Life.LIVES
        return Life.UNKNOWN if self.folder is None else _life(self.folder / _token(holder))

    def bury_the_dead(self, tx: Connection, settled_by: datetime) -> list[Path]:
        """End the leases of Heralds that died, so that nobody waits for them; return what these left lying.

        What they had marked as sent stays doubtful, and waits until *settled_by*, as `free` says.
        """
        gone = [path for path in _files(self.folder) if _life(path) is Life.GONE]
        tokens = {path.name for path in gone}
        for holder in [holder for holder in _holders(tx) if _token(holder) in tokens]:
            free(tx, outbox.c.owner == holder, settled_by=settled_by)
            tx.execute(delete(leases).where(leases.c.owner == holder))
            tx.execute(update(leadership).where(leadership.c.holder == holder).values(until=leadership.c.since))
            tx.execute(delete(serving).where(serving.c.herald == holder))
        return gone

    def resign(self) -> None:
        """Let go of the lock; what is still held is free for others."""
        if self.lock is not None:
            self.lock.let_go()


def free(tx: Connection, *held: ColumnElement[bool], settled_by: datetime) -> None:
    """End the leases of effects whose holder is gone; what it had marked as sent is not touched before *settled_by*.

    The mark is older than the request: between them the holder may have read for as long as a service took to answer,
    and the request may have gone out at any moment until its end was noticed. Until it has surely arrived, or never
    will, looking for what it made proves nothing.
    """
    in_doubt = outbox.c.sent_at.is_not(None), outbox.c.not_before < settled_by
    tx.execute(update(outbox).where(*held, *in_doubt).values(not_before=settled_by))
    tx.execute(update(outbox).where(*held).values(owner=None, leased_until=None))


def remove(files: Collection[Path]) -> None:
    for path in files:
        path.unlink(missing_ok=True)


def _holders(tx: Connection) -> set[str]:
    held = select(outbox.c.owner).where(outbox.c.owner.is_not(None))
    columns = (leases.c.owner, leadership.c.holder, serving.c.herald)
    return {*tx.scalars(held), *(holder for column in columns for holder in tx.scalars(select(column)))}


def _token(holder: str) -> str:
    return holder.rpartition("/")[2]


def _files(folder: Path | None) -> Iterator[Path]:
    if folder is not None and folder.is_dir():
        yield from (path for path in folder.iterdir() if not path.suffix)


def _lock(folder: Path, token: str, name: str) -> Lock | None:
    """Make a file and lock it before anybody sees it by its name."""
    part = folder / f"{token}.part"
    with suppress(OSError):
        make_folder(folder)
        create_file(part)
        part.write_text(f"{name}\n", encoding="utf-8")  # for people
        lock = Lock(part)
        part.rename(folder / token)
        return lock
    return None


def _life(path: Path) -> Life:
    """Look whether the file's lock is held; looking disturbs neither its holder nor others who look."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return Life.UNKNOWN
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return Life.LIVES
    except OSError:  # a file system without locks
        return Life.UNKNOWN
    else:
        return Life.GONE
    finally:
        os.close(descriptor)
