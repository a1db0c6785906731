"""The part of CQL that an honest client uses, compiled to a test of one page."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


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

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<sign>!=|!~|<=|>=|[=~<>(),])
    | (?P<word>[^\s"'=~<>(),!]+)
    )""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
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
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "=": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}
_NESTING = 60


def select(pages: list[IndexedPage], query: str) -> list[IndexedPage]:
    """Return the pages that a query finds, in its order; raise CqlError for one that cannot be read."""
    matches, order = _Parser(query).query()
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


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(text.rstrip()):
            match = _TOKEN.match(text, at)
            if not match:
                raise CqlError(f"Could not parse cql : {text[:200]}")
            at = match.end()
            kind = match.lastgroup or ""
            word = match[kind]
            self._tokens.append((kind, _ESCAPE.sub(r"\1", word[1:-1]) if kind == "text" else word))
        self._text = text
        self._at = 0
        self._depth = 0

    def query(self) -> tuple[Predicate, list[tuple[str, bool]]]:
        matches = self._either()
        order: list[tuple[str, bool]] = []
        if self._took("order"):
            if not self._took("by"):
                raise self._bad()
            order.append(self._order_field())
            while self._took(","):
                order.append(self._order_field())
        if self._at < len(self._tokens):
            raise self._bad()
        return matches, order

    def _bad(self) -> CqlError:
        return CqlError(f"Could not parse cql : {self._text[:200]}")

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _next(self, *kinds: str) -> str:
        kind, text = self._peek()
        if kind not in kinds:
            raise self._bad()
        self._at += 1
        return text

    def _took(self, word: str) -> bool:
        kind, text = self._peek()
        if kind in ("word", "sign") and text.casefold() == word:
            self._at += 1
            return True
        return False

    def _order_field(self) -> tuple[str, bool]:
        name = self._next("word").casefold()
        name = _ALIASES.get(name, name)
        descending = self._took("desc")
        if not descending:
            self._took("asc")
        return name, descending

    def _either(self) -> Predicate:
        parts = [self._both()]
        while self._took("or"):
            parts.append(self._both())
        return lambda page: any(part(page) for part in parts)

    def _both(self) -> Predicate:
        parts = [self._single()]
        while self._took("and"):
            parts.append(self._single())
        return lambda page: all(part(page) for part in parts)

    def _single(self) -> Predicate:
        self._depth += 1
        if self._depth > _NESTING:
            raise self._bad()
        try:
            if self._took("not"):
                inner = self._single()
                return lambda page: not inner(page)
            if self._took("("):
                inner = self._either()
                if not self._took(")"):
                    raise self._bad()
                return inner
            return self._clause()
        finally:
            self._depth -= 1

    def _clause(self) -> Predicate:
        name = self._next("word").casefold()
        name = _ALIASES.get(name, name)
        if name in _DATES:
            return self._date(name)
        if name in _WORDS and self._peek()[1] in ("~", "!~"):
            return self._containing(name)
        if name not in _EXACT:
            raise CqlError(f"Could not parse cql : unknown field {name}")
        values_of = _EXACT[name]
        if self._took("="):
            wanted = frozenset((self._value(),))
        elif self._took("!="):
            wanted = frozenset((self._value(),))
            return lambda page: not any(value.casefold() in wanted for value in values_of(page))
        elif self._took("in"):
            wanted = self._values()
        elif self._took("not"):
            if not self._took("in"):
                raise self._bad()
            wanted = self._values()
            return lambda page: not any(value.casefold() in wanted for value in values_of(page))
        else:
            raise self._bad()
        return lambda page: any(value.casefold() in wanted for value in values_of(page))

    def _containing(self, name: str) -> Predicate:
        """Match whole words, as the text index does: a part of a word finds nothing."""
        negated = self._next("sign") == "!~"
        wanted = frozenset(re.findall(r"\w+", self._value()))
        text_of = _WORDS[name]
        return lambda page: (wanted <= frozenset(re.findall(r"\w+", text_of(page).casefold()))) is not negated

    def _date(self, name: str) -> Predicate:
        compare = _COMPARISONS.get(self._next("sign"))
        if compare is None:
            raise self._bad()
        text, date_of = self._value(), _DATES[name]
        for form in ("%Y-%m-%d %H:%M", "%Y/%m/%d %H:%M", "%Y-%m-%d", "%Y/%m/%d"):
            try:
                moment = datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()
            except ValueError:
                continue
            return lambda page: compare(date_of(page) // 60 * 60, moment)
        raise self._bad()

    def _value(self) -> str:
        return self._next("word", "text").casefold()

    def _values(self) -> frozenset[str]:
        if not self._took("("):
            raise self._bad()
        values = [self._value()]
        while self._took(","):
            values.append(self._value())
        if not self._took(")"):
            raise self._bad()
        return frozenset(values)
