"""What a picture may be, and what is refused: every file is made on the spot."""

import io
import os
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainer.errors import InputError, PictureError
from trainer.images.picture_headers import PIECES, SCANS
from trainer.images.pictures import BOUNDS, PictureBounds, decode, find_picture

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def written(image: Image.Image, kind: str = "PNG", **settings) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **settings)
    return stream.getvalue()


def halves(mode: str = "RGB", width: int = 40, height: int = 20) -> Image.Image:
    """Return a picture whose left half is red and whose right half is blue."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(BLUE, (width // 2, 0, width, height))
    return image.convert(mode)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_that_says(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def gif_that_says(width: int, height: int) -> bytes:
    data = bytearray(written(halves("P"), "GIF"))
    struct.pack_into("<HH", data, 6, width, height)
    return bytes(data)


def jpeg_that_says(width: int, height: int) -> bytes:
    data = bytearray(written(halves(), "JPEG"))
    place = data.index(b"\xff\xc0")
    struct.pack_into(">HH", data, place + 5, height, width)
    return bytes(data)


def webp_that_says(width: int, height: int) -> bytes:
    """Return the header of a canvas, with a small frame on it."""
    frame = written(halves(), "WEBP")[12:]
    canvas = b"VP8X" + struct.pack("<I", 10) + bytes(4)
    canvas += (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", 4 + len(canvas) + len(frame)) + b"WEBP" + canvas + frame


def colour(pixels: np.ndarray, row: int, column: int) -> tuple[int, ...]:
    return tuple(int(number) for number in pixels[row, column])


def assert_near(found: tuple[int, ...], wanted: tuple[int, ...], by: int = 12) -> None:
    assert max(abs(one - other) for one, other in zip(found, wanted, strict=True)) <= by, (found, wanted)


def refusal(source: bytes | Path, bounds: PictureBounds = BOUNDS, **given) -> str:
    with pytest.raises(PictureError) as caught:
        decode(source, bounds, 16, **given)
    told = str(caught.value)
    assert "\n" not in told
    return told


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_wide_picture_of_each_format_stands_whole_in_the_middle_of_white(kind):
    pixels = decode(written(halves(), kind), BOUNDS, 32)
    assert (pixels.shape, pixels.dtype) == ((32, 32, 3), np.uint8)
    assert_near(colour(pixels, 16, 4), RED)
    assert_near(colour(pixels, 16, 27), BLUE)
    assert_near(colour(pixels, 2, 16), WHITE)
    assert_near(colour(pixels, 29, 16), WHITE)


@pytest.mark.parametrize(
    ("mode", "kind", "left"),
    [
        ("1", "PNG", (76, 255)),
        ("L", "PNG", (76, 76)),
        ("P", "PNG", RED),
        ("CMYK", "JPEG", RED),
        ("RGBA", "PNG", RED),
        ("RGBA", "WEBP", RED),
    ],
)
def test_pictures_of_every_mode_are_read_as_three_colours(mode, kind, left):
    found = colour(decode(written(halves(mode), kind), BOUNDS, 32), 16, 4)
    if len(left) == 3:
        assert_near(found, left)
    else:
        assert found[0] == found[1] == found[2]


def test_sixteen_bits_of_grey_are_told_apart_and_not_all_white():
    shades = np.repeat(np.linspace(0, 65535, 32).astype(np.uint16)[None], 32, axis=0)
    pixels = decode(written(Image.fromarray(shades)), BOUNDS, 32)
    assert [int(pixels[16, column, 0]) for column in (0, 16, 31)] == [0, 65535 * 16 // 31 >> 8, 255]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_lies_over_white(mode):
    image = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (10, 0, 20, 20))
    pixels = decode(written(image.convert(mode) if mode != "P" else image.quantize()), BOUNDS, 20)
    assert_near(colour(pixels, 10, 3), WHITE)
    assert_near(colour(pixels, 10, 16), (0, 0, 0))


def test_a_colour_that_stands_for_nothing_is_transparent():
    pixels = decode(written(halves(width=20), transparency=RED), BOUNDS, 20)
    assert_near(colour(pixels, 10, 3), WHITE)
    assert_near(colour(pixels, 10, 16), BLUE)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_stands_as_its_exif_says(orientation):
    corner = Image.new("RGB", (32, 32), BLUE)
    corner.paste(RED, (0, 0, 16, 16))
    turns = [None, *(getattr(Image.Transpose, name) for name in UNDONE)]
    lying = corner if turns[orientation - 1] is None else corner.transpose(turns[orientation - 1])
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = decode(written(lying, "JPEG", exif=exif, quality=95, subsampling=0), BOUNDS, 32)
    assert_near(colour(pixels, 6, 6), RED, 20)
    for row, column in ((6, 26), (26, 6), (26, 26)):
        assert_near(colour(pixels, row, column), BLUE, 20)


UNDONE = (
    "FLIP_LEFT_RIGHT",
    "ROTATE_180",
    "FLIP_TOP_BOTTOM",
    "TRANSPOSE",
    "ROTATE_90",
    "TRANSVERSE",
    "ROTATE_270",
)


@pytest.mark.filterwarnings("ignore")
def test_exif_that_is_damaged_turns_nothing_and_refuses_nothing():
    data = written(halves(), "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + bytes(20))
    assert_near(colour(decode(data, BOUNDS, 32), 16, 4), RED)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_a_moving_picture_the_first_is_taken(kind):
    first, second = Image.new("RGB", (20, 20), RED), Image.new("RGB", (20, 20), GREEN)
    data = written(first, kind, save_all=True, append_images=[second], duration=50)
    assert_near(colour(decode(data, BOUNDS, 20), 10, 10), RED)


def test_a_large_jpeg_is_made_small_as_it_is_unpacked_and_looks_the_same():
    image = halves(width=1600, height=1600)
    assert_near(colour(decode(written(image, "JPEG"), BOUNDS, 32), 16, 4), RED)
    exact = np.array(image.resize((32, 32), Image.Resampling.BICUBIC))
    assert np.abs(decode(written(image, "PNG"), BOUNDS, 32).astype(int) - exact).max() <= 2


@pytest.mark.parametrize("make", [png_that_says, gif_that_says, jpeg_that_says, webp_that_says])
def test_a_bomb_is_refused_by_what_its_header_says(make):
    said = 100_000 if make in (png_that_says, webp_that_says) else 60_000
    told = refusal(make(said, said), name="bomb")
    assert told == (
        f"bomb: says that it has {said:,} x {said:,} = {said * said:,} pixels: at most 50,000,000 are right"
    )


MEETING_BOMBS = """
import resource, sys
from pathlib import Path
import PIL.GifImagePlugin, PIL.JpegImagePlugin, PIL.PngImagePlugin, PIL.WebPImagePlugin
from trainer.errors import PictureError
from trainer.images.pictures import BOUNDS, decode
has = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (has + (32 << 20), has + (32 << 20)))
for name in sys.argv[1:]:
    try:
        decode(Path(name), BOUNDS, 224)
    except PictureError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="how much memory a process has is read from /proc")
def test_bombs_are_refused_within_32_mib(tmp_path):
    bombs = {
        "a.png": png_that_says(100_000, 100_000),
        "b.gif": gif_that_says(60_000, 60_000),
        "c.jpg": jpeg_that_says(60_000, 60_000),
        "d.webp": webp_that_says(100_000, 100_000),
    }
    for name, data in bombs.items():
        (tmp_path / name).write_bytes(data)
    command = [sys.executable, "-c", MEETING_BOMBS, *(str(tmp_path / name) for name in bombs)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line.partition(": says that it has ")[0] for line in told] == [str(tmp_path / name) for name in bombs]


def test_a_picture_that_is_a_line_is_refused_where_it_is_too_long():
    told = refusal(png_that_says(40_000_000, 1), name="line")
    assert told == "line: says that it is 40,000,000 x 1 pixels: at most 65,535 a side are right"


def test_a_gif_whose_first_picture_is_larger_than_it_says_is_refused():
    data = bytearray(written(halves("P"), "GIF"))
    place = data.index(b"\x2c\0\0\0\0")
    struct.pack_into("<HH", data, place + 5, 60_000, 60_000)
    assert "damaged" in (told := refusal(bytes(data), name="a")) or "pixels" in told


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.parametrize("share", [0.3, 0.8])
def test_a_file_that_is_cut_short_is_refused(kind, share):
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (60, 60, 3), dtype=np.uint8))
    data = written(noise, kind)
    told = refusal(data[: int(len(data) * share)], name="a.file")
    assert told.startswith(f"a.file: is {kind} and ")
    assert told.endswith("the whole file is right")


@pytest.mark.parametrize("beginning", [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8 "])
def test_a_file_that_ends_behind_its_first_bytes_is_refused(beginning):
    assert "the " in refusal(beginning)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"  <svg onload='alert(1)'/>", "SVG"),
        (b"<!DOCTYPE html><p>404", "a page of HTML"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a pointer of Git LFS, not the picture itself"),
        (b"%PDF-1.7", "PDF"),
        (b"\0\0\0\x20ftypavif", "AVIF or HEIC"),
        (b"nothing", "none of the formats that are read"),
        (b"\0" * 40, "none of the formats that are read"),
    ],
)
def test_what_is_no_picture_is_named(data, what):
    assert refusal(data, name="a.png") == f"a.png: is {what}: PNG or JPEG or WEBP or GIF is right"


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "ICO", "PPM", "TGA"])
def test_formats_that_pillow_would_read_are_not_tried(kind):
    assert "is right" in refusal(written(halves(), kind))


def test_a_format_that_a_job_leaves_out_is_refused():
    told = refusal(written(halves(), "GIF"), PictureBounds(formats=("PNG",)), name="a.png")
    assert told == "a.png: is GIF: PNG is right"
    with pytest.raises(PictureError, match=r"formats: 'BMP' is not one of PNG, JPEG, WEBP, GIF"):
        PictureBounds(formats=("BMP",))


@pytest.mark.parametrize("size", [(0, 10), (10, 0)])
def test_a_picture_without_pixels_is_refused(size):
    assert refusal(png_that_says(*size), name="a") == f"a: is {size[0]} x {size[1]} pixels: at least one is right"


def test_bytes_and_pixels_over_the_bounds_of_a_job_are_refused():
    data = written(halves())
    told = refusal(data, PictureBounds(most_bytes=50), name="a")
    assert told == f"a: has {len(data):,} bytes: at most 50 are right"
    assert "40 x 20 = 800 pixels: at most 799" in refusal(data, PictureBounds(most_pixels=799))
    assert refusal(b"", name="a") == "a: is empty: a picture is right"


def test_a_file_over_the_bound_is_not_read(tmp_path):
    path = tmp_path / "large.png"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)
    assert "1,099,511,627,776 bytes: at most 10,485,760" in refusal(path)


def test_a_jpeg_that_goes_over_its_pixels_without_end_is_refused():
    data = written(halves(), "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    assert "times: one that was saved anew is right" in refusal(data[:-2] + scan * (SCANS + 1) + data[-2:])


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8" + b"\xff\xe1\0\2" * (PIECES + 1),
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes(13)) + chunk(b"tEXt", b"") * (PIECES + 1),
    ],
    ids=["JPEG", "PNG"],
)
def test_a_file_in_countless_pieces_is_refused(data):
    assert "is in more than 100,000 pieces" in refusal(data)


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    assert refusal(tmp_path / "pipe.png") == f"{tmp_path}/pipe.png: is a pipe: a file is right"
    assert refusal(tmp_path / "folder.png") == f"{tmp_path}/folder.png: is a folder: a file is right"
    assert refusal(Path("/dev/zero")) == "/dev/zero: is a device: a file is right"
    assert refusal(tmp_path / "none.png", name="row 3") == f"row 3: {tmp_path}/none.png: there is no such file"
    assert "cannot be read: File name too long" in refusal(tmp_path / ("a" * 300))
    assert "cannot be read" in refusal(tmp_path / "a\0b")


def test_a_name_with_signs_that_a_terminal_would_obey_is_told_without_them(tmp_path):
    assert refusal(b"nothing", name="a\n\x1b[2Jb.png").startswith("a\ufffd\ufffd[2Jb.png: is none of")
    with pytest.raises(PictureError, match=re.escape("a\ufffdb://c: is an address")):
        find_picture(tmp_path, "a\nb://c")


def test_a_link_out_of_its_folder_is_refused_and_one_within_is_read(tmp_path):
    outside, folder = tmp_path / "secret.png", tmp_path / "pictures"
    folder.mkdir()
    outside.write_bytes(written(halves()))
    (folder / "real.png").write_bytes(written(halves()))
    (folder / "out.png").symlink_to(outside)
    (folder / "in.png").symlink_to("real.png")
    (folder / "round.png").symlink_to("round.png")
    assert "is a link that leads out of its folder" in refusal(folder / "out.png")
    assert decode(folder / "in.png", BOUNDS, 8).shape == (8, 8, 3)
    assert "round.png" in refusal(folder / "round.png")


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "a/../../secret.png"])
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path, name):
    with pytest.raises(PictureError, match="leads out of"):
        find_picture(tmp_path, name)


def test_an_address_and_a_name_of_nothing_are_refused(tmp_path):
    with pytest.raises(PictureError, match="is an address, and nothing is fetched"):
        find_picture(tmp_path, "https://example.org/a.png")
    with pytest.raises(PictureError, match="no file has such a name"):
        find_picture(tmp_path, "a\0b")
    assert find_picture(tmp_path, "a/b.png") == tmp_path / "a/b.png"


def test_a_picture_without_a_name_is_told_by_its_bytes_and_is_bad_input():
    assert refusal(b"nothing").startswith("picture 1785cfc3bc6a")
    assert issubclass(PictureError, InputError)
