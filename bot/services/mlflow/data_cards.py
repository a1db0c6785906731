"""Reads a run's data card, whatever somebody has written there."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bot.domain.policy import LARGEST
from bot.domain.runs import DataCard, Trouble
from bot.errors import in_short
from bot.services.mlflow.unreadable import UnreadableError
from bot.text.escape import storable

MOST_BYTES = 1_000_000
_MOST_FACTS = 1000
_DEEPEST = 20  # objects and lists in one another
_LONGEST_NAME = 200  # characters
_LONGEST_TEXT = 1000
_NAMED = 3  # of the facts left out


def read_card(path: Path) -> tuple[DataCard, str]:
    """Return the facts of a data card, and in words what of it was left out.

    :raises UnreadableError: where it is no object of facts within the bounds.
    """
    if path.stat().st_size > MOST_BYTES:
        raise UnreadableError(Trouble.TOO_LARGE, f"{path.stat().st_size:,} bytes; at most {MOST_BYTES:,} are read")
    try:
        facts = json.loads(path.read_bytes(), parse_int=_read_int)  # takes UTF-8 with and without a mark, and UTF-16
    except RecursionError:
        raise UnreadableError(Trouble.BROKEN, "it is nested too deep") from None
    except ValueError as error:
        raise UnreadableError(Trouble.BROKEN, f"not JSON: {in_short(error)}") from error
    if not isinstance(facts, dict):
        raise UnreadableError(Trouble.BROKEN, f"it should hold an object, not a {type(facts).__name__}")
    flat = {storable(name)[:_LONGEST_NAME]: value for name, value in _flatten(facts)}
    if len(flat) > _MOST_FACTS:
        raise UnreadableError(Trouble.TOO_LARGE, f"{len(flat):,} facts; at most {_MOST_FACTS:,} are read")
    given = {name: float(v) for name, v in flat.items() if isinstance(v, int | float) and not isinstance(v, bool)}
    numbers = {name: value for name, value in given.items() if abs(value) <= LARGEST}
    texts = {name: storable(v)[:_LONGEST_TEXT] for name, v in flat.items() if isinstance(v, str)}
    left_out = _left_out([name for name in given if name not in numbers])
    return DataCard(_with_share(numbers), texts), left_out


def _with_share(numbers: dict[str, float]) -> Mapping[str, float]:
    """Add which share of the rows was dropped, where it is known; leave out which version of the format it is."""
    rows_in, rows_kept = numbers.get("rows_in"), numbers.get("rows_kept")
    if rows_in and rows_kept is not None and abs(share := 1 - rows_kept / rows_in) <= LARGEST:
        numbers["dropped_share"] = share
    numbers.pop("schema", None)
    return numbers


def _read_int(digits: str) -> float | int:
    """Read a whole number; Python refuses thousands of digits, and floats hold no more than 309."""
    return int(digits) if len(digits) < 300 else math.copysign(math.inf, -1 if digits[0] == "-" else 1)  # noqa: PLR2004


def _left_out(names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}: no number, or one beyond all measure"


def _flatten(facts: Mapping[str, Any], prefix: str = "", depth: int = 1) -> Iterator[tuple[str, Any]]:
    for name, value in facts.items():
        if isinstance(value, dict | list) and _depth(value, depth) > _DEEPEST:
            raise UnreadableError(Trouble.BROKEN, "it is nested too deep")
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.", depth + 1)
        elif isinstance(value, list):
            yield f"{prefix}{name}", " … ".join(str(part) for part in value[:_LONGEST_TEXT])
        else:
            yield f"{prefix}{name}", value


def _depth(value: Any, above: int) -> int:
    """Return how deep objects and lists are nested, as far as it matters."""
    if above > _DEEPEST or not isinstance(value, dict | list):
        return above
    parts = value.values() if isinstance(value, dict) else value
    return max((_depth(part, above + 1) for part in parts if isinstance(part, dict | list)), default=above + 1)
