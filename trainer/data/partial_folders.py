"""Folders that are being filled, and those whose writer was killed."""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import ENAMETOOLONG
from glob import escape
from pathlib import Path
from shutil import rmtree

from trainer.errors import DataError

PARTIAL = re.compile(r"\..+\.[0-9]+\.partial")


@contextmanager
def filled_folder(target: Path) -> Iterator[Path]:
    """Give a new folder beside *target*, locked while the block runs; remove it in the end where it is still there.

    What killed writers left beside it is removed first.
    """
    remove_abandoned(target.parent)
    partial = _partial(target)
    descriptor = _make_locked(partial, target)
    try:
        yield partial
    finally:
        os.close(descriptor)
        rmtree(partial, ignore_errors=True)


def check_alone(target: Path, own: Path) -> None:
    """Raise DataError where another process fills a folder for *target*: one of the two would come too late."""
    for path in target.parent.glob(f".{escape(target.name)}.*.partial"):
        if path != own and PARTIAL.fullmatch(path.name) and _is_held(path):
            raise DataError(f"{target}: another process is writing it already; name another folder")


def check_makeable(target: Path) -> None:
    """Raise DataError where nothing of that name can be made, nor beside it what becomes it."""
    for path in (target, _partial(target)):
        _check_length(path, target)
    there = next(path for path in target.absolute().parents if path.exists())
    if not there.is_dir():
        raise DataError(f"{target}: cannot be made: {there} is a file and no folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise DataError(f"{target}: cannot be made: nobody may write to {there}, or this user may not")


def _partial(target: Path) -> Path:
    return target.with_name(f".{target.name}.{os.getpid()}.partial")


def _check_length(path: Path, target: Path) -> None:
    try:
        path.lstat()
    except OSError as error:
        if error.errno == ENAMETOOLONG:
            raise DataError(f"{target}: is too long for the name of a file") from None


def _is_held(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(descriptor)
    return False


def remove_abandoned(parent: Path) -> None:
    """Remove the folders that nobody fills any more."""
    if parent.is_dir():
        for path in parent.iterdir():
            if PARTIAL.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
                _remove_unlocked(path)


def _make_locked(partial: Path, target: Path) -> int:
    while True:
        try:
            partial.mkdir(parents=True)
            descriptor = os.open(partial, os.O_RDONLY)
        except OSError as error:
            raise DataError(f"{target}: cannot be made: {error.strerror}") from None
        with suppress(OSError):  # a file system without locks: nobody takes the folder for abandoned there either
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if partial.is_dir():
            return descriptor
        os.close(descriptor)  # another job looked for abandoned ones between the folder and its lock


def _remove_unlocked(path: Path) -> None:
    """Remove a folder whose lock went with its process; the number in its name tells nothing across containers."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            rmtree(path, ignore_errors=True)
        finally:
            os.close(descriptor)
