"""The logs of jobs, of any size: their last lines, a copy cut to a limit, and room on the disk while they grow."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from bot.ports import LogPart
from bot.runtime.private_files import create_file, make_folder

_TAIL_BYTES = 1_000_000  # from the end of a log, in which its last lines are looked for
_LONGEST_LINE = 500  # characters
_HEAD_SHARE = 4  # of what is kept, one part in so many is the beginning
_AT_ONCE = 1_000_000
_ON_DISK = 10  # a log may take this many times its limit on the disk while it grows
_BLOCK = 512  # what st_blocks counts in
_KEEP_SIZE, _PUNCH_HOLE = 1, 2  # of fallocate(2)


def log_in(folder: Path) -> Path:
    """Return the log in a job's folder, which is empty where nothing was written yet."""
    path = folder / "log"
    if not path.exists():
        make_folder(folder)
        create_file(path)
    return path


def part_of(path: Path, offset: int) -> LogPart:
    """Return what a log has from *offset* on, a bounded part of it; nothing where it cannot be read."""
    try:
        with _open(path) as log:
            log.seek(offset)
            data = log.read(_AT_ONCE)
    except OSError:
        data = b""
    return LogPart(data, offset + len(data))


def last_lines(path: Path, count: int) -> str:
    """Return the last lines of a log, each shortened, without reading more than its end.

    :raises OSError: where it cannot be read.
    """
    with _open(path) as log:
        size = log.seek(0, os.SEEK_END)
        log.seek(max(size - _TAIL_BYTES, 0))
        end = log.read(_TAIL_BYTES)
    lines = end.decode("utf-8", errors="replace").splitlines()[-count:]
    return "\n".join(line if len(line) <= _LONGEST_LINE else f"… {line[-_LONGEST_LINE:]}" for line in lines)


def _open(path: Path) -> BinaryIO:
    """Open a log to be read; a job may have put in its place what would be waited for without end, such as a pipe."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no file any more", str(path))
    return os.fdopen(descriptor, "rb")


@contextmanager
def within(path: Path, limit: int) -> Iterator[Path]:
    """Yield the log, or a copy of the same name that says in its midst how much of it was left out.

    :raises OSError: where it cannot be read, or there is no room for the copy.
    """
    with _open(path) as log:
        is_small = log.seek(0, os.SEEK_END) <= limit
    if is_small:
        yield path
        return
    with TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        _cut(path, copy, limit)
        yield copy


def _cut(path: Path, copy: Path, limit: int) -> None:
    with _open(path) as log, copy.open("wb") as kept:
        size = log.seek(0, os.SEEK_END)
        gap = b"\n\n... %d bytes were left out here (job.log_limit) ...\n\n"
        room = max(limit - len(gap % size), 0)
        head = room // _HEAD_SHARE
        tail = room - head
        log.seek(0)
        _copy(log, kept, head)
        kept.write(gap % (size - head - tail))
        log.seek(size - tail)
        _copy(log, kept, tail)


def _copy(source: BinaryIO, target: BinaryIO, count: int) -> None:
    while count > 0 and (part := source.read(min(count, _AT_ONCE))):
        target.write(part)
        count -= len(part)


def make_room(path: Path, limit: int) -> bool:
    """Give the middle of a log that has grown far beyond its limit back to the disk; say whether that was done.

    Its beginning and its end stay where they are, and whoever writes to it goes on. A file system that cannot do that
    is left alone.
    """
    try:
        found = path.stat()
        if found.st_blocks * _BLOCK <= _ON_DISK * limit:
            return False
        begin, end = limit, found.st_size - (_ON_DISK // 2) * limit
        return end > begin and _punch(path, begin, end - begin)
    except OSError:
        return False


def _punch(path: Path, begin: int, length: int) -> bool:
    call = _fallocate()
    if call is None:
        return False
    descriptor = os.open(path, os.O_WRONLY)
    try:
        return bool(call(descriptor, _KEEP_SIZE | _PUNCH_HOLE, begin, length) == 0)
    finally:
        os.close(descriptor)


@cache
def _fallocate() -> ctypes._NamedFuncPointer | None:
    """Find the call of Linux, which Python has no name for."""
    call = getattr(ctypes.CDLL(None), "fallocate64", None)
    if call is not None:
        call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    return call
