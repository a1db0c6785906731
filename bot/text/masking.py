"""What is struck out of other people's texts before anybody is shown them."""

from __future__ import annotations

import re
from collections.abc import Iterable

STRUCK_OUT = "\u2588\u2588\u2588"

NAMED = {
    "email": r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}",
    "number": r"\+?\d(?:[ ()/.-]{0,2}\d){5,}",  # telephones, cards, accounts: six digits and more
}


def read_mask(pattern: str) -> str:
    """Return the regular expression that *pattern* names, or is; raises ValueError where it is none."""
    written = NAMED.get(pattern, pattern)
    try:
        matches_nothing = re.compile(written).fullmatch("") is not None
    except re.error as error:
        raise ValueError(f"{pattern!r} is neither one of {sorted(NAMED)} nor a regular expression: {error}") from None
    if matches_nothing:
        raise ValueError(f"{pattern!r} matches an empty text, and so everything: name what should be struck out")
    return written


def strike_out(text: str, patterns: Iterable[str]) -> str:
    """Put black bars where any of the patterns of :func:`read_mask` matches."""
    for pattern in patterns:
        text = re.sub(pattern, STRUCK_OUT, text)
    return text
