"""What JQL and CQL have in common: their words, how conditions are joined, dates, and words of a text."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from typing import TypeVar

T = TypeVar("T")
Condition = Callable[[T], bool]

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
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
_DEEPEST = 60  # brackets; deeper queries are refused rather than recursed into


class QueryError(ValueError):
    """A text that is no query; each language words its refusal in its own way."""


class StrayCharacterError(QueryError):
    """No token begins at this text."""


class NestingError(QueryError):
    """Brackets within brackets within brackets."""


class Kind(Enum):
    WORD = auto()
    TEXT = auto()  # in quotation marks
    SIGN = auto()
    END = auto()


@dataclass(frozen=True, slots=True)
class Token:
    kind: Kind
    text: str
    at: int


class UnexpectedTokenError(QueryError):
    """Something else was wanted where this token stands."""

    def __init__(self, wanted: str, token: Token) -> None:
        super().__init__(wanted)
        self.wanted = wanted
        self.token = token


def _tokens(text: str) -> list[Token]:
    found, at = [], 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if not match:
            raise StrayCharacterError(text[at : at + 20].strip())
        at = match.end()
        kind = match.lastgroup or ""
        word = match[kind]
        shown = _ESCAPE.sub(r"\1", word[1:-1]) if kind == "text" else word
        found.append(Token(Kind[kind.upper()], shown, match.start(kind)))
    return [*found, Token(Kind.END, "", len(text))]


class Tokens:
    """A query's tokens, read one after the other."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._at = 0

    def peek(self) -> Token:
        return self._tokens[self._at]

    def next(self, wanted: str, *kinds: Kind) -> Token:
        """Take a token of one of these kinds."""
        token = self.peek()
        if token.kind not in kinds:
            raise UnexpectedTokenError(wanted, token)
        self._at = min(self._at + 1, len(self._tokens) - 1)  # the end stays the end
        return token

    def is_word(self, word: str) -> bool:
        return self.peek().kind is Kind.WORD and self.peek().text.casefold() == word

    def took(self, *words: str) -> bool:
        """Take the next token if it is one of these words and signs."""
        token = self.peek()
        if token.kind not in (Kind.WORD, Kind.SIGN) or token.text.casefold() not in words:
            return False
        self._at += 1
        return True

    def take(self, word: str) -> None:
        if not self.took(word):
            raise UnexpectedTokenError(f"expecting '{word.upper()}'", self.peek())

    def take_list(self, one: Callable[[], T]) -> list[T]:
        """Take what *one* reads, as often as a comma follows."""
        found = [one()]
        while self.took(","):
            found.append(one())
        return found


def read_condition(tokens: Tokens, clause: Callable[[], Condition[T]], depth: int = 0) -> Condition[T]:
    """Read clauses joined by AND, OR, NOT and brackets as one test."""
    either = [_both(tokens, clause, depth)]
    while tokens.took("or"):
        either.append(_both(tokens, clause, depth))
    return lambda item: any(part(item) for part in either)


def _both(tokens: Tokens, clause: Callable[[], Condition[T]], depth: int) -> Condition[T]:
    both = [_single(tokens, clause, depth)]
    while tokens.took("and"):
        both.append(_single(tokens, clause, depth))
    return lambda item: all(part(item) for part in both)


def _single(tokens: Tokens, clause: Callable[[], Condition[T]], depth: int) -> Condition[T]:
    if depth >= _DEEPEST:
        raise NestingError
    if tokens.took("not"):
        inner = _single(tokens, clause, depth + 1)
        return lambda item: not inner(item)
    if tokens.took("("):
        inner = read_condition(tokens, clause, depth + 1)
        tokens.take(")")
        return inner
    return clause()


def read_date(text: str) -> float | None:
    """Read a date, with a time or without; None where it is none."""
    for form in _DATE_FORMATS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()
        except ValueError:
            continue
    return None


def words_of(text: str) -> frozenset[str]:
    """Return the whole words of a text, as the text index holds them."""
    return frozenset(re.findall(r"\w+", text.casefold()))
