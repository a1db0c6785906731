"""Pictures as pixels: what is read of a file that may be anything, within bounds of bytes, pixels and formats."""

# Shape suffixes, scoped to this file:
#   S = pixels a side

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from trainer.data.told_names import shortened
from trainer.errors import PictureError
from trainer.images.picture_headers import FORMATS, GIF, JPEG, PNG, WEBP, read_header, tell_format, tell_other

if TYPE_CHECKING:
    from PIL.Image import Image as Picture
    from PIL.Image import Transpose
    from PIL.ImageFile import ImageFile

Pixels = npt.NDArray[np.uint8]  # (S, S, 3), red, green, blue

LONGEST_SIDE = 65_535  # pixels, of a JPEG too; what weighs a row of pixels grows with it, whatever the other side is
ORIENTATION = 0x0112  # the tag of EXIF
DRAFT = 2  # a JPEG is unpacked at a half, a fourth or an eighth, as long as it has so many times the pixels wanted
GAP = 3.0  # from so many times the size wanted on, pixels are first added up: the same to the eye, many times faster


@dataclass(frozen=True, slots=True)
class PictureBounds:
    """What a picture may have at most, and which formats are read at all."""

    most_bytes: int = 10 << 20
    most_pixels: int = 50_000_000  # unpacked they take up to sixteen bytes each, of WebP
    formats: tuple[str, ...] = FORMATS

    def __post_init__(self) -> None:
        """Raise PictureError for a format that nothing here reads."""
        for name in self.formats:
            if name not in FORMATS:
                raise PictureError(f"formats: {name!r} is not one of {', '.join(FORMATS)}")


BOUNDS = PictureBounds()


def decode(source: bytes | Path, bounds: PictureBounds, size: int, *, name: str | None = None) -> Pixels:
    """Give a picture as (S, S, 3) red, green and blue: the whole of it, in the middle of a white square.

    What is transparent lies over white, a picture stands as its EXIF says, and of several the first is taken. Raise
    PictureError, one sentence that calls it by its *name* and path, for what is no such picture or more than the bounds
    allow; what the file says of its size is looked at before any pixel is unpacked.
    """
    data = read_picture(source, bounds, name=name) if isinstance(source, Path) else source
    where = tell_picture(source, name)
    kind = _check_header(data, bounds, where)
    with _blaming_damage(kind, where):
        return _lay_out(_begin(data, kind, bounds, where), size)


def check_bounds(data: bytes, bounds: PictureBounds, where: str) -> None:
    """Raise the PictureError that `decode` would for a picture that is whole; no pixel is unpacked."""
    kind = _check_header(data, bounds, where)
    if kind == GIF:
        with _blaming_damage(kind, where):
            _begin(data, kind, bounds, where)


def tell_picture(source: bytes | Path, name: str | None) -> str:
    """Say which picture it is: by the name that it has for whoever asks, by its path, else by its bytes."""
    path = [str(source)] if isinstance(source, Path) else []
    digest = [] if name or isinstance(source, Path) else [f"picture {sha256(source).hexdigest()[:12]}"]
    return ": ".join(shortened(one) for one in (*([name] if name else []), *path, *digest))


def find_picture(folder: Path, name: str) -> Path:
    """Give the path of a picture that a table names; raise PictureError for a name that leads out of the folder."""
    told = shortened(name)
    if name.lstrip()[:5].lower() == "data:":
        right = f"the name of a file in {folder} is right, or a column of bytes"
        raise PictureError(f"{told}: is a picture written as text, which is not read: {right}")
    if "://" in name:
        raise PictureError(f"{told}: is an address, and nothing is fetched: the name of a file in {folder} is right")
    if not name.strip() or "\0" in name:
        raise PictureError(f"{told!r}: no file has such a name: the name of a file in {folder} is right")
    path = folder / name
    if _leads_out(path, folder):
        raise PictureError(f"{told}: leads out of {folder}: the name of a file in it is right")
    return path


def read_picture(path: Path, bounds: PictureBounds, *, name: str | None = None) -> bytes:
    """Read a file as it is; raise PictureError for what is none, leads out of its folder or is too large."""
    where = tell_picture(path, name)
    if os.path.islink(path) and _leads_out(path, path.parent):  # noqa: PTH114 - Path raises for names too long
        raise PictureError(f"{where}: is a link that leads out of its folder: the file itself is right")
    try:
        # A pipe would keep waiting for its writer, and a device might do something on being opened.
        _check_file(path.stat(), where)
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        raise PictureError(f"{where}: there is no such file") from None
    except (OSError, ValueError) as error:  # a ValueError is a null in the name
        raise PictureError(f"{where}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    with os.fdopen(descriptor, "rb") as stream:
        told = os.fstat(descriptor)
        _check_file(told, where)
        _check_bytes(told.st_size, bounds, where)
        return stream.read(bounds.most_bytes + 1)


def _leads_out(path: Path, folder: Path) -> bool:
    """Say whether a path is outside a folder, links followed; Path.resolve would raise for those that go in a ring."""
    return not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _check_file(told: os.stat_result, where: str) -> None:
    if not stat.S_ISREG(told.st_mode):
        kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
        what = kinds.get(stat.S_IFMT(told.st_mode), "a device")
        raise PictureError(f"{where}: is {what}: a file is right")


def _check_bytes(count: int, bounds: PictureBounds, where: str) -> None:
    if not count:
        raise PictureError(f"{where}: is empty: a picture is right")
    if count > bounds.most_bytes:
        raise PictureError(f"{where}: has {count:,} bytes: at most {bounds.most_bytes:,} are right")


def _check_header(data: bytes, bounds: PictureBounds, where: str) -> str:
    _check_bytes(len(data), bounds, where)
    kind = tell_format(data)
    if kind is None or kind not in bounds.formats:
        right = " or ".join(bounds.formats)
        raise PictureError(f"{where}: is {kind or tell_other(data)}: {right} is right")
    header = read_header(data, kind, where)
    _check_size(header.width, header.height, bounds, where)
    return kind


def _check_size(width: int, height: int, bounds: PictureBounds, where: str) -> None:
    if not width or not height:
        raise PictureError(f"{where}: is {width} x {height} pixels: at least one is right")
    if width * height > bounds.most_pixels:
        count = f"{width:,} x {height:,} = {width * height:,}"
        raise PictureError(f"{where}: says that it has {count} pixels: at most {bounds.most_pixels:,} are right")
    if max(width, height) > LONGEST_SIDE:
        raise PictureError(
            f"{where}: says that it is {width:,} x {height:,} pixels: at most {LONGEST_SIDE:,} a side are right"
        )


@contextmanager
def _blaming_damage(kind: str, where: str) -> Iterator[None]:
    try:
        yield
    except PictureError:
        raise
    except Exception as error:  # noqa: BLE001 - what is damaged fails in each decoder's own way, want of memory included
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise PictureError(f"{where}: is {kind} and damaged ({shortened(reason)}): the whole file is right") from None


def _begin(data: bytes, kind: str, bounds: PictureBounds, where: str) -> "ImageFile":
    image = _open(data, kind)
    _check_size(image.width, image.height, bounds, where)  # a GIF's first picture may be larger than it says
    return image


def _open(data: bytes, kind: str) -> "ImageFile":
    """Let the one decoder of a format begin; no other one sees the bytes."""
    stream = BytesIO(data)
    if kind == PNG:
        from PIL.PngImagePlugin import PngImageFile

        return PngImageFile(stream)
    if kind == JPEG:
        from PIL.JpegImagePlugin import JpegImageFile

        return JpegImageFile(stream)
    if kind == WEBP:
        from PIL.WebPImagePlugin import WebPImageFile

        return WebPImageFile(stream)
    assert kind == GIF
    from PIL.GifImagePlugin import GifImageFile

    return GifImageFile(stream)


def _lay_out(image: "ImageFile", size: int) -> Pixels:
    from PIL import Image

    image.draft(None, (DRAFT * size, DRAFT * size))
    image.load()
    turn = _turn(image)
    scale = size / max(image.size)
    fitted = tuple(max(1, round(side * scale)) for side in image.size)
    # Pillow widens the filter as it makes smaller (no aliasing), and weighs colours by how much is seen of them.
    small = _as_colours(image).resize((fitted[0], fitted[1]), Image.Resampling.BICUBIC, reducing_gap=GAP)
    if turn is not None:
        small = small.transpose(turn)
    square = Image.new("RGB", (size, size), "white")
    corner = ((size - small.width) // 2, (size - small.height) // 2)
    square.paste(small, corner, small if small.mode == "RGBA" else None)
    return np.array(square, dtype=np.uint8)


def _as_colours(image: "ImageFile") -> "Picture":
    """Give the same as RGB, or as RGBA where something is transparent."""
    from PIL import Image

    if image.mode == "I;16":  # of which Pillow would take what is above 255 for white
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    wanted = "RGBA" if image.has_transparency_data else "RGB"
    return image if image.mode == wanted else image.convert(wanted)


def _turn(image: "ImageFile") -> "Transpose | None":
    """Give how a picture is to be turned; one whose EXIF is damaged is taken as it lies."""
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    try:
        return turns.get(image.getexif().get(ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - EXIF can be wrong in every way, and cameras and shops write it so
        return None
