"""The process in which a team's templates are rendered: it reads requests, answers with text, and may be ended.

What it is handed was pickled by Herald itself; what it hands back is text of bounded length, never an object.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bot.errors import TemplateError
from bot.render import dialects
from bot.render.confined import CUT, ERROR, HEAD, MEMORY, READY, TEXT, Request
from bot.render.environment import TemplateEnvironment

_IDLE_SECONDS = 300.0
_KEPT = 40  # environments: a few languages of output for each that renders
_LONGEST_ERROR = 4000  # characters


@dataclass(slots=True)
class _Child:
    requests: IO[bytes]
    answers: IO[bytes]
    environments: OrderedDict[tuple[str, str], TemplateEnvironment]

    def run(self) -> None:
        self.say(READY, "")
        while select.select([self.requests], [], [], _IDLE_SECONDS)[0]:
            try:
                length = int.from_bytes(self._read(8), "big")
                request: Request = pickle.loads(self._read(length))  # noqa: S301  Herald's own
            except EOFError:
                return
            self.say(*self.answer(request))

    def answer(self, request: Request) -> tuple[bytes, str]:
        signal.setitimer(signal.ITIMER_PROF, request.cpu_seconds)  # the end of it ends the process
        try:
            environment = self._environment(request)
            if request.word is not None:
                return TEXT, environment.read_word(request.name, request.word)
            text = environment.render(request.name, request.room, request.values)
        except TemplateError as error:
            kind = MEMORY if isinstance(error.__cause__, MemoryError) else ERROR
            return kind, str(error)[:_LONGEST_ERROR]
        except MemoryError:
            return MEMORY, request.name
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        return CUT if request.room.cut else TEXT, text

    def say(self, kind: bytes, text: str) -> None:
        content = text.encode("utf-8", "replace")
        self.answers.write(kind + len(content).to_bytes(HEAD - 1, "big") + content)
        self.answers.flush()

    def _environment(self, request: Request) -> TemplateEnvironment:
        key = request.key, request.dialect
        if key not in self.environments:
            self.environments[key] = TemplateEnvironment(dialects.named(request.dialect), request.lookup)
        self.environments.move_to_end(key)
        while len(self.environments) > _KEPT:
            self.environments.popitem(last=False)
        return self.environments[key]

    def _read(self, count: int) -> bytes:
        content = self.requests.read(count)
        if len(content) < count:
            raise EOFError
        return content


def serve(memory_bytes: int) -> None:
    """Answer requests on standard input until it ends, or nobody asks for long."""
    answers = os.fdopen(os.dup(1), "wb")
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    # Unbuffered: what waits in a buffer would not wake select.
    child = _Child(os.fdopen(os.dup(0), "rb", buffering=0), answers, OrderedDict())
    _limit(memory_bytes)
    with suppress(BrokenPipeError):
        child.run()


def _limit(memory_bytes: int) -> None:
    """Let this process take so much more memory, and write no file; a system that has no such limit goes without."""
    import resource

    taken = 0
    with suppress(OSError):
        taken = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    limits = {resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0}
    if taken:
        limits[resource.RLIMIT_AS] = taken + memory_bytes
    for kind, most in limits.items():
        with suppress(OSError, ValueError):
            resource.setrlimit(kind, (most, most))
