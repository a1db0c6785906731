"""Files that a later run of the same model and data reads instead of computing what they hold anew."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import time

ABANDONED = 3600.0  # s since a file that is not whole was touched


def keep_file(path: Path, write: Callable[[Path], None]) -> None:
    """Write under another name first: two runs at once, or a kill, never leave half a file under this one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = path.name.partition("-")[0]
    for left in path.parent.glob(f"{kind}-*.partial"):  # of writers that were killed: writing takes no hour
        with suppress(FileNotFoundError):
            if time() - left.stat().st_mtime > ABANDONED:
                left.unlink()
    partial = path.with_suffix(f".{os.getpid()}.partial")
    write(partial)
    partial.replace(path)
