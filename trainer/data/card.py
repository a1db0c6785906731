"""The data card: what went into a snapshot and what was left out, as flat facts a guard can compare between runs."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trainer.data.json_texts import parse_json
from trainer.errors import DataError

CARD_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class DataCard:
    """What is known of the data; a fact that a kind of data does not have is None and not written."""

    source: str
    rows_in: int
    rows_kept: int
    dropped: dict[str, int]  # reason -> rows, in the order the rules were applied
    catalogue_size: int
    distinct_texts: int  # of the catalogue
    test_examples: int  # baskets of users, or queries
    hash: str  # sha256 of the content, whatever the file format
    users: int | None = None
    trips: int | None = None  # user and day
    queries: int | None = None
    test_targets: int | None = None  # items in the baskets, or judged rows
    first_day: str | None = None  # ISO dates, both included
    last_day: str | None = None
    test_from: str | None = None  # the first day that is not history
    split: str | None = None  # how parts were told apart, in words
    parts: dict[str, int] | None = None  # part -> rows
    mended: dict[str, int] | None = None  # what was changed and kept, reason -> how many
    read_as: dict[str, str] | None = None  # file -> encoding or delimiter, where the file told it and not the job
    leaks: dict[str, int] | None = None  # kind -> rows of the test found on the other side
    not_compared: int | None = None  # texts that resemble too many to be held against all of them
    pictures: int | None = None  # products of the catalogue that have one
    pictures_missing: int | None = None  # and that have none, or one that cannot be read
    cut: dict[str, float] | None = None  # kind of text -> share that is longer than the model reads
    unknown: dict[str, float] | None = None  # kind of text -> share of its tokens that the model does not know
    explained: dict[str, str] | None = None  # reason -> the rule in words
    test_hash: str | None = None  # sha256 of what a run is scored on: trainer.data.scored_hash

    def facts(self) -> dict[str, Any]:
        facts = {"schema": CARD_SCHEMA} | {name: value for name, value in asdict(self).items() if value is not None}
        facts["rows_dropped"] = self.rows_in - self.rows_kept
        days = facts.pop("first_day", None), facts.pop("last_day", None)
        return facts if None in days else facts | {"time_range": list(days)}


def write_card(card: DataCard, path: Path) -> None:
    path.write_text(json.dumps(card.facts(), indent=2) + "\n", encoding="utf-8")


def read_card(path: Path) -> DataCard:
    """Read a data card; raise DataError."""
    try:
        facts = parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: there is no data card, so this is not a snapshot") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(facts, dict) or facts.pop("schema", None) != CARD_SCHEMA:
        raise DataError(f"{path}: not a data card of schema {CARD_SCHEMA}")
    facts.pop("rows_dropped", None)
    try:
        first_day, last_day = facts.pop("time_range", (None, None))
        return DataCard(first_day=first_day, last_day=last_day, **facts)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not a complete data card: {error}") from None
