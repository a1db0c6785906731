"""The [data] section of a job file: where tables are, which column is what, how to clean and to split."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from trainer.jobs.fields import Count, FilePath, Name, Names, Positive, Section, Share, SomeNames
from trainer.jobs.tables import TableFile, TimeFormat

LeakPolicy = Literal["refuse", "warn"]


def _check_pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return value


def _check_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError("not a time zone: America/New_York is one") from None
    return value


def _as_words(value: object) -> object:
    """Read one or a list; behaviours are often numbers, and 4 is as good as "4"."""
    values = value if isinstance(value, (list, tuple)) else (value,)
    return tuple(str(one) if type(one) is int else one for one in values)


TimeZone = Annotated[Name, AfterValidator(_check_zone)]
Pattern = Annotated[Name, AfterValidator(_check_pattern)]
Patterns = Annotated[tuple[Pattern, ...], Field(strict=False)]
Behaviours = Annotated[tuple[Name, ...], BeforeValidator(_as_words), Field(strict=False)]


class SplitJob(Section):
    by: Literal["column", "time", "query", "user"]
    test: Share = 0.1  # of the rows, queries or users
    valid: Share = 0.1
    test_from: date | None = None  # by time: the first day of the test, instead of a share
    valid_from: date | None = None
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _leaves_something_to_learn_from(self) -> "SplitJob":
        if self.test + self.valid >= 1:
            raise ValueError(f"test = {self.test} and valid = {self.valid} leave nothing to learn from")
        return self


class PairColumns(Section):
    """Names of columns; a text may be made of several, joined by spaces."""

    query: Names
    product: Names
    label: Name | None = None  # without it every pair counts as relevant
    query_id: Name | None = None  # default: the text is the id
    product_id: Name | None = None
    image: Name | None = None  # the product's picture: a file's path, or its bytes
    part: Name | None = None  # train, valid or test
    user: Name | None = None
    time: Name | None = None
    slices: SomeNames = ()


class ProductsFile(TableFile):
    id: Name
    text: Names
    image: Name | None = None  # as columns.image


class PairCleaning(Section):
    duplicates: bool | None = None  # the same query, product, label, user, time, slices again; default: see CleaningJob
    lowest: float | None = None  # labels outside are impossible
    highest: float | None = None


class PairsData(TableFile):
    kind: Literal["pairs"]
    columns: PairColumns
    time_format: TimeFormat | None = None  # how times are written; default: told from them
    grades: Mapping[str, float] | None = None  # what the words in the column of labels are worth
    split: SplitJob
    cleaning: PairCleaning = PairCleaning()
    spelling: bool = False  # words of a query that no product has are read as the nearest that one has
    leak_check: LeakPolicy = "refuse"
    products: ProductsFile | None = None  # further rows of the catalogue
    catalogue: Count | None = None  # how many are searched: products of the test rows first, the others by id
    images: FilePath | None = None  # the folder that paths of pictures start from; default: that of their table

    @model_validator(mode="after")
    def _names_what_it_splits_by(self) -> "PairsData":
        needed = {"column": "part", "time": "time", "user": "user"}.get(self.split.by)
        if needed is not None and getattr(self.columns, needed) is None:
            raise ValueError(f'split.by = "{self.split.by}" needs columns.{needed}')
        if self.grades is not None and self.columns.label is None:
            raise ValueError("grades says what labels are worth and needs columns.label")
        if self.images is not None and not self.has_pictures:
            raise ValueError("images is the folder of pictures, and no column names one: columns.image, products.image")
        return self

    @property
    def has_pictures(self) -> bool:
        """Say whether products have a column of pictures."""
        return self.columns.image is not None or (self.products is not None and self.products.image is not None)


class InteractionColumns(Section):
    user: Name
    item: Name
    time: Name
    value: Name | None = None  # how much or how often; 1 without it
    price: Name | None = None
    event: Name | None = None  # the order, invoice or session a row belongs to
    behaviour: Name | None = None  # what was done: view, cart, buy; `cleaning.behaviours` says which to keep
    rating: Name | None = None  # how it was liked; `cleaning.lowest_rating` says from where on to keep
    text: SomeNames = ()  # the item's text, where the rows carry it


class ItemsFile(TableFile):
    id: Name
    text: Names
    group: Name | None = None  # results are shown by it too
    merge: bool = False  # ids with the same text and group are one item


class UsersFile(TableFile):
    id: Name  # who is not listed is left out


class CleaningJob(Section):
    """What is thrown away; every rule counts what it took."""

    duplicates: bool | None = (
        None  # the same row once more; default: yes, if times are finer than an hour or events have ids
    )
    behaviours: Behaviours = ()  # only these of `columns.behaviour` are kept
    lowest_rating: float | None = None  # only rows of `columns.rating` from here on are kept
    cancelled: Pattern | None = None  # of the event's id; without it a negative value takes an earlier event back
    not_items: Patterns = ()  # of the whole item id
    not_groups: Patterns = ()  # of the item's whole group
    not_texts: Patterns = ()  # anywhere in the item's text
    outliers: Positive | None = None  # value or price so many robust deviations (of the logarithm) above the median
    robots: Positive | None = None  # users whose events a day are so many robust deviations above the median
    min_users: Count = 1  # items of fewer users, before the test, are left out


class HoldoutJob(Section):
    """Which trips a next-item model is tested on; what lies at the same time or later is never its history."""

    by: Literal["time", "last"] = "time"  # everybody's first trip from a day on, or everybody's last trip
    test: Share = 0.1  # by time: the latest share of the events, if no day is given
    test_from: date | None = None
    valid: Share = 0.1  # by time: what lies before the test, to choose settings on
    valid_from: date | None = None
    score_on: Literal["test", "valid"] = "test"  # valid: as if the test were not there
    seed: Annotated[int, Field(ge=0)] = 0  # of histories: which rows to choose settings on


class InteractionsData(TableFile):
    kind: Literal["interactions"]
    columns: InteractionColumns
    time_format: TimeFormat | None = None  # how times are written; default: told from them
    items: ItemsFile | None = None
    users: UsersFile | None = None
    cleaning: CleaningJob = CleaningJob()
    trip: Literal["moment", "day"] = "moment"  # what of one user belongs together
    time_zone: TimeZone | None = None  # where days begin, if the times are UTC
    holdout: HoldoutJob = HoldoutJob()
    leak_check: LeakPolicy = "refuse"

    @model_validator(mode="after")
    def _names_what_it_keeps(self) -> "InteractionsData":
        if bool(self.cleaning.behaviours) != (self.columns.behaviour is not None):
            raise ValueError('columns.behaviour and cleaning.behaviours, such as ["buy"], go together')
        if (self.cleaning.lowest_rating is None) != (self.columns.rating is None):
            raise ValueError("columns.rating and cleaning.lowest_rating, such as 4.0, go together")
        return self


class HistoryColumns(Section):
    user: Name
    history: Name  # item ids, oldest first
    target: Name
    part: Name


class HistoriesData(TableFile):
    """Rows of a history and its next item, without times: a place in the history counts as a day."""

    kind: Literal["histories"]
    columns: HistoryColumns
    items: ItemsFile
    separator: Name | None = None  # between the ids of a history; default: blanks, commas, semicolons or bars
    learn: Names = ("train",)  # parts, by their names in the column
    test: Names = ("test",)
    holdout: HoldoutJob = HoldoutJob()
    leak_check: LeakPolicy = "refuse"
