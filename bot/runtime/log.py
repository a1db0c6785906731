"""What goes into the log: one line an event, faults with the way to them but no values, equal ones counted."""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, TextIO

from bot.runtime.json_lines import LogFormat, as_json_line
from bot.runtime.secret_forms import forms_of
from bot.runtime.shown_addresses import strike_out_addresses

Event = MutableMapping[str, Any]

_LONGEST_ERROR = 600  # characters
_NEWEST_FRAMES, _OLDEST_FRAMES = 10, 3
_MOST_CAUSES = 4
_REMEMBERED = 1000  # different faults
_FORGOTTEN_AFTER = 3600.0  # seconds in which a fault did not come again: then it is news
_SHORTEST_SECRET = 6  # characters; what is shorter would be struck out of ordinary words
_HIDDEN = "<secret>"
_PARTICULARS = re.compile(r"\b(?:0x[0-9a-f]+|(?=[0-9a-f]*\d)[0-9a-f]{8,}|\d+)", re.IGNORECASE)
_VARYING = frozenset(
    {"timestamp", "level", "effect", "seconds", "fire", "run", "named", "incident"}
)  # of a line; what it is about may recur
_COUNTED = frozenset({"warning", "error", "critical"})


@dataclass(slots=True)
class _Seen:
    times: int
    at: float
    what: object


@dataclass(slots=True)
class Journal:
    """Makes lines of events; shared by all threads."""

    clock: Callable[[], float] = time.monotonic
    _secrets: tuple[str, ...] = ()
    _seen: OrderedDict[int, _Seen] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def hide(self, secrets: Iterable[str]) -> None:
        """Never write these, nor as they stand in addresses, in JSON or in what Python shows of them."""
        found = {form for secret in secrets for form in forms_of(secret)}
        kept = {form for form in found if len(form) >= _SHORTEST_SECRET}
        self._secrets = tuple(sorted(kept.union(self._secrets), key=len, reverse=True))

    def forget(self, what: object = None) -> None:
        """Let the faults of one errand, or all, be news again."""
        with self._lock:
            gone = [key for key, seen in self._seen.items() if what is None or seen.what == what]
            for key in gone:
                del self._seen[key]

    def mask(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        return strike_out_addresses(text)

    def explain(self, _logger: object, _method: str, event: Event) -> Event:
        """Say in words what was raised and where; the values that were at hand are nobody's business."""
        raised = event.pop("exc_info", None)
        if raised is True:
            raised = sys.exc_info()[1]
        elif isinstance(raised, tuple):
            raised = raised[1]
        if isinstance(raised, BaseException):
            event["error"], event["at"] = _words(raised), way_to(raised)
            if because := "; ".join(f"{_words(cause)} at {way_to(cause)}" for cause in _causes(raised)):
                event["because"] = because
        return event

    def censor(self, _logger: object, _method: str, event: Event) -> Event:
        for name, value in event.items():
            if isinstance(value, str):
                event[name] = self.mask(value)
            elif not isinstance(value, int | float | None):
                event[name] = self.mask(str(value))
        return event

    def count(self, _logger: object, _method: str, event: Event) -> Event:
        """Let a fault pass the first time it comes, the tenth, the hundredth; *always* marks lines that are news."""
        if event.pop("always", False) or event.get("level") not in _COUNTED:
            return event
        facts = sorted((name, str(value)) for name, value in event.items() if name not in _VARYING)
        key = hash(tuple((name, _PARTICULARS.sub("#", value) if name != "what" else value) for name, value in facts))
        times = self._note(key, event.get("what"))
        if str(times).strip("0") != "1":
            import structlog

            raise structlog.DropEvent
        if times > 1:
            event["times"] = times
        return event

    def _note(self, key: int, what: object) -> int:
        now = self.clock()
        with self._lock:
            seen = self._seen.pop(key, None)
            if seen is None or now - seen.at > _FORGOTTEN_AFTER:
                seen = _Seen(0, now, what)
            seen.times, seen.at = seen.times + 1, now
            self._seen[key] = seen
            if len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
            return seen.times


journal = Journal()


def set_up(level: int, stream: TextIO | None = None, kept: Journal = journal, form: LogFormat = LogFormat.TEXT) -> None:
    """Log to *stream*, standard error if none is given; what libraries log is counted like our own lines.

    structlog is imported with the first line only: most commands that look have none to write.
    """
    global _configure  # noqa: PLW0603
    _configure = partial(_set_up, level, stream or sys.stderr, kept, form)
    if "structlog" in sys.modules:
        _configured()
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, _FromLibraries):
            root.removeHandler(handler)
    root.addHandler(_FromLibraries(logging.WARNING))


_configure: Callable[[], None] | None = None
_configuring = threading.Lock()


def _configured() -> None:
    global _configure  # noqa: PLW0603
    if _configure is None:
        return
    with _configuring:  # whoever comes meanwhile waits, or would log as nobody wants
        if _configure is not None:
            _configure()
            _configure = None


@dataclass(frozen=True, slots=True)
class Logger:
    """Writes lines in a module's name."""

    name: str

    def __getattr__(self, level: str) -> Any:
        _configured()
        import structlog

        return getattr(structlog.get_logger(self.name), level)


def get_logger(name: str) -> Any:
    """Return what logs in the name of a module: `get_logger(__name__).warning("what happened", pipeline="search")`."""
    return Logger(name)


def _set_up(level: int, stream: TextIO, kept: Journal, form: LogFormat) -> None:
    import structlog

    for_people = structlog.dev.ConsoleRenderer(
        colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            kept.explain,
            kept.censor,
            kept.count,
            as_json_line if form is LogFormat.JSON else for_people,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _Printer(stream),
    )


class _Printer:
    """Writes lines; a full disk or a reader that went away must not end what is being logged about."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, message: str) -> None:
        with suppress(OSError, ValueError):
            self._stream.write(message.replace("\n", "\\n") + "\n")
            self._stream.flush()

    debug = info = warning = warn = error = critical = exception = fatal = log = msg


class _FromLibraries(logging.Handler):
    """Takes what libraries warn of into the one log."""

    def emit(self, record: logging.LogRecord) -> None:
        _configured()
        import structlog

        try:
            words = record.getMessage()[:_LONGEST_ERROR]
        except (TypeError, ValueError):  # arguments that do not fit the text
            words = str(record.msg)[:_LONGEST_ERROR]
        level = min(record.levelno, logging.ERROR)
        structlog.get_logger(record.name).log(
            level, "a library says", library=record.name, error=words, exc_info=record.exc_info
        )


def way_to(raised: BaseException) -> str:
    """Return where an exception comes from, the innermost place first; of a deep one both ends."""
    inner: deque[str] = deque(maxlen=_NEWEST_FRAMES)
    outer: list[str] = []
    left_out = 0
    trace: TracebackType | None = raised.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        if len(inner) == _NEWEST_FRAMES:
            if len(outer) < _OLDEST_FRAMES:
                outer.append(inner[0])
            else:
                left_out += 1
        inner.append(f"{frame.f_globals.get('__name__', '?')}:{trace.tb_lineno} {frame.f_code.co_name}")
        trace = trace.tb_next
    middle = [f"({left_out} more)"] if left_out else []
    return " < ".join([*reversed(inner), *middle, *reversed(outer)]) or "nowhere"


def _words(raised: BaseException) -> str:
    try:
        said = str(raised)
    except Exception:  # noqa: BLE001  an exception that cannot even be read is told by its name
        said = "?"
    return f"{type(raised).__name__}: {said[:_LONGEST_ERROR]}" if said else type(raised).__name__


def _causes(raised: BaseException) -> Iterator[BaseException]:
    met = [raised]
    while len(met) <= _MOST_CAUSES:
        last = met[-1]
        cause = last.__cause__ or (None if last.__suppress_context__ else last.__context__)
        if cause is None or cause in met:
            return
        met.append(cause)
        yield cause


def describe(raised: BaseException) -> str:
    """Say in one line what was raised that nobody foresaw, and where."""
    return journal.mask(f"{_words(raised)} (at {way_to(raised)})")
