"""Files and folders that are for Herald's own account alone, whatever the umask says."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_OTHERS = 0o077


def make_folder(path: Path) -> None:
    """Make a folder, and those above it that are missing; one that is there is left as it is."""
    if path.is_dir():
        return
    make_folder(path.parent)
    with suppress(FileExistsError):  # somebody else was faster
        path.mkdir(mode=0o700)
        path.chmod(0o700)


def create_file(path: Path) -> None:
    """Make an empty file unless it is there; where that cannot be, whoever opens it says why."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        os.fchmod(descriptor, 0o600)
        os.close(descriptor)


def is_open_to_others(path: Path) -> bool:
    """Say whether another account may read or change what is there."""
    return path.exists() and bool(path.stat().st_mode & _OTHERS)
