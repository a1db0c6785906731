"""How a job file says what a table's file is like, where the file itself does not tell."""

import codecs
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from trainer.jobs.fields import FilePath, Name, Names, Section, SomeNames

TIME_UNITS = ("seconds", "milliseconds", "microseconds", "nanoseconds", "excel", "steps")
SAMPLE_TIME = datetime(2017, 4, 25, 12, 30)  # noqa: DTZ001 - only written and read again


def _check_encoding(value: str) -> str:
    try:
        known = codecs.lookup(value)._is_text_encoding  # noqa: SLF001 - rot13 and base64 are codecs too
    except (LookupError, ValueError):
        known = False
    if not known:
        raise ValueError("not an encoding this knows: utf-8, gb18030, utf-16, cp1252 and latin-1 are some")
    return value


def _check_time_format(value: str) -> str:
    if value in TIME_UNITS:
        return value
    try:
        read = datetime.strptime(SAMPLE_TIME.strftime(value), value)  # noqa: DTZ007 - the zone is the pattern's matter
    except ValueError:
        read = None
    if read is None or read.year != SAMPLE_TIME.year:
        units = ", ".join(f'"{unit}"' for unit in TIME_UNITS)
        raise ValueError(f'not a way to write times: {units} or a pattern such as "%d/%m/%Y %H:%M" are')
    return value


def _check_delimiter(value: str) -> str:
    if '"' in value or "\n" in value or "\r" in value:
        raise ValueError('not a delimiter: ",", ";", "\\t", "|" and "::" are some')
    return value


Encoding = Annotated[Name, AfterValidator(_check_encoding)]
TimeFormat = Annotated[Name, AfterValidator(_check_time_format)]
Delimiter = Annotated[str, Field(min_length=1, max_length=8), AfterValidator(_check_delimiter)]


class TextTable(Section):
    """A table's file or folder; what is left out is told from the file."""

    path: FilePath
    delimiter: Delimiter | None = None  # of tables of text; several characters, such as "::", quote nothing
    encoding: Encoding | None = None
    header: Names | None = None  # the columns' names, where the file has no row of them
    quotes: Literal["none", "multiline"] | None = None  # none: a quote is a letter; multiline: a text may have lines
    decimal: Literal[".", ","] | None = None  # what parts a number's whole from the rest
    missing: SomeNames | None = None  # words that mean nothing is there, instead of NULL, nan, \N and the like


class JoinedTable(TextTable):
    """A table that is looked up by ids: it gives the columns that the first table does not have."""

    on: Names  # the columns of both that have to agree
    key: Names | None = None  # their names in this table, where they are others

    @model_validator(mode="after")
    def _pairs_its_keys(self) -> "JoinedTable":
        if self.key is not None and len(self.key) != len(self.on):
            raise ValueError(
                f"key names {len(self.key)} columns and on {len(self.on)}: they are held together in order"
            )
        return self

    @property
    def keys(self) -> tuple[str, ...]:
        return self.key or self.on


class TableFile(TextTable):
    join: Annotated[tuple[JoinedTable, ...], Field(strict=False)] | None = None
