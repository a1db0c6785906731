"""Explanations as JSON: what `explain --json` prints and a run keeps in explanations.json (docs/job-protocol.md)."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainer.data.json_texts import parse_json
from trainer.errors import DataError
from trainer.explaining.explanation import Deletion, Explanation, Method, Side, WeighedPart

EXPLANATIONS = "explanations.json"
SCHEMA = 1


def as_json(explained: Sequence[Explanation]) -> dict[str, Any]:
    """Give what read_explanations reads."""
    return {"schema": SCHEMA, "explanations": [_plain(one) for one in explained]}


def write_explanations(explained: Sequence[Explanation], path: Path) -> None:
    """Write them as a run keeps them."""
    path.write_text(json.dumps(as_json(explained), indent=2, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")


def read_explanations(path: Path) -> list[Explanation]:
    """Read what a run kept; raise DataError."""
    try:
        told = parse_json(path.read_text(encoding="utf-8"))
        if told["schema"] != SCHEMA:
            raise DataError(f"{path}: schema is {told['schema']!r}; this version reads {SCHEMA}")
        return [_read(one) for one in told["explanations"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not explanations that can be read: {type(error).__name__}: {error}") from None


def _plain(one: Explanation) -> dict[str, Any]:
    found = one.deletion
    return {
        "example_id": one.example_id,
        "asked": one.asked,
        "product": one.product,
        "answer": one.answer,
        "score": one.score,
        "unit": one.unit,
        "method": None if one.method is None else one.method.value,
        "deletion": None
        if found is None
        else {"named": found.named, "by_chance": found.by_chance, "beaten": found.beaten},
        "words": [
            {"text": part.text, "side": part.side.value, "weight": part.weight, "named": part.is_named}
            | ({"nearest": part.nearest} if part.nearest else {})
            for part in one.parts
        ],
        "unfit": one.unfit,
    }


def _read(told: dict[str, Any]) -> Explanation:
    found = told["deletion"]
    if told["method"] is not None and found is None:
        raise ValueError("'method' is there and 'deletion' is null: nothing is shown that was not held to it")
    return Explanation(
        asked=str(told["asked"]),
        product=str(told["product"]),
        answer=str(told["answer"]),
        score=float(told["score"]),
        unit=str(told["unit"]),
        method=None if told["method"] is None else Method(told["method"]),
        parts=tuple(
            WeighedPart(
                str(word["text"]),
                Side(word["side"]),
                None if word["weight"] is None else float(word["weight"]),
                bool(word["named"]),
                str(word.get("nearest", "")),
            )
            for word in told["words"]
        ),
        deletion=None if found is None else Deletion(**{name: float(value) for name, value in found.items()}),
        unfit=str(told["unfit"]),
        example_id=str(told["example_id"]),
    )
