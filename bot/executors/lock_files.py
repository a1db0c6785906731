"""Lock files, which say what is installed: of a commit, or as they lie in a folder."""

from __future__ import annotations

from pathlib import Path

from bot.domain.rerun_troubles import TroubleKind
from bot.errors import JobError
from bot.executors.checkouts import read_file

_LARGEST = 10_000_000  # bytes


def read_lock(folder: Path, git: str, lock: str) -> bytes:
    """Return what a lock file says; where *git* names a repository, *lock* is COMMIT:PATH in it.

    Raises:
        JobError: where it cannot be read, or is too large to be one.
    """
    commit, is_of_commit, name = lock.partition(":") if git else ("", "", "")
    try:
        return read_file(folder / git, commit, name, _LARGEST) if is_of_commit else _read(folder / lock, lock)
    except JobError as error:
        raise error.of(TroubleKind.NO_LOCK) from error


def _read(path: Path, lock: str) -> bytes:
    try:
        with path.open("rb") as file:
            found = file.read(_LARGEST + 1)
    except OSError as error:
        why = error.strerror or str(error)
        raise JobError(f"lock file {lock}: cannot be read: {why}", said=f"{lock}: {why}") from error
    if len(found) > _LARGEST:
        raise JobError(f"lock file {lock}: is larger than {_LARGEST} bytes")
    return found
