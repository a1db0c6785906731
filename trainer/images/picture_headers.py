"""What a picture's first bytes say, read before anything is unpacked: its format, its width and its height."""

import struct
from dataclasses import dataclass

from trainer.errors import PictureError

PNG, JPEG, WEBP, GIF = "PNG", "JPEG", "WEBP", "GIF"
FORMATS = (PNG, JPEG, WEBP, GIF)

PIECES = 100_000  # of a file at most: chunks of PNG, segments of JPEG; each costs whoever reads it an object
SCANS = 100  # of a JPEG: each goes over all pixels anew, and needs ten bytes to say so; cameras and shops write ten

BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"\xff\xd8\xff", JPEG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
)
# What is met instead of pictures, and is not read.
OTHERS = (
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"%PDF", "PDF"),
    (b"8BPS", "Photoshop's format"),
    (b"\0\0\1\0", "an icon"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cjP", "JPEG 2000"),
    (b"\0\0\0\x0cJXL", "JPEG XL"),
    (b"PK\3\4", "a ZIP archive"),
    (b"\x1f\x8b", "gzip"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the picture itself"),
)
LOOKED_AT = 1024  # bytes, for what text says of itself

PADDING, START_OF_SCAN = 0xFF, 0xDA
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # markers of JPEG that give the size: ISO 10918-1, table B.1
ALONE = frozenset((0x01, *range(0xD0, 0xD9)))  # markers of JPEG with no segment behind them


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """What a picture says that it is."""

    format: str  # one of FORMATS
    width: int  # pixels
    height: int


def tell_format(data: bytes) -> str | None:
    """Give the format that a file begins like, None for what is none of FORMATS."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return WEBP
    return next((name for beginning, name in BEGINNINGS if data.startswith(beginning)), None)


def tell_other(data: bytes) -> str:
    """Say what a file is that is no picture to be read, for whoever has to change it."""
    for beginning, name in OTHERS:
        if data.startswith(beginning):
            return name
    if data[4:8] == b"ftyp":
        return "AVIF or HEIC" if data[8:12] in (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1") else "a film"
    text = data[:LOOKED_AT].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "a page of HTML"
    if b"<svg" in text:
        return "SVG"
    return "none of the formats that are read"


def read_header(data: bytes, kind: str, where: str) -> PictureHeader:
    """Read what a file of a format says of itself; raise PictureError, which names it as *where*."""
    sizes = {PNG: _size_of_png, JPEG: _size_of_jpeg, WEBP: _size_of_webp, GIF: _size_of_gif}
    try:
        width, height = sizes[kind](data)
    except (struct.error, IndexError):
        raise PictureError(f"{where}: is {kind} and ends before it says its size: the whole file is right") from None
    except ValueError as error:
        raise PictureError(f"{where}: is {kind} and {error}") from None
    return PictureHeader(kind, width, height)


def _size_of_png(data: bytes) -> tuple[int, int]:
    if data[12:16] != b"IHDR":
        raise ValueError("does not begin with its size: the file as it was made is right")
    width, height = struct.unpack_from(">II", data, 16)
    place = 8
    for _ in range(PIECES):
        if place + 8 > len(data):
            return width, height
        place += 12 + struct.unpack_from(">I", data, place)[0]
    raise ValueError(f"is in more than {PIECES:,} pieces: one that was saved anew is right")


def _size_of_gif(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height


def _size_of_webp(data: bytes) -> tuple[int, int]:
    """Read it as RFC 9649 has it: of the canvas, of a frame with losses, of one without."""
    kind = data[12:16]
    if kind == b"VP8X":
        wide, high = data[24:27], data[27:30]
        if len(high) < len(wide) or not high:
            raise IndexError
        return int.from_bytes(wide, "little") + 1, int.from_bytes(high, "little") + 1
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    raise ValueError("does not begin with its size: the file as it was made is right")


def _size_of_jpeg(data: bytes) -> tuple[int, int]:
    """Go from segment to segment up to the first scan, and count the scans behind it."""
    found: tuple[int, int] | None = None
    place = 2
    for _ in range(PIECES):
        place = data.find(b"\xff", place) + 1
        if not place:
            raise IndexError
        marker = data[place]
        if marker == PADDING:
            continue
        if marker == 0 or marker in ALONE:  # nothing follows that could be skipped
            place += 1
            continue
        if marker in FRAMES:
            height, width = struct.unpack_from(">HH", data, place + 4)
            found = width, height
        if marker == START_OF_SCAN:
            break
        place += 1 + struct.unpack_from(">H", data, place + 1)[0]
    else:
        raise ValueError(f"is in more than {PIECES:,} pieces: one that was saved anew is right")
    # Within a scan no byte 0xFF stands before this one, so that nothing else is counted; a small picture inside is.
    if data.count(b"\xff\xda") > SCANS:
        raise ValueError(f"goes over its pixels more than {SCANS} times: one that was saved anew is right")
    if found is None:
        raise IndexError
    return found
