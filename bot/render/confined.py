"""Renders a team's templates in a process of its own, which ends where one takes too long or too much memory.

Ours are trusted and rendered where we are. A team's cannot reach anything but what it is handed, but Jinja bounds
neither its time nor its memory: `[0] * 1000000000`, loops in loops that put nothing out, numbers of a million digits.
"""

from __future__ import annotations

import atexit
import os
import pickle
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from bot.errors import TemplateError
from bot.render.limits import Room
from bot.render.lookup import Lookup

TEXT, CUT, ERROR, MEMORY, READY = b"T", b"C", b"E", b"M", b"R"  # what an answer is
HEAD = 9  # bytes before the text of an answer: what it is, and its length
_START_SECONDS = 60.0  # a busy machine takes long to import Jinja
_LONGEST_ANSWER = 16_000_000  # bytes; a text has 2,000,000 characters at most
_INHERITED = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")  # what Python itself may need, and no secret among it
_FEW_THREADS = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # each would take memory for itself
_RESTS_SECONDS = 600.0


class BudgetError(TemplateError):
    """A template of a team's took more time or memory than it may."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What rendering one template may take."""

    memory_bytes: int = 256 * 1024**2  # beyond what the process has when it begins
    cpu_seconds: float = 5.0
    wall_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Request:
    """One template to render, or with *word* one string to read of it."""

    key: str  # of whoever asks: templates are read once for each
    dialect: str
    lookup: Lookup
    name: str
    room: Room
    values: Mapping[str, Any]
    cpu_seconds: float
    word: str | None = None


@dataclass(slots=True)
class Worker:
    """A process that renders, started when it is needed and again after it ended; threads take turns."""

    budget: Budget = Budget()
    _process: subprocess.Popen[bytes] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, request: Request, place: str) -> tuple[bytes, str]:
        """Return the answer and what it is; raises BudgetError, which names *place*, where there is none in time."""
        content = pickle.dumps(request)
        with self._lock:
            process, is_fresh = self._started(place)
            try:
                return self._exchange(process, content, place)
            except BrokenPipeError:  # it had ended, since nobody had asked for long
                self._end()
                if is_fresh:
                    raise BudgetError(f"{place}: the process that renders it ended at once") from None
            process, _ = self._started(place)
            return self._exchange(process, content, place)

    def close(self) -> None:
        with self._lock:
            self._end()

    def _exchange(self, process: subprocess.Popen[bytes], content: bytes, place: str) -> tuple[bytes, str]:
        assert process.stdin is not None
        process.stdin.write(len(content).to_bytes(8, "big") + content)
        process.stdin.flush()
        return self._receive(process, self.budget.wall_seconds, place)

    def _started(self, place: str) -> tuple[subprocess.Popen[bytes], bool]:
        if self._process is not None and self._process.poll() is None:
            return self._process, False
        self._end()
        where = [str(Path(part).absolute()) for part in sys.path]  # from another folder they would mean others
        code = (
            f"import sys; sys.path[:] = {where!r}; "
            f"from bot.render.child import serve; serve({self.budget.memory_bytes})"
        )
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-X", "utf8", "-c", code],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**{name: os.environ[name] for name in _INHERITED if name in os.environ}, **_FEW_THREADS},
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise BudgetError(f"{place}: the process that renders it cannot be started: {error.strerror}") from None
        self._receive(self._process, _START_SECONDS, place)
        return self._process, True

    def _receive(self, process: subprocess.Popen[bytes], seconds: float, place: str) -> tuple[bytes, str]:
        assert process.stdout is not None
        try:
            kind, content = _read_answer(process.stdout, time.monotonic() + seconds)
        except TimeoutError:
            why = f"it was not rendered within {seconds:g} s"
        except OverflowError as error:
            why = f"it puts out {error} bytes, and may {_LONGEST_ANSWER:,}"
        except EOFError:
            why = ""
        else:
            return kind, content.decode("utf-8")
        self._end()
        raise BudgetError(f"{place}: {why or self._why(process)}")

    def _why(self, process: subprocess.Popen[bytes]) -> str:
        """Say what ended the process in the middle of a template."""
        code = process.returncode
        if code == -signal.SIGPROF:
            return f"it takes more than {self.budget.cpu_seconds:g} s of computing"
        return f"it ended the process that renders it ({-code if code < 0 else code})"

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with process:  # closes its pipes, and waits for it
            if process.poll() is None and not _ends_by_itself(process):
                process.kill()


def _ends_by_itself(process: subprocess.Popen[bytes]) -> bool:
    """Wait a moment for the end of a process whose pipe ended."""
    try:
        process.wait(0.5)
    except subprocess.TimeoutExpired:
        return False
    return True


def _read_answer(pipe: IO[bytes], until: float) -> tuple[bytes, bytes]:
    head = _read(pipe, HEAD, until)
    length = int.from_bytes(head[1:], "big")
    if length > _LONGEST_ANSWER:
        raise OverflowError(f"{length:,}")
    return head[:1], _read(pipe, length, until)


def _read(pipe: IO[bytes], count: int, until: float) -> bytes:
    pieces: list[bytes] = []
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while count:
            if not selector.select(max(until - time.monotonic(), 0)):
                raise TimeoutError
            piece = os.read(pipe.fileno(), count)
            if not piece:
                raise EOFError
            pieces.append(piece)
            count -= len(piece)
    return b"".join(pieces)


@cache
def shared_worker(budget: Budget) -> Worker:
    """Return the worker of all who render within this budget."""
    worker = Worker(budget)
    atexit.register(worker.close)
    return worker


@dataclass(frozen=True, slots=True)
class Confined:
    """Renders the templates of one output language elsewhere; one that took too much is left alone for a while."""

    dialect: str
    lookup: Lookup
    budget: Budget
    key: str = field(default_factory=lambda: uuid4().hex)
    _spent: dict[str, tuple[float, str]] = field(default_factory=dict)  # by template: since when, and why

    def render(self, name: str, room: Room, values: Mapping[str, Any]) -> str:
        """Render one template; raises TemplateError, or BudgetError where it takes too much."""
        kind, text = self._ask(name, room, values)
        room.cut = room.cut or kind == CUT
        return text

    def read_word(self, name: str, word: str) -> str:
        """Return a plain string that a template sets at its top."""
        return self._ask(name, Room(), {}, word)[1]

    def _ask(self, name: str, room: Room, values: Mapping[str, Any], word: str | None = None) -> tuple[bytes, str]:
        since, why = self._spent.get(name, (0.0, ""))
        if why and time.monotonic() - since < _RESTS_SECONDS:
            raise BudgetError(why)
        lookup = replace(self.lookup, folders=tuple(folder.absolute() for folder in self.lookup.folders))
        request = Request(self.key, self.dialect, lookup, name, room, values, self.budget.cpu_seconds, word)
        try:
            kind, text = shared_worker(self.budget).ask(request, self._place(name))
        except BudgetError as error:
            self._spent[name] = time.monotonic(), str(error)
            raise
        if kind == MEMORY:
            place = text.removesuffix(": MemoryError") if ":" in text else self._place(name)
            words = f"{place}: it takes more than {self.budget.memory_bytes // 1024**2} MB of memory"
            self._spent[name] = time.monotonic(), words
            raise BudgetError(words)
        if kind == ERROR:
            raise TemplateError(text)
        return kind, text

    def _place(self, name: str) -> str:
        """Name the file that a template comes from, as far as that is known from here."""
        return str(next(iter(self.lookup.files(name)), name))
