"""Reads numbers as people write them: 17850.0, 1,234.5, 1.234,5, 2,5, True; what may mean two things is refused."""

import re
from collections.abc import Sequence
from math import inf, isfinite

BEGINS = r"(?=[+-]?[.,]?\d)[+-]?"
EXPONENT = r"([eE][+-]?\d+)?"
POINTED = re.compile(rf"{BEGINS}(\d{{1,3}}(,\d{{3}})+|\d+)?(\.\d*)?{EXPONENT}")  # 1,234.5
COMMAED = re.compile(rf"{BEGINS}(\d{{1,3}}(\.\d{{3}})+|\d+)?(,\d*)?{EXPONENT}")  # 1.234,5
# What can be read in one way only: the second sign parts, a sign that stands twice groups, groups have three digits.
COMMA_DECIMAL = re.compile(r"[+-]?((0|\d{4,}|),\d+|\d+,(\d{0,2}|\d{4,})|\d{1,3}(\.\d{3})+,\d*|\d{1,3}(\.\d{3}){2,})")
POINT_DECIMAL = re.compile(r"[+-]?((0|\d{4,}|)\.\d+|\d+\.(\d{0,2}|\d{4,})|\d{1,3}(,\d{3})+\.\d*|\d{1,3}(,\d{3}){2,})")
UNTOLD = 'a number that can be read in one way only: decimal = "," or decimal = "." says what the comma is'
ENDLESS = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
BOOLEANS = {"true": 1.0, "false": 0.0}


class NotANumber(ValueError):  # noqa: N818 - the text that is none, for whoever knows its row
    def __init__(self, text: str, right: str) -> None:
        super().__init__(text, right)
        self.text, self.right = text, right


def looks_numeric(text: str) -> bool:
    """Say whether a text is a number in some way of writing, endless ones too (they are refused), or True or False."""
    return any(form.fullmatch(text) for form in (POINTED, COMMAED, ENDLESS)) or text.lower() in BOOLEANS


def read_numbers(texts: Sequence[str], decimal: str | None) -> dict[str, float]:
    """Give the number of each distinct text; raise NotANumber for the first that is none."""
    distinct = list(dict.fromkeys(texts))
    sign = decimal or tell_decimal(distinct)
    commas = [text for text in distinct if "," in text]
    if sign is None and commas:
        raise NotANumber(commas[0], UNTOLD)
    return {text: _read(text, sign or ".") for text in distinct}


def tell_decimal(texts: Sequence[str]) -> str | None:
    """Tell a decimal comma from one between thousands by the texts that can be only one of them, if any is."""
    if any(COMMA_DECIMAL.fullmatch(text) for text in texts):
        return ","
    return "." if any(POINT_DECIMAL.fullmatch(text) for text in texts) else None


def _read(text: str, sign: str) -> float:
    if text.lower() in BOOLEANS:
        return BOOLEANS[text.lower()]
    if sign == "," and COMMAED.fullmatch(text):
        number = float(text.replace(".", "").replace(",", "."))
    elif sign == "." and POINTED.fullmatch(text):
        number = float(text.replace(",", ""))
    else:
        number = inf
    if isfinite(number):
        return number
    spoken = "a number" if sign == "." else "a number with a decimal comma, as others are"
    raise NotANumber(text, spoken)
