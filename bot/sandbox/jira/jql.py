"""The part of JQL that an honest client uses, compiled to a test of one ticket."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Any


class JqlError(ValueError):
    """A query that Jira would refuse, in Jira's words."""


@dataclass(frozen=True, slots=True)
class IndexedIssue:
    """What search knows of a ticket."""

    id: int
    key: str
    project: tuple[str, ...]  # key, id and name
    labels: tuple[str, ...]
    status: tuple[str, ...]  # id and all its names
    category: tuple[str, ...]
    resolution: tuple[str, ...]  # empty: unresolved
    type: tuple[str, ...]
    priority: tuple[str, ...]
    assignee: tuple[str, ...]
    reporter: tuple[str, ...]
    components: tuple[str, ...]
    summary: str
    text: str
    created: float
    updated: float


UNRESOLVED = "Unresolved"  # what a query may call the lack of a resolution

Predicate = Callable[[IndexedIssue], bool]
SortKey = Callable[[IndexedIssue], Any]


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query; *bounded* says whether it restricts anything at all."""

    matches: Predicate
    order: tuple[tuple[SortKey, bool], ...]  # key, descending
    bounded: bool

    def select(self, issues: list[IndexedIssue]) -> list[IndexedIssue]:
        found = sorted((one for one in issues if self.matches(one)), key=lambda one: one.id, reverse=True)
        for key, descending in reversed(self.order):
            found.sort(key=key, reverse=descending)
        return found


@dataclass(frozen=True, slots=True)
class Context:
    """What a query may lean on: the time, who asks, and which names exist."""

    now: float
    caller: str
    projects: tuple[str, ...]
    extra: dict[str, tuple[str, ...]] = field(default_factory=dict)


class Kind(Enum):
    WORD = auto()
    TEXT = auto()
    SIGN = auto()
    END = auto()


@dataclass(frozen=True, slots=True)
class Token:
    kind: Kind
    text: str
    at: int


_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<sign>!=|!~|<=|>=|[=~<>(),])
    | (?P<word>[^\s"'=~<>(),!]+)
    )""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_DATE_FORMATS = ("%Y-%m-%d %H:%M", "%Y/%m/%d %H:%M", "%Y-%m-%d", "%Y/%m/%d")
_RELATIVE = re.compile(r"([+-]?)([0-9]{1,6})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

_LISTS: dict[str, Callable[[IndexedIssue], tuple[str, ...]]] = {
    "project": lambda one: one.project,
    "labels": lambda one: one.labels,
    "status": lambda one: one.status,
    "statuscategory": lambda one: one.category,
    "resolution": lambda one: one.resolution or (UNRESOLVED,),
    "issuetype": lambda one: one.type,
    "priority": lambda one: one.priority,
    "assignee": lambda one: one.assignee,
    "reporter": lambda one: one.reporter,
    "component": lambda one: one.components,
    "key": lambda one: (one.key, str(one.id)),
}
_TEXTS: dict[str, Callable[[IndexedIssue], str]] = {
    "summary": lambda one: one.summary,
    "description": lambda one: one.text,
    "text": lambda one: f"{one.summary}\n{one.text}",
}
_DATES: dict[str, Callable[[IndexedIssue], float]] = {
    "created": lambda one: one.created,
    "updated": lambda one: one.updated,
}
_ALIASES = {
    "issuekey": "key",
    "issue": "key",
    "id": "key",
    "type": "issuetype",
    "label": "labels",
    "components": "component",
}
_ALIASES |= {"createddate": "created", "updateddate": "updated"}
_NESTING = 60  # brackets; deeper queries are refused rather than recursed into


def parse(text: str, context: Context) -> Query:
    """Parse a query; raise JqlError in Jira's words."""
    return _Parser(text, context).query()


def _tokens(text: str) -> list[Token]:
    found, at = [], 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if not match:
            raise JqlError(f"Error in the JQL Query: '{text[at : at + 20].strip()}' is a reserved JQL character.")
        at = match.end()
        if match["text"] is not None:
            found.append(Token(Kind.TEXT, _ESCAPE.sub(r"\1", match["text"][1:-1]), match.start("text")))
        elif match["sign"] is not None:
            found.append(Token(Kind.SIGN, match["sign"], match.start("sign")))
        else:
            found.append(Token(Kind.WORD, match["word"], match.start("word")))
    return [*found, Token(Kind.END, "", len(text))]


class _Parser:
    def __init__(self, text: str, context: Context) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._depth = 0
        self._context = context

    def query(self) -> Query:
        matches: Predicate = lambda _issue: True  # noqa: E731
        bounded = not self._is_word("order") and self._peek().kind is not Kind.END
        if bounded:
            matches = self._either()
        order = self._order() if self._is_word("order") else ()
        if self._peek().kind is not Kind.END:
            raise self._unexpected("expecting either 'OR' or 'AND'")
        return Query(matches, order, bounded)

    def _peek(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _is_word(self, word: str) -> bool:
        token = self._peek()
        return token.kind is Kind.WORD and token.text.casefold() == word

    def _took(self, *words: str) -> bool:
        token = self._peek()
        if token.kind in (Kind.WORD, Kind.SIGN) and token.text.casefold() in words:
            self._next()
            return True
        return False

    def _unexpected(self, wanted: str) -> JqlError:
        token = self._peek()
        if token.kind is Kind.END:
            return JqlError(f"Error in the JQL Query: {wanted} before the end of the query.")
        return JqlError(f"Error in the JQL Query: {wanted} but got '{token.text}'. (line 1, character {token.at + 1})")

    def _either(self) -> Predicate:
        parts = [self._both()]
        while self._took("or"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else lambda issue: any(part(issue) for part in parts)

    def _both(self) -> Predicate:
        parts = [self._single()]
        while self._took("and"):
            parts.append(self._single())
        return parts[0] if len(parts) == 1 else lambda issue: all(part(issue) for part in parts)

    def _single(self) -> Predicate:
        self._depth += 1
        if self._depth > _NESTING:
            raise JqlError("Error in the JQL Query: the query is nested too deeply.")
        try:
            if self._took("not"):
                inner = self._single()
                return lambda issue: not inner(issue)
            if self._took("("):
                inner = self._either()
                if not self._took(")"):
                    raise self._unexpected("expecting ')'")
                return inner
            return self._clause()
        finally:
            self._depth -= 1

    def _clause(self) -> Predicate:
        token = self._next()
        if token.kind not in (Kind.WORD, Kind.TEXT):
            self._at = max(0, self._at - 1)
            raise self._unexpected("expecting a field name")
        name = _ALIASES.get(token.text.casefold(), token.text.casefold())
        if name in _DATES:
            return self._date_clause(name)
        if name in _TEXTS:
            return self._text_clause(name)
        if name in _LISTS:
            return self._list_clause(name)
        raise JqlError(f"Field '{token.text}' does not exist or you do not have permission to view it.")

    def _list_clause(self, name: str) -> Predicate:
        values_of = _LISTS[name]
        if self._took("="):
            wanted = self._known(name, (self._value(),))
        elif self._took("!="):
            wanted = self._known(name, (self._value(),))
            # A ticket without a value is not found by "!=", as in Jira.
            return lambda issue: bool(values_of(issue)) and not _shares(values_of(issue), wanted)
        elif self._took("in"):
            wanted = self._known(name, self._values())
        elif self._took("is"):
            return self._emptiness(lambda issue: tuple(one for one in values_of(issue) if one != UNRESOLVED))
        elif self._took("not"):
            if not self._took("in"):
                raise self._unexpected("expecting 'IN'")
            wanted = self._known(name, self._values())
            return lambda issue: bool(values_of(issue)) and not _shares(values_of(issue), wanted)
        elif self._peek().text in ("~", "!~", "<", ">", "<=", ">="):
            raise JqlError(f"The operator '{self._peek().text}' is not supported by the '{name}' field.")
        else:
            raise self._unexpected("expecting an operator")
        return lambda issue: _shares(values_of(issue), wanted)

    def _emptiness(self, values_of: Callable[[IndexedIssue], tuple[str, ...]]) -> Predicate:
        wants_value = self._took("not")
        if not self._took("empty", "null"):
            raise self._unexpected("expecting 'EMPTY' or 'NULL'")
        return lambda issue: bool(values_of(issue)) is wants_value

    def _known(self, name: str, values: tuple[str, ...]) -> frozenset[str]:
        """Check the values of fields whose values Jira knows; labels may be anything."""
        choices = {"project": self._context.projects, **self._context.extra}.get(name)
        for value in values:
            if choices and value.casefold() not in choices:
                raise JqlError(f"The value '{value}' does not exist for the field '{name}'.")
        return frozenset(value.casefold() for value in values)

    def _text_clause(self, name: str) -> Predicate:
        text_of = _TEXTS[name]
        if self._took("~"):
            words = self._words_of(self._value())
            return lambda issue: words <= self._words_of(text_of(issue))
        if self._took("!~"):
            words = self._words_of(self._value())
            return lambda issue: not words <= self._words_of(text_of(issue))
        if self._took("is"):
            return self._emptiness(lambda issue: (text_of(issue),) if text_of(issue).strip() else ())
        raise JqlError(f"The operator '{self._peek().text}' is not supported by the '{name}' field.")

    @staticmethod
    def _words_of(text: str) -> frozenset[str]:
        return frozenset(re.findall(r"\w+", text.casefold()))

    def _date_clause(self, name: str) -> Predicate:
        date_of = _DATES[name]
        sign = self._next().text
        compare = _COMPARISONS.get(sign)
        if compare is None:
            raise JqlError(f"The operator '{sign}' is not supported by the '{name}' field.")
        moment = self._moment(name)
        # The index holds whole minutes.
        return lambda issue: compare(date_of(issue) // 60 * 60, moment)

    def _moment(self, name: str) -> float:
        text = self._value()
        relative = _RELATIVE.fullmatch(text)
        if relative:
            span = timedelta(**{_UNITS[relative[3]]: int(relative[2])}).total_seconds()
            # A number without a sign counts backwards too.
            return (self._context.now + (span if relative[1] == "+" else -span)) // 60 * 60
        if text.casefold() in ("now", "startofday") and self._took("("):
            if not self._took(")"):
                raise self._unexpected("expecting ')'")
            day = 24 * 60 * 60
            return self._context.now if text.casefold() == "now" else self._context.now // day * day
        for form in _DATE_FORMATS:
            try:
                return datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()
            except ValueError:
                continue
        raise JqlError(
            f"Date value '{text}' for field '{name}' is invalid. Valid formats include: "
            "'yyyy/MM/dd HH:mm', 'yyyy-MM-dd HH:mm', 'yyyy/MM/dd', 'yyyy-MM-dd', or a period format e.g. '-5d'."
        )

    def _value(self) -> str:
        token = self._peek()
        if token.kind not in (Kind.WORD, Kind.TEXT):
            raise self._unexpected("expecting either a value, list or function")
        self._next()
        if token.kind is Kind.WORD and token.text.casefold() == "currentuser" and self._took("("):
            if not self._took(")"):
                raise self._unexpected("expecting ')'")
            return self._context.caller
        return token.text

    def _values(self) -> tuple[str, ...]:
        if not self._took("("):
            raise self._unexpected("expecting '('")
        values = [self._value()]
        while self._took(","):
            values.append(self._value())
        if not self._took(")"):
            raise self._unexpected("expecting ')'")
        return tuple(values)

    def _order(self) -> tuple[tuple[SortKey, bool], ...]:
        self._next()
        if not self._took("by"):
            raise self._unexpected("expecting 'BY'")
        order = [self._order_field()]
        while self._took(","):
            order.append(self._order_field())
        return tuple(order)

    def _order_field(self) -> tuple[SortKey, bool]:
        token = self._next()
        name = _ALIASES.get(token.text.casefold(), token.text.casefold())
        descending = self._took("desc")
        if not descending:
            self._took("asc")
        if name == "key":
            return (lambda issue: issue.id), descending
        if name in _DATES:
            return _DATES[name], descending
        if name in _TEXTS:
            return _TEXTS[name], descending
        if name in _LISTS:
            return _LISTS[name], descending
        raise JqlError(f"Not able to sort using field '{token.text}'.")


_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "=": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


def _shares(values: tuple[str, ...], wanted: frozenset[str]) -> bool:
    return any(value.casefold() in wanted for value in values)
