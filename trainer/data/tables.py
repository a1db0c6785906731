"""Reads tables as teams have them, a batch at a time: CSV, Parquet, JSON lines, gzipped or not, a file or a folder."""

import csv
import gzip
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from trainer.errors import DataError

ROWS_AT_A_TIME = 65_536
BYTES_AT_A_TIME = 1 << 22
DELIMITED = {".csv": ",", ".tsv": "\t"}
LINES = (".jsonl", ".ndjson")
PARQUET = (".parquet", ".pq")
MAGIC = b"PAR1"
GZIP_FACTOR, ROW_BYTES = 5, 40  # what gzip makes of such text, and a row of a log: for the estimate alone
ENDINGS = (*DELIMITED, *LINES, *PARQUET)


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of one file: texts, numbers or times as the file has them, not yet what they have to be."""

    path: Path
    first_row: int  # from 1, the header not counted
    columns: dict[str, Any]  # name -> pyarrow array
    rows: int


@dataclass(frozen=True, slots=True)
class Format:
    """How a file is read: by its ending, or as parquet by its first bytes."""

    ending: str
    gzipped: bool


def read_batches(path: Path, names: Iterable[str], *, rows: int = ROWS_AT_A_TIME) -> Iterator[Batch]:
    """Give the named columns of a file, or of every table in a folder by name; raise DataError."""
    wanted = tuple(dict.fromkeys(names))
    for file in list_tables(path):
        form = _recognise(file)
        if form.ending in PARQUET:
            yield from _read_parquet(file, wanted, rows)
        elif form.ending in LINES:
            yield from _read_lines(file, form, wanted, rows)
        else:
            yield from _read_delimited(file, form, wanted, rows)


def list_tables(path: Path) -> list[Path]:
    """Give the files a source is made of, in the order of their names."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DataError(f"{path}: there is no such file or folder")
    inside = (file for file in path.rglob("*") if file.is_file())
    shown = (file for file in inside if not any(part[0] in "._" for part in file.relative_to(path).parts))
    found = sorted(file for file in shown if _plain_ending(file)[0] in ENDINGS)
    if not found:
        raise DataError(f"{path}: the folder holds no table; {', '.join(ENDINGS)} are read, each also with .gz")
    return found


def estimate_rows(path: Path) -> int:
    """Say about how many rows a source has: parquet knows, of text a row is taken to have forty bytes."""
    return sum(_rows_in(file) for file in list_tables(path))


def _rows_in(path: Path) -> int:
    form = _recognise(path)
    if form.ending in PARQUET:
        try:
            return int(pq.read_metadata(path).num_rows)
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{path}: not a parquet table: {_first_line(error)}") from None
    return path.stat().st_size * (GZIP_FACTOR if form.gzipped else 1) // ROW_BYTES


def _plain_ending(path: Path) -> tuple[str, bool]:
    gzipped = path.suffix.lower() == ".gz"
    return (path.with_suffix("") if gzipped else path).suffix.lower(), gzipped


def _recognise(path: Path) -> Format:
    ending, gzipped = _plain_ending(path)
    if ending in ENDINGS:
        return Format(ending, gzipped)
    with path.open("rb") as stream:
        if stream.read(len(MAGIC)) == MAGIC:
            return Format(PARQUET[0], gzipped=False)
    raise DataError(f"{path}: not a table this can read; {', '.join(ENDINGS)} are, each also with .gz")


def _check_columns(path: Path, wanted: Sequence[str], present: Sequence[str]) -> None:
    for name in wanted:
        if name not in present:
            raise DataError(f"{path}: column '{name}' is missing; it has {', '.join(present)}")


def _read_parquet(path: Path, wanted: Sequence[str], rows: int) -> Iterator[Batch]:
    first = 1
    try:
        with pq.ParquetFile(path) as file:
            _check_columns(path, wanted, file.schema_arrow.names)
            for batch in file.iter_batches(batch_size=rows, columns=list(wanted)):
                yield Batch(path, first, {name: batch.column(name) for name in wanted}, batch.num_rows)
                first += batch.num_rows
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: not a parquet table: {_first_line(error)}") from None


def _read_delimited(path: Path, form: Format, wanted: Sequence[str], rows: int) -> Iterator[Batch]:
    """Read everything as text: what a column is, its first rows cannot say."""
    _check_columns(path, wanted, _header(path, form))
    convert = pa_csv.ConvertOptions(
        include_columns=list(wanted),
        column_types=dict.fromkeys(wanted, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
    )
    parse = pa_csv.ParseOptions(delimiter=DELIMITED[form.ending], newlines_in_values=True)
    read = pa_csv.ReadOptions(block_size=BYTES_AT_A_TIME, use_threads=False)
    first = 1
    try:
        with (
            pa.input_stream(str(path), compression="gzip" if form.gzipped else None) as stream,
            pa_csv.open_csv(stream, read, parse, convert) as reader,
        ):
            for block in reader:
                for start in range(0, block.num_rows, rows):
                    batch = block.slice(start, rows)
                    yield Batch(path, first, {name: batch.column(name) for name in wanted}, batch.num_rows)
                    first += batch.num_rows
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: not a table of text, near row {first}: {_first_line(error)}") from None


def _header(path: Path, form: Format) -> list[str]:
    try:
        with _open_text(path, form) as stream:
            header = next(csv.reader(stream, delimiter=DELIMITED[form.ending]), None)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a table of UTF-8 text: {_first_line(error)}") from None
    if not header:
        raise DataError(f"{path}: the table is empty; its first row names the columns")
    return header


def _read_lines(path: Path, form: Format, wanted: Sequence[str], rows: int) -> Iterator[Batch]:
    first = 1
    try:
        with _open_text(path, form) as stream:
            while lines := list(islice(stream, rows)):
                records = [_parse_line(path, first + place, line) for place, line in enumerate(lines)]
                if first == 1:
                    _check_columns(path, wanted, list(dict.fromkeys(name for record in records for name in record)))
                values = {name: [record.get(name) for record in records] for name in wanted}
                columns = {name: _column(path, first, name, column) for name, column in values.items()}
                yield Batch(path, first, columns, len(records))
                first += len(records)
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not lines of UTF-8 text, near line {first}: {_first_line(error)}") from None


def _parse_line(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise DataError(f"{path}: line {number} is not JSON: {_first_line(error)}") from None
    if not isinstance(record, dict):
        raise DataError(f"{path}: line {number} is not an object of columns and values")
    return record


def _column(path: Path, first: int, name: str, values: list[Any]) -> Any:
    """Make one array; where numbers and words are mixed, all become words."""
    for place, value in enumerate(values):
        if isinstance(value, (dict, list)):
            raise DataError(f"{path}: line {first + place}: '{name}' is not one value but {json.dumps(value)[:60]}")
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) > 1 and kinds != {int, float}:
        values = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
    return pa.array(values)


def _open_text(path: Path, form: Format) -> IO[str]:
    if form.gzipped:
        return io.TextIOWrapper(gzip.GzipFile(path), encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
