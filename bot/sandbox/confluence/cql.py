"""The part of CQL that an honest client uses, compiled to a test of one page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bot.sandbox.search.query import (
    COMPARISONS,
    Kind,
    QueryError,
    Tokens,
    UnexpectedTokenError,
    read_condition,
    read_date,
    words_of,
)


class CqlError(ValueError):
    """A query that Confluence would refuse."""


@dataclass(frozen=True, slots=True)
class IndexedPage:
    """What search knows of a page or an attachment."""

    id: int
    type: str
    space: str  # key
    title: str
    labels: tuple[str, ...]
    text: str
    parent: int | None
    ancestors: tuple[int, ...]
    created: float
    updated: float


Predicate = Callable[[IndexedPage], bool]

_ALIASES = {"space.key": "space", "content": "id", "lastmodified.date": "lastmodified"}
_EXACT: dict[str, Callable[[IndexedPage], tuple[str, ...]]] = {
    "label": lambda page: page.labels,
    "space": lambda page: (page.space,),
    "type": lambda page: (page.type,),
    "id": lambda page: (str(page.id),),
    "title": lambda page: (page.title,),
    "parent": lambda page: (str(page.parent),),
    "ancestor": lambda page: tuple(map(str, page.ancestors)),
}
_WORDS: dict[str, Callable[[IndexedPage], str]] = {
    "title": lambda page: page.title,
    "text": lambda page: f"{page.title} {page.text}",
}
_DATES: dict[str, Callable[[IndexedPage], float]] = {
    "created": lambda page: page.created,
    "lastmodified": lambda page: page.updated,
}


def select(pages: list[IndexedPage], query: str) -> list[IndexedPage]:
    """Return the pages that a query finds, in its order; raise CqlError for one that cannot be read."""
    try:
        matches, order = _CqlParser(Tokens(query)).query()
    except QueryError as problem:
        raise CqlError(f"Could not parse cql : {query[:200]}") from problem
    found = sorted((page for page in pages if matches(page)), key=lambda page: page.id)
    for name, descending in reversed(order):
        found.sort(key=_sort_key(name), reverse=descending)
    return found


def _sort_key(name: str) -> Callable[[IndexedPage], Any]:
    if name in _DATES:
        return _DATES[name]
    if name in _EXACT:
        return _EXACT[name]
    raise CqlError(f"Could not parse cql : cannot sort by {name}")


class _CqlParser:
    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def query(self) -> tuple[Predicate, list[tuple[str, bool]]]:
        matches = read_condition(self._tokens, self._clause)
        order: list[tuple[str, bool]] = []
        if self._tokens.took("order"):
            self._tokens.take("by")
            order = self._tokens.take_list(self._order_field)
        self._tokens.next("the end", Kind.END)
        return matches, order

    def _field(self) -> str:
        name = self._tokens.next("a field", Kind.WORD).text.casefold()
        return _ALIASES.get(name, name)

    def _order_field(self) -> tuple[str, bool]:
        name = self._field()
        descending = self._tokens.took("desc")
        if not descending:
            self._tokens.took("asc")
        return name, descending

    def _clause(self) -> Predicate:
        name = self._field()
        if name in _DATES:
            return self._date(name)
        if name in _WORDS and self._tokens.took("~"):
            return self._containing(_WORDS[name])
        if name in _WORDS and self._tokens.took("!~"):
            containing = self._containing(_WORDS[name])
            return lambda page: not containing(page)
        if name not in _EXACT:
            raise CqlError(f"Could not parse cql : unknown field {name}")
        values_of = _EXACT[name]
        if self._tokens.took("="):
            wanted = frozenset((self._value(),))
        elif self._tokens.took("!="):
            wanted = frozenset((self._value(),))
            return lambda page: not any(value.casefold() in wanted for value in values_of(page))
        elif self._tokens.took("in"):
            wanted = self._values()
        elif self._tokens.took("not"):
            self._tokens.take("in")
            wanted = self._values()
            return lambda page: not any(value.casefold() in wanted for value in values_of(page))
        else:
            raise UnexpectedTokenError("an operator", self._tokens.peek())
        return lambda page: any(value.casefold() in wanted for value in values_of(page))

    def _containing(self, text_of: Callable[[IndexedPage], str]) -> Predicate:
        """Match whole words, as the text index does: a part of a word finds nothing."""
        wanted = words_of(self._value())
        return lambda page: wanted <= words_of(text_of(page))

    def _date(self, name: str) -> Predicate:
        sign = self._tokens.next("a comparison", Kind.SIGN)
        compare, date_of, moment = COMPARISONS.get(sign.text), _DATES[name], read_date(self._value())
        if compare is None or moment is None:
            raise UnexpectedTokenError("a comparison with a date", sign)
        return lambda page: compare(date_of(page) // 60 * 60, moment)

    def _value(self) -> str:
        return self._tokens.next("a value", Kind.WORD, Kind.TEXT).text.casefold()

    def _values(self) -> frozenset[str]:
        self._tokens.take("(")
        values = self._tokens.take_list(self._value)
        self._tokens.take(")")
        return frozenset(values)
