"""The processes of a job as this machine shows them: those that hold its lock, and what is theirs."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

_FIRE = "HERALD_FIRE_ID"


def is_locked(lock: Path) -> bool:
    """Say whether anything of the job lives, in whatever container; looking does not take the lock from anybody."""
    try:
        descriptor = os.open(lock, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def holds(pid: int | None, lock: Path) -> bool:
    """Say whether a process has the job's lock open."""
    with suppress(OSError):
        wanted = lock.stat()
        for entry in Path("/proc", str(pid), "fd").iterdir():
            with suppress(OSError):
                if os.path.samestat(entry.stat(), wanted):
                    return True
    return False


def holders(lock: Path) -> list[psutil.Process]:
    """Return the processes that have the job's lock open, of those that can be seen from here."""
    return [process for process in psutil.process_iter() if holds(process.pid, lock)]


def with_theirs(found: Sequence[psutil.Process], group: int | None) -> list[psutil.Process]:
    """Return processes of a job, what they started, and what shares the group that one of them is in."""
    everything = {process.pid: process for process in found}
    for process in found:
        with suppress(psutil.Error):
            everything.update({child.pid: child for child in process.children(recursive=True)})
    if any(_group_of(pid) == group for pid in everything):
        everything.update({other.pid: other for other in psutil.process_iter() if _group_of(other.pid) == group})
    return list(everything.values())


def of_old_job(leader: int | None, fire_id: str) -> list[psutil.Process]:
    """Return the processes of a job that a Herald without locks started: of its session, and with its fire's name."""
    return [] if leader is None else list(_of_session(leader, fire_id))


def _of_session(leader: int, fire_id: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            is_theirs = os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE
            if is_theirs and process.environ().get(_FIRE) == fire_id:
                yield process


def age(process: psutil.Process) -> float:
    """Return for how many seconds a process has lived, by the kernel's own clock, which nobody sets."""
    try:
        uptime = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
        stat = Path("/proc", str(process.pid), "stat").read_text(encoding="utf-8", errors="replace")
        ticks = int(stat.rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0.0
    return uptime - ticks / os.sysconf("SC_CLK_TCK")


def end(processes: Sequence[psutil.Process], grace: float) -> None:
    """Ask processes to end, and end those that do not."""
    _send(processes, signal.SIGTERM)
    _, alive = psutil.wait_procs(processes, timeout=grace)
    _send(alive, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=grace)


def _send(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(number)


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None
