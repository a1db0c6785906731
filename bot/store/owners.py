"""Who holds leases: this process by name, and what to do about holders that died."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from uuid import uuid4

import psutil
from sqlalchemy import Connection, delete, select, update

from bot.store.tables import leases, outbox

_START_TOLERANCE = 1.0  # seconds


def this_process() -> str:
    """Name this process so that another on the same machine can tell whether it still lives."""
    started = psutil.Process().create_time()
    return f"{socket.gethostname()[:30]}/{os.getpid()}/{started:.0f}/{uuid4().hex[:6]}"


def is_alive(owner: str) -> bool:
    """Say whether the holder may still be at work; one on another machine may."""
    host, pid, started, _ = owner.split("/")
    if host != socket.gethostname()[:30]:
        return True
    try:
        process = psutil.Process(int(pid))
        same = abs(process.create_time() - float(started)) <= _START_TOLERANCE
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)  # one that nobody buried does no work
    except psutil.NoSuchProcess:
        return False


def release_dead(tx: Connection, alive: Callable[[str], bool]) -> None:
    """End the leases of holders that died, so that nobody waits for them to run out.

    What they had marked as sent stays doubtful.
    """
    holders = {
        *tx.scalars(select(outbox.c.owner).where(outbox.c.owner.is_not(None))),
        *tx.scalars(select(leases.c.owner)),
    }
    for owner in holders:
        if not alive(owner):
            tx.execute(update(outbox).where(outbox.c.owner == owner).values(owner=None, leased_until=None))
            tx.execute(delete(leases).where(leases.c.owner == owner))
