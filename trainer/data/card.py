"""The data card: what went into a snapshot and what was left out, as flat facts a guard can compare between runs."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trainer.errors import DataError

CARD_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class DataCard:
    source: str
    rows_in: int
    rows_kept: int
    dropped: dict[str, int]  # reason -> rows, in the order the rules were applied
    catalogue_size: int
    distinct_texts: int
    users: int
    trips: int  # user and day
    test_examples: int  # users with a trip after the split and a history before it
    test_targets: int  # items in those trips
    first_day: str  # ISO dates, both included
    last_day: str
    test_from: str  # the first day that is not history
    hash: str  # sha256 of the content, whatever the file format

    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = {"schema": CARD_SCHEMA, **asdict(self)}
        facts["rows_dropped"] = self.rows_in - self.rows_kept
        facts["time_range"] = [facts.pop("first_day"), facts.pop("last_day")]
        return facts


def write_card(card: DataCard, path: Path) -> None:
    path.write_text(json.dumps(card.facts(), indent=2) + "\n", encoding="utf-8")


def read_card(path: Path) -> DataCard:
    """Read a data card; raise DataError."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: there is no data card, so this is not a snapshot") from None
    except ValueError as error:
        raise DataError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(facts, dict) or facts.pop("schema", None) != CARD_SCHEMA:
        raise DataError(f"{path}: not a data card of schema {CARD_SCHEMA}")
    facts.pop("rows_dropped", None)
    try:
        first_day, last_day = facts.pop("time_range")
        return DataCard(first_day=first_day, last_day=last_day, **facts)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not a complete data card: {error}") from None
