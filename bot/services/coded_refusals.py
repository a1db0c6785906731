"""What services mean that answer with status 200 and a number of their own: each lists its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from bot.errors import AccountError, GoneError, IntegrationError, MissingError, PermanentError, Reach, RetryableError
from bot.services.refusals import Service, with_advice
from bot.text.escape import to_plain

_WORDS = 400  # characters of a service's own words that an error repeats


class Meaning(Enum):
    BUSY = auto()  # nothing was done
    BROKE = auto()  # perhaps it was done all the same
    ACCOUNT = auto()
    MISSING = auto()  # what config names
    CHANNEL = auto()  # closed to us
    KIND = auto()  # a permission is missing
    GONE = auto()  # the message


@dataclass(frozen=True, slots=True)
class Coded:
    """What a number means, and what helps."""

    meaning: Meaning
    advice: str = ""
    wait: float | None = None  # seconds


def refusal_by_code(
    service: Service, doing: str, code: int | str, words: str, codes: Mapping[int | str, Coded], *, write: bool
) -> IntegrationError:
    """Build the error that a number means; one that nobody lists is the end of what was asked."""
    said = service.mask(to_plain(" ".join(words.split()))[:_WORDS]) or "nothing"
    known = codes.get(code)
    message = f"{service.name} did not {doing} ({code}): {said}"
    if known is None:
        return PermanentError(message)
    message = with_advice(message, known.advice)
    match known.meaning:
        case Meaning.BUSY:
            return RetryableError(message, doubtful=False, retry_after=known.wait)
        case Meaning.BROKE:
            return RetryableError(message, doubtful=write)
        case Meaning.ACCOUNT:
            return AccountError(message)
        case Meaning.MISSING:
            return MissingError(message)
        case Meaning.CHANNEL:
            return MissingError(message, reach=Reach.CHANNEL)
        case Meaning.KIND:
            return AccountError(message, reach=Reach.KIND)
        case Meaning.GONE:
            return GoneError(message)
