"""Reads tables as teams have them, a batch at a time: text, Parquet, JSON lines, gzipped or not, a file or a folder."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from trainer.data.batches import Batch, Notes
from trainer.data.delimited import column_names, read_delimited
from trainer.data.json_lines import line_names, read_lines
from trainer.data.lookup import Lookup, make_lookup
from trainer.errors import DataError
from trainer.jobs.tables import TableFile, TextTable

ROWS_AT_A_TIME = 65_536
BATCH_BYTES = 16 << 20  # of the rows of Parquet that are read at a time, about: pictures may be among them
READ_AHEAD = 1 << 20  # bytes of a column; else all of a row group's would be in memory
DELIMITED: dict[str, str | None] = {".csv": ",", ".tsv": "\t", ".txt": None, ".dat": None, ".data": None}
LINES = (".jsonl", ".ndjson", ".json")
PARQUET = (".parquet", ".pq")
MAGIC = b"PAR1"
GZIP_FACTOR, ROW_BYTES = 5, 40  # what gzip makes of such text, and a row of a log: for the estimate alone
ENDINGS = (*DELIMITED, *LINES, *PARQUET)
LOOSE = (".txt", ".dat", ".data", ".json")  # in a folder these may be anything: read where there is nothing else

# Tables too, though not read: where some lie among others, part of the rows would be left out without a word.
OTHERS = (".bz2", ".xz", ".zst", ".lz4", ".zip", ".7z", ".tar", ".tgz", ".xlsx", ".xls", ".avro", ".orc", ".feather")


@dataclass(frozen=True, slots=True)
class Format:
    """How a file is read: by its ending, or as parquet by its first bytes."""

    ending: str
    gzipped: bool


def read_batches(
    source: TextTable | Path, names: Iterable[str], *, rows: int = ROWS_AT_A_TIME, notes: Notes | None = None
) -> Iterator[Batch]:
    """Give the named columns of a file, or of every table in a folder by name; raise DataError.

    What the file has is taken from it, the rest from the tables it is joined with, which are held in memory.
    """
    table = TextTable(path=source) if isinstance(source, Path) else source
    notes = Notes() if notes is None else notes
    wanted = tuple(dict.fromkeys(names))
    lookups = _load_joins(table, wanted, notes)
    joined = frozenset(name for lookup in lookups for name in lookup.columns)
    needed = tuple(dict.fromkeys((*wanted, *(name for lookup in lookups for name in lookup.on))))
    missing = None if table.missing is None else frozenset(table.missing)
    for file in list_tables(table.path):
        for batch in _read_file(table, file, needed, joined, rows, notes):
            told = replace(batch, missing=missing, decimal=table.decimal)
            for lookup in lookups:
                told = lookup.add_to(told)
            yield told
    for lookup in lookups:
        lookup.check_matches(table.path, notes)


def _read_file(
    table: TextTable, file: Path, wanted: Sequence[str], joined: Collection[str], rows: int, notes: Notes
) -> Iterator[Batch]:
    form = _recognise(file)
    _check_keys(table, file, form)
    if form.ending in PARQUET:
        return _read_parquet(file, wanted, joined, rows)
    if form.ending in LINES:
        return read_lines(file, wanted, joined, gzipped=form.gzipped, encoding=table.encoding, rows=rows, notes=notes)
    usual = DELIMITED[form.ending]
    return read_delimited(table, file, wanted, joined, usual=usual, gzipped=form.gzipped, rows=rows, notes=notes)


def _check_keys(table: TextTable, file: Path, form: Format) -> None:
    """Raise DataError for a key that such a file has no use for: whoever set it means another file."""
    if form.ending in DELIMITED:
        return
    keys = ("delimiter", "header", "quotes") if form.ending in LINES else ("delimiter", "header", "quotes", "encoding")
    for key in keys:
        if getattr(table, key) is not None:
            raise DataError(f"{file}: key '{key}' is for tables of text; this is {form.ending.removeprefix('.')}")


def _load_joins(table: TextTable, wanted: Sequence[str], notes: Notes) -> list[Lookup]:
    """Read the tables a source is joined with: of each the columns that are wanted and that none before it has."""
    joins = (table.join or ()) if isinstance(table, TableFile) else ()
    lookups: list[Lookup] = []
    open_names = [*wanted, *(name for join in joins for name in join.on)]
    for join in joins:
        present = names_of(join)
        for name in join.keys:
            if name not in present:
                raise DataError(f"{join.path}: column '{name}' is missing; it has {', '.join(present)}")
        taken = tuple(dict.fromkeys(name for name in open_names if name in present and name not in join.on))
        open_names = [name for name in open_names if name not in taken]
        batches = read_batches(join, (*join.keys, *taken), notes=notes)
        lookups.append(make_lookup(join.path, join.on, join.keys, taken, batches))
    return lookups


def names_of(table: TextTable) -> tuple[str, ...]:
    """Name the columns of a source's first file; raise DataError."""
    file = list_tables(table.path)[0]
    form = _recognise(file)
    if form.ending in PARQUET:
        try:
            return tuple(pq.read_schema(file).names)
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{file}: not a parquet table: {_first_line(error)}") from None
    if form.ending in LINES:
        return line_names(file, gzipped=form.gzipped, encoding=table.encoding)
    return column_names(table, file, DELIMITED[form.ending], gzipped=form.gzipped)


def list_tables(path: Path) -> list[Path]:
    """Give the files a source is made of, in the order of their names."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DataError(f"{path}: there is no such file or folder")
    inside = [file for file in path.rglob("*") if not any(part[0] in "._" for part in file.relative_to(path).parts)]
    for file in inside:
        if _plain_ending(file)[0] in ENDINGS and not file.exists():
            raise DataError(f"{file}: is a link to nothing")
    shown = [file for file in inside if file.is_file()]
    found = sorted(file for file in shown if _plain_ending(file)[0] in ENDINGS)
    found = [file for file in found if _plain_ending(file)[0] not in LOOSE] or found
    if not found:
        raise DataError(f"{path}: the folder holds no table; {', '.join(ENDINGS)} are read, each also with .gz")
    for file in shown:
        if file not in found and file.suffix.lower() in OTHERS:
            raise DataError(f"{file}: not a table this can read, beside some that are: rows would be lost")
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
    try:
        with path.open("rb") as stream:
            if stream.read(len(MAGIC)) == MAGIC:
                return Format(PARQUET[0], gzipped=False)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    raise DataError(f"{path}: not a table this can read; {', '.join(ENDINGS)} are, each also with .gz")


def _read_parquet(path: Path, wanted: Sequence[str], joined: Collection[str], rows: int) -> Iterator[Batch]:
    first = 1
    try:
        with pq.ParquetFile(path, buffer_size=READ_AHEAD, pre_buffer=False) as file:
            present = file.schema_arrow.names
            for name in wanted:
                if name not in present and name not in joined:
                    raise DataError(f"{path}: column '{name}' is missing; it has {', '.join(present)}")
                if present.count(name) > 1:
                    raise DataError(f"{path}: column '{name}' is there {present.count(name)} times")
            chosen = [name for name in wanted if name in present]
            for batch in file.iter_batches(batch_size=_fewer(file, chosen, rows), columns=chosen):
                yield Batch(path, first, {name: batch.column(name) for name in chosen}, batch.num_rows)
                first += batch.num_rows
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: not a parquet table: {_first_line(error)}") from None


def _fewer(file: pq.ParquetFile, names: Collection[str], rows: int) -> int:
    """Give how many rows to read at a time, at most so many: fewer of a table whose rows are as large as pictures."""
    told = file.metadata
    paths = [told.schema.column(number).path for number in range(told.num_columns)]
    # Of a column of records each part is one, called after both.
    wanted = [number for number, path in enumerate(paths) if any(f"{path}.".startswith(f"{name}.") for name in names)]
    groups = (told.row_group(number) for number in range(told.num_row_groups))
    size = sum(int(group.column(number).total_uncompressed_size) for group in groups for number in wanted)
    return max(1, min(rows, BATCH_BYTES * int(told.num_rows) // max(1, size)))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
