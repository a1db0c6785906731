"""Parses JSON that anybody may have written: whatever is wrong with it is one kind of error."""

import json
from typing import Any


def parse_json(text: str | bytes) -> Any:
    """Give what a JSON text says; raise ValueError for what is none, and for one that is nested too deep."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
