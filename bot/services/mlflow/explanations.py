"""Reads why some examples of a run were answered so, whatever somebody has written there."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bot.domain.runs import ExplainedExample, Trouble
from bot.errors import in_short
from bot.services.mlflow.unreadable import UnreadableError
from bot.text.escape import storable

MOST_BYTES = 1_000_000
_SCHEMA = 1
_MOST = 20  # examples
_WORDS = 5  # of one that are named
_LONGEST = 200  # characters of a text
_LONGEST_WORD = 60


def read_explanations(path: Path) -> tuple[tuple[ExplainedExample, ...], str]:
    """Return what carried the answers, the examples in their order, and in words what of the file was left out.

    :raises UnreadableError: where it is not what docs/job-protocol.md says, within the bounds.
    """
    if path.stat().st_size > MOST_BYTES:
        raise UnreadableError(Trouble.TOO_LARGE, f"{path.stat().st_size:,} bytes; at most {MOST_BYTES:,} are read")
    try:
        told = json.loads(path.read_bytes())
    except RecursionError:
        raise UnreadableError(Trouble.BROKEN, "it is nested too deep") from None
    except ValueError as error:
        raise UnreadableError(Trouble.BROKEN, f"not JSON: {in_short(error)}") from error
    if not isinstance(told, dict) or not isinstance(told.get("explanations"), list):
        raise UnreadableError(Trouble.BROKEN, "it should hold an object with a list of explanations")
    if told.get("schema") != _SCHEMA:
        raise UnreadableError(Trouble.BROKEN, f"schema {storable(str(told.get('schema')))[:20]}; {_SCHEMA} is read")
    listed = told["explanations"]
    found = [_read(one) for one in listed[:_MOST]]
    lost = sum(one is None for one in found) + max(0, len(listed) - _MOST)
    return tuple(one for one in found if one is not None), f"{lost} of {len(listed)} explanations" if lost else ""


def _read(told: Any) -> ExplainedExample | None:
    """Read one; None where it is none, and nothing of one that its own check does not hold."""
    if not isinstance(told, dict) or not isinstance(told.get("words", []), list):
        return None
    if told.get("method") is None:
        return ExplainedExample(_text(told.get("example_id")), _text(told.get("asked")), _text(told.get("product")))
    checked = told.get("deletion")
    words = [each for each in told["words"] if isinstance(each, dict) and each.get("named") is True]
    named, by_chance = (_number(checked, key) for key in ("named", "by_chance"))
    if named is None or by_chance is None or named <= by_chance or not words:
        return None
    heaviest = sorted(words, key=lambda each: -abs(_number(each, "weight") or 0.0))[:_WORDS]
    return ExplainedExample(
        _text(told.get("example_id")),
        _text(told.get("asked")),
        _text(told.get("product")),
        tuple(_text(each.get("text"))[:_LONGEST_WORD] for each in heaviest),
        _text(told["method"])[:_LONGEST_WORD],
        named,
        by_chance,
    )


def _text(value: Any) -> str:
    return storable(str(value))[:_LONGEST] if isinstance(value, str | int) else ""


def _number(told: Any, key: str) -> float | None:
    value = told.get(key) if isinstance(told, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None
