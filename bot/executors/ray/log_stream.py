"""A part of the log that Ray gives as one JSON string, however long that is: read as it comes, never held whole."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator

_OPENING = re.compile(r'\s*\{\s*"logs"\s*:\s*"')
_LONGEST_OPENING = 1000
_HIGH = "[dD][89abAB][0-9a-fA-F]{2}"  # the first half of a character that takes two escapes
_WHOLE = re.compile(
    rf'(?:[^"\\]+|\\[^u]|\\u{_HIGH}\\u[0-9a-fA-F]{{4}}|\\u{_HIGH}(?=[^\\]|\\[^u])|\\u(?!{_HIGH})[0-9a-fA-F]{{4}})*+'
)


def part_from(chunks: Iterable[bytes], offset: int, limit: int) -> bytes:
    """Return what stands from *offset* on, in bytes of UTF-8, *limit* of them at most.

    A character that the job had only begun to write comes as one that cannot be read; it is left for the next part.

    Raises:
        ValueError: where the answer is no log.
    """
    passed, part = 0, bytearray()
    for text in _texts(chunks):
        data = text.encode("utf-8", "replace")
        if passed + len(data) > offset:
            part += data[max(offset - passed, 0) :]
        passed += len(data)
        if len(part) > limit:
            return part[:limit].decode("utf-8", "ignore").encode()
    return bytes(part).removesuffix("\ufffd".encode())


def _texts(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield the text of the log, piece by piece."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    waiting, is_open = "", False
    for chunk in chunks:
        waiting += decoder.decode(chunk)
        if not is_open:
            opening = _OPENING.match(waiting)
            if opening is None and len(waiting) > _LONGEST_OPENING:
                break
            if opening is None:
                continue
            waiting, is_open = waiting[opening.end() :], True
        end = _end_of(waiting)
        yield str(json.loads(f'"{waiting[:end]}"', strict=False))
        waiting = waiting[end:]
        if waiting.startswith('"'):
            return
    raise ValueError("breaks off" if is_open else "is no log")


def _end_of(text: str) -> int:
    """Return how far the text goes in whole characters: to the quote that ends it, or to an escape that is cut."""
    found = _WHOLE.match(text)
    return found.end() if found else 0
