"""Data that a process of their own reads while this one loads torch: the same rows, told in the same sentences."""

import ctypes
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import TextIOBase
from multiprocessing.connection import Connection, Pipe
from shutil import rmtree
from typing import Generic, NoReturn, TypeVar

from trainer.environment import usable_cores
from trainer.errors import InputError
from trainer.stopping import STOPPING

Settings = TypeVar("Settings")
Data = TypeVar("Data")

_DIE_WITH_PARENT = 1  # Linux's PR_SET_PDEATHSIG


@dataclass(frozen=True, slots=True)
class Said:
    """What the other process has to say while it reads."""

    text: str


@dataclass(frozen=True, slots=True)
class RefusedReading:
    """Why the other process does not read it."""

    error: InputError


@dataclass(frozen=True, slots=True)
class Ahead(Generic[Settings, Data]):
    """A reading that another process may be at."""

    settings: Settings
    read: Callable[[Settings], Data]
    told: Connection | None = None

    def take(self, settings: Settings) -> Data:
        """Give what was read, and say what was said of it; raise InputError.

        What no other process reads, or reads in another way, or read when it ended, is read here.
        """
        if self.told is None or settings != self.settings:
            return self.read(settings)
        while True:
            try:
                found = self.told.recv()
            except (EOFError, OSError):
                return self.read(settings)
            match found:
                case Said():
                    with suppress(OSError):  # as `say` does
                        sys.stderr.write(found.text)
                        sys.stderr.flush()
                case RefusedReading():
                    raise found.error
                case _:
                    return found  # type: ignore[no-any-return]


@contextmanager
def reading_ahead(
    settings: Settings, read: Callable[[Settings], Data], threads: int | None
) -> Iterator[Ahead[Settings, Data]]:
    """Let a copy of this process read while the block runs, where a job of so many *threads* may have one."""
    if not can_read_ahead(threads):
        yield Ahead(settings, read)
        return
    parent = os.getpid()
    taking, telling = Pipe(duplex=False)
    held = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)  # until each of the two knows which it is
    scratch = _make_scratch()
    child = _copied()
    if child == 0:
        taking.close()
        tempfile.tempdir = scratch
        _tell(settings, read, telling, parent)
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        telling.close()
        with taking:
            yield Ahead(settings, read, taking)
    finally:
        if child is not None:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        if scratch is not None:
            rmtree(scratch, ignore_errors=True)  # what it was at when it was killed


def can_read_ahead(threads: int | None) -> bool:
    """Say whether another core is to be had, and a copy of this process works: it has no thread but the main one.

    Where SIGCHLD is not as it usually is (who started us may have it ignored), ours is not alone to wait for the copy:
    its number may be another's by the time that it is to be killed.
    """
    copies = sys.platform == "linux" and "torch" not in sys.modules and threading.active_count() == 1
    waits_alone = signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL
    return copies and waits_alone and min(threads or usable_cores(), usable_cores()) > 1


def _make_scratch() -> str | None:
    """Give the copy a folder for what it writes by the way; None where there is no place: who wants one is told."""
    try:
        return tempfile.mkdtemp(prefix="trainer-")
    except OSError:
        return None


def _copied() -> int | None:
    """Copy this process as os.fork does; None where there may be no more of them: then nobody tells anything."""
    try:
        return os.fork()
    except OSError:
        return None


def _tell(settings: Settings, read: Callable[[Settings], Data], telling: Connection, parent: int) -> NoReturn:
    """Read, tell the parent, and end without doing what is left to be done in the parent."""
    try:
        for number in STOPPING:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
        if os.getppid() == parent:  # else it died before that was asked
            sys.stderr = Telling(telling, at_terminal=sys.stderr.isatty())
            try:
                found: object = read(settings)
            except InputError as error:
                found = RefusedReading(error)
            telling.send(found)
    finally:  # whatever else goes wrong goes wrong again in the parent, which reads then
        os._exit(0)


class Telling(TextIOBase):
    """Standard error of the other process: what is written there is told the parent."""

    def __init__(self, telling: Connection, *, at_terminal: bool) -> None:
        self._telling, self._at_terminal = telling, at_terminal

    def write(self, text: str) -> int:
        self._telling.send(Said(text))
        return len(text)

    def isatty(self) -> bool:
        """Say what it is in the parent: progress is a bar there."""
        return self._at_terminal
