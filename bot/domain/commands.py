"""Commands that people write: one table, from which parser, help and docs come; long, since each is a type."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from difflib import get_close_matches
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Fixed:
    """`fixed`: it is repaired; the next runs will show it."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Expected:
    """`expected REASON`: this level is the new baseline."""

    reason: str


@dataclass(frozen=True, slots=True)
class CallNoise:
    """`noise 30d REASON`: the bar of what fell rises for so long."""

    lasts: timedelta
    reason: str


@dataclass(frozen=True, slots=True)
class Mute:
    """`mute 14d REASON`: nothing is said for so long."""

    lasts: timedelta
    reason: str


@dataclass(frozen=True, slots=True)
class Accept:
    """`accept until 2027-01-31 REASON`: it is known, and quiet to the end of that day."""

    until: date
    reason: str


@dataclass(frozen=True, slots=True)
class Rerun:
    """`rerun`: the pipeline's job once more, with another seed."""


@dataclass(frozen=True, slots=True)
class Diagnose:
    """`diagnose`: reruns find out which change did it."""


@dataclass(frozen=True, slots=True)
class AssignMe:
    """`assign me`."""


@dataclass(frozen=True, slots=True)
class AskWhy:
    """`why`: the numbers behind the verdict."""


@dataclass(frozen=True, slots=True)
class ShowRules:
    """`rules`: what is quiet here."""


@dataclass(frozen=True, slots=True)
class Undo:
    """`undo N`: take rule N back."""

    number: int


@dataclass(frozen=True, slots=True)
class Help:
    """`help`."""


Command = Fixed | Expected | CallNoise | Mute | Accept | Rerun | Diagnose | AssignMe | AskWhy | ShowRules | Undo | Help


class Problem(StrEnum):
    """Why a line that begins as a command is none."""

    UNKNOWN = "unknown"  # there is no such command
    NO_REASON = "no_reason"
    NO_LENGTH = "no_length"  # of time
    LENGTH_BOUNDS = "length_bounds"
    NO_DATE = "no_date"
    DATE_BOUNDS = "date_bounds"
    NO_NUMBER = "no_number"
    OTHER_WORDS = "other_words"  # it takes none
    TOO_MANY = "too_many"  # commands in one comment; this one and all after it


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line that begins as a command and is none."""

    line: str
    nearest: str = ""  # the usage of the command that it comes nearest to; empty where it comes near none
    problem: Problem = Problem.UNKNOWN


Said = Command | Unreadable

PREFIX = "/herald"
SHORTEST, LONGEST = timedelta(hours=1), timedelta(days=400)  # of a silence
MOST_COMMANDS = 20  # in one comment
_REASON_CHARS = 500
_LINE_CHARS = 200

# What looks like the prefix and is not (another script's letters, a full-width slash, what cannot be seen) is none.
# Before it Markdown allows three spaces, and Slack's own input wants one; after it an editor may put its own kinds.
_SPACES = " \t\xa0\u3000"
_COMMAND = re.compile(rf" {{0,3}}{PREFIX}(?:[{_SPACES}]+(.*))?$", re.IGNORECASE | re.ASCII | re.DOTALL)
_FULL_WIDTH = {0xFF10 + digit: str(digit) for digit in range(10)}
_HOUR, _DAY, _WEEK = (timedelta(hours=1), timedelta(days=1), timedelta(weeks=1))
_UNITS = {
    **dict.fromkeys(("h", "hour", "hours", "小时"), _HOUR),
    **dict.fromkeys(("d", "day", "days", "天", "日"), _DAY),
    **dict.fromkeys(("w", "week", "weeks", "周"), _WEEK),
}
_LENGTH = re.compile(rf"([0-9]{{1,6}})\s?({'|'.join(sorted(_UNITS, key=len, reverse=True))})(?=\s|$)", re.IGNORECASE)
_DATE = re.compile(r"(?:until\s+)?([0-9]{4}-[0-9]{2}-[0-9]{2})(?=\s|$)", re.IGNORECASE)
_NUMBER = re.compile(r"#?([0-9]{1,9})\.?")
_STOPS = ".,;:!?。，；：！？"
_SHOWN = "\ufffc"  # goes before what a comment shows rather than says: in a reason it is welcome, nowhere else


class Who(StrEnum):
    """Who may give a command."""

    SPEAKERS = "speakers"  # whoever may give commands in the project at all


class Word(StrEnum):
    """The first word of a command, which names it."""

    FIXED = "fixed"
    EXPECTED = "expected"
    NOISE = "noise"
    MUTE = "mute"
    ACCEPT = "accept"
    RERUN = "rerun"
    DIAGNOSE = "diagnose"
    ASSIGN = "assign"
    WHY = "why"
    RULES = "rules"
    UNDO = "undo"
    HELP = "help"


Builder = Callable[[str, date | None], Command | Problem]


@dataclass(frozen=True, slots=True)
class Registered:
    """One command as it is known: *build* reads what follows its name, and says what is wrong with that."""

    name: Word
    usage: str
    example: str
    build: Builder
    tried: tuple[str, ...] = ()  # other words that people try for it: they only lead to its usage
    who: Who = Who.SPEAKERS


def _reasoned(text: str) -> str:
    reason = " ".join(text.replace(_SHOWN, "").split())
    return reason if len(reason) <= _REASON_CHARS else f"{reason[: _REASON_CHARS - 1]}…"


def _fixed(text: str, _today: date | None) -> Command | Problem:
    return Fixed(_reasoned(text))


def _expected(text: str, _today: date | None) -> Command | Problem:
    reason = _reasoned(text)
    return Expected(reason) if reason else Problem.NO_REASON


def _for_so_long(make: Callable[[timedelta, str], Command]) -> Builder:
    """Read a length of time and a reason."""

    def build(text: str, _today: date | None) -> Command | Problem:
        found = _LENGTH.match(text.translate(_FULL_WIDTH))
        if found is None:
            return Problem.NO_LENGTH
        lasts = int(found[1]) * _UNITS[found[2].lower()]
        reason = _reasoned(text[found.end() :])
        if not SHORTEST <= lasts <= LONGEST:
            return Problem.LENGTH_BOUNDS
        return make(lasts, reason) if reason else Problem.NO_REASON

    return build


def _accept(text: str, today: date | None) -> Command | Problem:
    found = _DATE.match(text.translate(_FULL_WIDTH))
    try:
        until = None if found is None else date.fromisoformat(found[1])
    except ValueError:  # of no calendar: 2027-02-30
        until = None
    if found is None or until is None:
        return Problem.NO_DATE
    if today is not None and not timedelta(0) <= until - today <= LONGEST:
        return Problem.DATE_BOUNDS
    reason = _reasoned(text[found.end() :])
    return Accept(until, reason) if reason else Problem.NO_REASON


def _rerun(text: str, _today: date | None) -> Command | Problem:
    return Problem.OTHER_WORDS if text else Rerun()


def _diagnose(text: str, _today: date | None) -> Command | Problem:
    return Problem.OTHER_WORDS if text else Diagnose()


def _assign(text: str, _today: date | None) -> Command | Problem:
    return AssignMe() if text.lower().rstrip(_STOPS) == "me" else Problem.OTHER_WORDS


def _undo(text: str, _today: date | None) -> Command | Problem:
    found = _NUMBER.fullmatch(text.translate(_FULL_WIDTH))
    return Problem.NO_NUMBER if found is None else Undo(int(found[1]))


def _asking(make: Callable[[], Command]) -> Builder:
    """Read a question, which people may ask in more words than it takes."""
    return lambda _text, _today: make()


COMMANDS = (
    Registered(Word.FIXED, "fixed", "fixed the snapshot was stale", _fixed, ("resolve", "resolved", "close", "done")),
    Registered(
        Word.EXPECTED, "expected REASON", "expected we dropped the small shops", _expected, ("baseline", "normal")
    ),
    Registered(Word.NOISE, "noise 30d REASON", "noise 30d its seeds differ a lot", _for_so_long(CallNoise), ("flaky",)),
    Registered(
        Word.MUTE,
        "mute 14d REASON",
        "mute 14d the catalogue moves until then",
        _for_so_long(Mute),
        ("snooze", "ignore", "silence", "quiet"),
    ),
    Registered(
        Word.ACCEPT,
        "accept until 2027-01-31 REASON",
        "accept until 2027-01-31 the new catalogue comes then",
        _accept,
        ("wontfix", "known", "ack", "acknowledge"),
    ),
    Registered(Word.RERUN, "rerun", "rerun", _rerun, ("retry", "again", "retest")),
    Registered(Word.DIAGNOSE, "diagnose", "diagnose", _diagnose, ("bisect", "blame", "cause")),
    Registered(Word.ASSIGN, "assign me", "assign me", _assign, ("take", "mine", "claim")),
    Registered(Word.WHY, "why", "why", _asking(AskWhy), ("explain", "numbers", "evidence")),
    Registered(Word.RULES, "rules", "rules", _asking(ShowRules), ("list", "status", "muted")),
    Registered(Word.UNDO, "undo N", "undo 14", _undo, ("revert", "unmute", "cancel", "back")),
    Registered(Word.HELP, "help", "help", _asking(Help), ("commands", "usage")),
)
_BY_NAME: dict[str, Registered] = {each.name: each for each in COMMANDS}
_BY_WORD: dict[str, Registered] = {word: each for each in COMMANDS for word in (each.name, *each.tried)}
_LIKENESS = 0.6  # of two words, 1 where they are the same


def usage_of(registered: Registered) -> str:
    """Write how a command is given, with its prefix."""
    return f"{PREFIX} {registered.usage}"


def undoing(number: int) -> str:
    """Write the command that takes a rule back."""
    return f"{PREFIX} undo {number}"


def read_commands(lines: Iterable[str], today: date | None = None) -> tuple[Said, ...]:
    """Read the commands among the lines that somebody said, in their order; a line that is none is left alone.

    *today* is what a date is held against, where it is given.
    """
    found = [line for line in lines if _COMMAND.match(line)]
    beyond = found[MOST_COMMANDS : MOST_COMMANDS + 1]
    return (
        *(read_command(line, today) for line in found[:MOST_COMMANDS]),
        *(Unreadable(_shortened(line), problem=Problem.TOO_MANY) for line in beyond),
    )


def read_command(line: str, today: date | None = None) -> Said:
    """Read one command, be it with its prefix or, as it is given by hand, without."""
    prefixed = _COMMAND.match(line)
    word, *others = (prefixed[1] or "" if prefixed else line).split(maxsplit=1) or ["help"]
    name = word.lower().rstrip(_STOPS)
    registered = _BY_NAME.get(name) if name.isascii() else None
    if registered is None:
        near = get_close_matches(name, _BY_WORD, n=1, cutoff=_LIKENESS)
        return Unreadable(_shortened(line), usage_of(_BY_WORD[near[0]]) if near else "")
    built = registered.build(others[0].strip() if others else "", today)
    return Unreadable(_shortened(line), usage_of(registered), built) if isinstance(built, Problem) else built


def _shortened(line: str) -> str:
    line = line.replace(_SHOWN, "").strip()
    return line if len(line) <= _LINE_CHARS else f"{line[: _LINE_CHARS - 1]}…"
