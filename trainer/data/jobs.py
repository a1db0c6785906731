"""The [data] section of a job file: where tables are, which column is what, how to clean and to split."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, model_validator

from trainer.sections import Count, FilePath, Name, Names, Section, Share, SomeNames

LeakPolicy = Literal["refuse", "warn"]


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
    part: Name | None = None  # train, valid or test
    user: Name | None = None
    time: Name | None = None
    slices: SomeNames = ()


class ProductsFile(Section):
    path: FilePath
    id: Name
    text: Names


class PairsData(Section):
    kind: Literal["pairs"]
    path: FilePath
    columns: PairColumns
    split: SplitJob
    leak_check: LeakPolicy = "refuse"
    products: ProductsFile | None = None  # further rows of the catalogue
    catalogue: Count | None = None  # cut it: products of the test rows first, the others by ascending id
