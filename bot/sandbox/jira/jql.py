"""The part of JQL that an honest client uses, compiled to a test of one ticket."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from bot.sandbox.search.query import (
    COMPARISONS,
    Kind,
    QueryError,
    StrayCharacterError,
    Token,
    Tokens,
    UnexpectedTokenError,
    read_condition,
    read_date,
    words_of,
)


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
class QueryContext:
    """What a query may lean on: the time, who asks, and which names exist."""

    now: float
    caller: str
    projects: tuple[str, ...]
    extra: dict[str, tuple[str, ...]] = field(default_factory=dict)


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


def parse(text: str, context: QueryContext) -> Query:
    """Parse a query; raise JqlError in Jira's words."""
    try:
        return _JqlParser(Tokens(text), context).query()
    except QueryError as problem:
        raise JqlError(f"Error in the JQL Query: {_in_words(problem)}") from problem


def _in_words(problem: QueryError) -> str:
    match problem:
        case UnexpectedTokenError(token=Token(kind=Kind.END)):
            return f"{problem.wanted} before the end of the query."
        case UnexpectedTokenError(token=token):
            return f"{problem.wanted} but got '{token.text}'. (line 1, character {token.at + 1})"
        case StrayCharacterError():
            return f"'{problem}' is a reserved JQL character."
        case _:
            return "the query is nested too deeply."


class _JqlParser:
    def __init__(self, tokens: Tokens, context: QueryContext) -> None:
        self._tokens = tokens
        self._context = context

    def query(self) -> Query:
        matches: Predicate = lambda _issue: True  # noqa: E731
        bounded = not self._tokens.is_word("order") and self._tokens.peek().kind is not Kind.END
        if bounded:
            matches = read_condition(self._tokens, self._clause)
        order = self._order() if self._tokens.took("order") else ()
        self._tokens.next("expecting either 'OR' or 'AND'", Kind.END)
        return Query(matches, order, bounded)

    def _clause(self) -> Predicate:
        token = self._tokens.next("expecting a field name", Kind.WORD, Kind.TEXT)
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
        if self._tokens.took("="):
            wanted = self._known(name, (self._value(),))
        elif self._tokens.took("!="):
            wanted = self._known(name, (self._value(),))
            # A ticket without a value is not found by "!=", as in Jira.
            return lambda issue: bool(values_of(issue)) and not _shares(values_of(issue), wanted)
        elif self._tokens.took("in"):
            wanted = self._known(name, self._values())
        elif self._tokens.took("is"):
            return self._emptiness(lambda issue: tuple(one for one in values_of(issue) if one != UNRESOLVED))
        elif self._tokens.took("not"):
            self._tokens.take("in")
            wanted = self._known(name, self._values())
            return lambda issue: bool(values_of(issue)) and not _shares(values_of(issue), wanted)
        elif self._tokens.peek().text in ("~", "!~", "<", ">", "<=", ">="):
            raise JqlError(f"The operator '{self._tokens.peek().text}' is not supported by the '{name}' field.")
        else:
            raise UnexpectedTokenError("expecting an operator", self._tokens.peek())
        return lambda issue: _shares(values_of(issue), wanted)

    def _emptiness(self, values_of: Callable[[IndexedIssue], tuple[str, ...]]) -> Predicate:
        wants_value = self._tokens.took("not")
        if not self._tokens.took("empty", "null"):
            raise UnexpectedTokenError("expecting 'EMPTY' or 'NULL'", self._tokens.peek())
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
        if self._tokens.took("~"):
            words = words_of(self._value())
            return lambda issue: words <= words_of(text_of(issue))
        if self._tokens.took("!~"):
            words = words_of(self._value())
            return lambda issue: not words <= words_of(text_of(issue))
        if self._tokens.took("is"):
            return self._emptiness(lambda issue: (text_of(issue),) if text_of(issue).strip() else ())
        raise JqlError(f"The operator '{self._tokens.peek().text}' is not supported by the '{name}' field.")

    def _date_clause(self, name: str) -> Predicate:
        date_of = _DATES[name]
        sign = self._tokens.next("", *Kind).text
        compare = COMPARISONS.get(sign)
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
        if text.casefold() in ("now", "startofday") and self._tokens.took("("):
            self._tokens.take(")")
            day = 24 * 60 * 60
            return self._context.now if text.casefold() == "now" else self._context.now // day * day
        if (date := read_date(text)) is not None:
            return date
        raise JqlError(
            f"Date value '{text}' for field '{name}' is invalid. Valid formats include: "
            "'yyyy/MM/dd HH:mm', 'yyyy-MM-dd HH:mm', 'yyyy/MM/dd', 'yyyy-MM-dd', or a period format e.g. '-5d'."
        )

    def _value(self) -> str:
        token = self._tokens.next("expecting either a value, list or function", Kind.WORD, Kind.TEXT)
        if token.kind is Kind.WORD and token.text.casefold() == "currentuser" and self._tokens.took("("):
            self._tokens.take(")")
            return self._context.caller
        return token.text

    def _values(self) -> tuple[str, ...]:
        self._tokens.take("(")
        values = self._tokens.take_list(self._value)
        self._tokens.take(")")
        return tuple(values)

    def _order(self) -> tuple[tuple[SortKey, bool], ...]:
        self._tokens.take("by")
        return tuple(self._tokens.take_list(self._order_field))

    def _order_field(self) -> tuple[SortKey, bool]:
        token = self._tokens.next("", *Kind)
        name = _ALIASES.get(token.text.casefold(), token.text.casefold())
        descending = self._tokens.took("desc")
        if not descending:
            self._tokens.took("asc")
        if name == "key":
            return (lambda issue: issue.id), descending
        if name in _DATES:
            return _DATES[name], descending
        if name in _TEXTS:
            return _TEXTS[name], descending
        if name in _LISTS:
            return _LISTS[name], descending
        raise JqlError(f"Not able to sort using field '{token.text}'.")


def _shares(values: tuple[str, ...], wanted: frozenset[str]) -> bool:
    return any(value.casefold() in wanted for value in values)
