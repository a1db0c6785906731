"""Keeps one job: runs its command, notes how it ended, and ends what is left of it when its time is up.

It is a program of its own, of the standard library alone, and lives beside Herald, whatever becomes of that:
`python -I -S job_keeper.py FOLDER LOCK TIMEOUT GRACE MEMORY CPUS COMMAND...`. LOCK is the number of an open file whose
lock it shares with everything that it starts: while anything of the job lives, the lock is held. Every process that the
job starts stays below it, wherever that moves, so that it knows them all. It counts a job's time by a clock that nobody
can set. It ends the job when a file `stop` appears in the folder, so that one can ask for it from another container.
"""

from __future__ import annotations

import errno
import itertools
import os
import resource
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

_LOOK_SECONDS = 0.5  # between looks whether the job should end
_MOMENT_SECONDS = 0.5  # in which a machine that is going down has told everybody
_FULL_SECONDS = 1.0  # between tries to write on a full disk
_MAY_PASS = {errno.ENOSPC, errno.EDQUOT, errno.EIO}
_BECOME_REAPER = 36  # PR_SET_CHILD_SUBREAPER
_WATCHED = (signal.SIGCHLD, signal.SIGTERM)
_NOT_RUN, _NOT_FOUND = 126, 127  # as shells say


@dataclass(slots=True)
class Keeper:
    """One job's command, and all that it started."""

    folder: Path
    command: int  # its process
    deadline: float  # of the clock that nobody sets
    grace: float  # seconds between asking processes to end and ending them
    code: int | None = None  # how the command ended; what it left may live on
    told_to_end: bool = False

    def keep(self) -> None:
        """Stay until nothing of the job is left."""
        while self._bury():
            if self.told_to_end or (self.folder / "stop").exists():
                self._end_all()
            elif time.monotonic() >= self.deadline:
                if self.code is None:
                    write(self.folder, "timeout", "", tries=1)
                self._end_all()
            else:
                self._wait(min(_LOOK_SECONDS, max(self.deadline - time.monotonic(), 0)), _WATCHED)
        if self._is_asked:
            self._write_end()

    def _bury(self) -> bool:
        """Take note of who died; False where nobody is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == self.command:
                self._note_end(os.waitstatus_to_exitcode(status))
            if pid == 0:
                return True

    def _note_end(self, code: int) -> None:
        """Write down how the command ended; if it was made to, then when all have ended."""
        self.code = code if code >= 0 else 128 - code
        if not self._is_asked:
            if code == -signal.SIGTERM:  # perhaps of a machine that is going down
                self._wait(_MOMENT_SECONDS, (signal.SIGTERM,))
            self._write_end()

    @property
    def _is_asked(self) -> bool:
        return (self.folder / "timeout").exists() or (self.folder / "stop").exists()

    def _write_end(self) -> None:
        if self.code is not None and not self.told_to_end:  # if it was not a job's own end, the job was lost
            write(self.folder, "exit", f"{self.code}\n")

    def _wait(self, seconds: float, signals: Iterable[signal.Signals]) -> None:
        """Sleep until a child ends, or until somebody asks us to end; the job itself may not, with its `kill 0`."""
        told = signal.sigtimedwait(signals, seconds)
        if told is not None and told.si_signo == signal.SIGTERM:
            self.told_to_end |= told.si_pid != self.command and told.si_pid not in descendants()

    def _end_all(self) -> None:
        """Ask everything to end, and end what does not."""
        send_all(signal.SIGTERM)
        patience = time.monotonic() + self.grace
        while self._bury() and time.monotonic() < patience:
            signal.sigtimedwait((signal.SIGCHLD,), min(_LOOK_SECONDS, self.grace))
        while self._bury():  # also what was started meanwhile
            send_all(signal.SIGKILL)
            signal.sigtimedwait((signal.SIGCHLD,), _LOOK_SECONDS)


def send_all(number: signal.Signals) -> None:
    for pid in descendants():
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def descendants() -> set[int]:
    """Return the processes below this one, whatever group or session they have moved to."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError, IndexError):  # no process, or one that has just ended
            pid, stat = int(entry.name), (entry / "stat").read_text(encoding="utf-8", errors="replace")
            children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(pid)
    found: set[int] = set()
    unseen = [os.getpid()]
    while unseen:
        below = children.get(unseen.pop(), [])
        found.update(below)
        unseen += below
    return found


def write(folder: Path, name: str, text: str, *, tries: int | None = None) -> None:
    """Write a note that is there whole or not at all; on a full disk, as soon as there is room."""
    for done in itertools.count(1):
        try:
            descriptor = os.open(folder / f"{name}.part", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as part:
                part.write(text)
            (folder / f"{name}.part").rename(folder / name)
        except OSError as error:
            if done == tries or error.errno not in _MAY_PASS or not folder.is_dir():  # somebody took it away
                return
            if signal.sigtimedwait((signal.SIGTERM,), _FULL_SECONDS) is not None:
                return
        else:
            return


def start(folder: Path, lock: int, memory: str, cpus: str, command: list[str]) -> int:
    """Start the command with its limits; its output goes to the folder's log. Return its process."""
    log = os.open(folder / "log", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    os.fchmod(log, 0o600)
    pid = os.fork()
    if pid == 0:
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.set_inheritable(lock, True)
        become(command, memory, cpus)
    os.close(log)
    return pid


def become(command: list[str], memory: str, cpus: str) -> NoReturn:
    """Go on as the command, with limits: bytes a process (or -), and processors (or -)."""
    code = _NOT_RUN
    try:
        if cpus != "-":
            os.sched_setaffinity(0, [int(cpu) for cpu in cpus.split(",")])
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and so would what it starts
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if memory != "-":
            resource.setrlimit(resource.RLIMIT_DATA, (int(memory), int(memory)))
        os.execvp(command[0], command)  # noqa: S606
    except FileNotFoundError:
        code = _NOT_FOUND
        os.write(2, f"{command[0]}: not found\n".encode())
    except Exception as error:  # noqa: BLE001  whatever it is, the job's log is where it is looked for
        os.write(2, f"{command[0]}: {error}\n".encode())
    finally:
        os._exit(code)


def become_reaper() -> None:
    """Let what loses its parent become our child instead of the machine's."""
    with suppress(Exception):  # Linux alone can; elsewhere what moves away is not known
        import ctypes

        ctypes.CDLL(None).prctl(_BECOME_REAPER, 1, 0, 0, 0)


def main() -> None:
    folder, lock, timeout, grace = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    memory, cpus, *command = sys.argv[5:]
    deadline = time.monotonic() + timeout
    try:
        (folder / "claimed").mkdir(mode=0o700)  # only the first to make it runs the command
    except FileExistsError:
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    become_reaper()
    write(folder, "pid", f"{os.getpid()}\n")
    Keeper(folder, start(folder, lock, memory, cpus, command), deadline, grace).keep()


if __name__ == "__main__":
    main()
