"""Reads a file of text a piece at a time: whole lines, whatever their encoding, told by line where that is wrong."""

import codecs
import gzip
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import BinaryIO

from trainer.data.batches import Notes
from trainer.data.encodings import tell_encoding
from trainer.errors import DataError

BYTES_AT_A_TIME = 1 << 22
LONGEST_LINE = 1 << 26  # characters
SAMPLE = 1 << 16  # bytes an encoding is told from
UTF8 = "utf-8"
CERTAIN = 8  # bytes of other letters
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}  # the longer mark first: UTF-32's begins like UTF-16's


def read_text(path: Path, *, gzipped: bool, encoding: str | None, notes: Notes) -> Iterator[str]:
    """Give pieces of whole lines, ended by line feeds; raise DataError naming the line that is not of the encoding."""
    rest, line = "", 1
    for piece in read_pieces(path, gzipped=gzipped, encoding=encoding, notes=notes):
        text = rest + piece
        end = text.rfind("\n") + 1
        if end:
            yield text[:end]
            line += text.count("\n", 0, end)
        rest = text[end:]
        if len(rest) > LONGEST_LINE:
            raise DataError(f"{path}: line {line} has more than {LONGEST_LINE:,} characters: no table of text")
    if rest:
        yield rest + "\n"


def read_pieces(path: Path, *, gzipped: bool, encoding: str | None, notes: Notes) -> Generator[str]:
    """Give pieces of text, cut anywhere; raise DataError naming the line that is not of the encoding."""
    try:
        yield from _decoded(path, gzipped=gzipped, encoding=encoding, notes=notes)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: not a table of UTF-8 text: {error}") from None


def _decoded(path: Path, *, gzipped: bool, encoding: str | None, notes: Notes) -> Iterator[str]:
    with _open(path, gzipped=gzipped) as stream:
        data = stream.read(BYTES_AT_A_TIME)
        name = encoding or _marked(data) or UTF8
        if name.lower().replace("_", "-") == UTF8:
            name = "utf-8-sig"
        decoder = codecs.getincrementaldecoder(name)()
        plain, lines, held = True, 0, False
        while True:
            final = not data
            pending = decoder.getstate()[0]
            try:
                text = decoder.decode(data, final)
            except UnicodeDecodeError as error:
                data = pending + data
                if encoding is not None or name != "utf-8-sig" or not plain or _is_utf8(data[: error.start]):
                    raise _wrong_encoding(path, name, error, lines, given=encoding is not None) from None
                name = _detect(path, data, error, lines)
                notes.read_as[path.name] = f"encoding {name}, told from the bytes"
                decoder = codecs.getincrementaldecoder(name)()
                continue
            plain = plain and text.isascii()
            text = text.removeprefix("\ufeff") if not lines else text  # the mark, where the encoding named keeps it
            text, held = _with_line_feeds(text, held=held, final=final)
            lines += text.count("\n")
            yield text
            if final:
                return
            data = stream.read(BYTES_AT_A_TIME)


def _with_line_feeds(text: str, *, held: bool, final: bool) -> tuple[str, bool]:
    """Make every line end one line feed; a carriage return at the end waits for what comes after it."""
    if held:
        text = "\r" + text
    if "\r" not in text:
        return text, False
    held = text.endswith("\r") and not final
    text = text[:-1] if held else text
    return text.replace("\r\n", "\n").replace("\r", "\n"), held


def _open(path: Path, *, gzipped: bool) -> BinaryIO:
    return gzip.GzipFile(path) if gzipped else path.open("rb")  # type: ignore[return-value]


def _marked(data: bytes) -> str | None:
    """Tell an encoding by its mark, or UTF-16 without one by the zeros beside plain letters."""
    for mark, name in MARKS.items():
        if data.startswith(mark):
            return name
    sample = data[:SAMPLE]
    low, high = sample[0::2].count(0), sample[1::2].count(0)
    if max(low, high) * 5 > len(sample) // 2:
        return "utf-16-le" if high > low else "utf-16-be"
    return None


def _is_utf8(data: bytes) -> bool:
    """Say whether what could be read has so many letters of UTF-8 that the rest is broken rather than another one's."""
    return len(data) - len(data.decode(UTF8, "ignore").encode("ascii", "ignore")) >= CERTAIN


def _wrong_encoding(path: Path, name: str, error: UnicodeDecodeError, lines: int, *, given: bool) -> DataError:
    line = lines + error.object[: error.start].count(b"\n") + 1
    spoken = name.removesuffix("-sig")
    how = "as the key encoding says" if given else "as the text before it is; the key encoding says what it is"
    return DataError(f"{path}: line {line} is not text in {spoken}, {how}: byte 0x{error.object[error.start]:02x}")


def _detect(path: Path, data: bytes, error: UnicodeDecodeError, lines: int) -> str:
    """Tell the encoding of a file that is no UTF-8 from the first lines with other letters."""
    begin = data.rfind(b"\n", 0, max(0, error.start - 1)) + 1
    end = data.find(b"\n", begin + SAMPLE)
    name = tell_encoding(data[begin:] if end < 0 else data[begin:end])
    if name is None:
        line = lines + error.object[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path}: not a table of UTF-8 text: line {line} has the byte 0x{error.object[error.start]:02x}, and no"
            ' encoding fits for sure; the key encoding says what it is, such as encoding = "gb18030"'
        )
    return name
