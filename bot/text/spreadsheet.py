"""Tables as CSV files whose cells no spreadsheet takes for formulas (after OWASP, "CSV Injection").

A text that begins as a formula does gets an apostrophe before it, which spreadsheets show as text; so does one after a
separator inside of a text, since some take semicolons and tabs for the ends of cells whatever is quoted. What is no
more than a number stays one.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence

from bot.text.escape import to_plain

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_BEGINS_FORMULA = re.compile("^([\\s\"'\u2060]*)(?=[=+\\-@\uff1d\uff0b\uff0d\uff20])")
_FORMULA_WITHIN = re.compile('([,;|\\t][\\s"\u2060]*)(?=[=+\\-@\uff1d\uff0b\uff0d\uff20])')


def to_cell(text: str) -> str:
    """Write *text* for a cell of a CSV: on one line, what cannot be seen made visible, and never a formula."""
    plain = to_plain(text)
    if _NUMBER.fullmatch(plain):
        return plain
    return _BEGINS_FORMULA.sub(r"'\1", _FORMULA_WITHIN.sub(r"\1'", plain))


def write_csv(header: Sequence[str], rows: Iterable[Sequence[str | float]]) -> str:
    """Return a table as CSV, all texts quoted; of numbers those that are finite."""
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    writer.writerow([to_cell(name) for name in header])
    for row in rows:
        writer.writerow([to_cell(c) if isinstance(c, str) else c if math.isfinite(c) else "" for c in row])
    return out.getvalue()
