"""A line of the log as one JSON object, for machines that read it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

_HALF_A_CHARACTER = re.compile("[\ud800-\udfff]")  # no text has it, and readers of JSON end at it
_UNREADABLE = "\ufffd"


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


def as_json_line(_logger: object, _method: str, event: Mapping[str, Any]) -> str:
    """Write time, level and event first; whatever stands in a value, this is one line of ASCII."""
    known = {"time": event.get("timestamp", ""), "level": event.get("level", ""), "event": event.get("event", "")}
    others = {name: value for name, value in event.items() if name not in {"timestamp", *known}}
    return json.dumps({_readable(name): _readable(value) for name, value in (known | others).items()}, allow_nan=False)


def _readable(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return str(value)
        case str():
            return _HALF_A_CHARACTER.sub(_UNREADABLE, value)
        case bool() | int() | float() | None:
            return value
        case _:
            return _readable(str(value))
