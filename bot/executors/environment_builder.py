"""Makes one environment from a lock file; whole or not there.

It is a program of its own, of the standard library alone, and runs as a job does: `python -I environment_builder.py
PLAN`, where PLAN is a JSON file: the `folder` that the environment is to be in, the commands `make` and `install`, how
many bytes it may take (`size`), and how many are kept with it (`keep`). `FOLDER.ready` is there once it is whole.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_LOOK_SECONDS = 0.1
_MEASURE_SECONDS = 5.0  # between looks at how large it has become
_TOO_LARGE = 75
_NOT_RUN = 126


def build(plan: dict[str, Any]) -> int:
    """Make the environment of a plan, where it is not there; return the exit code of what failed, or nought."""
    folder = Path(plan["folder"])
    ready = ready_file(folder)
    with _alone(folder):
        if ready.exists() and folder.is_dir():
            ready.touch()
            return 0
        shutil.rmtree(folder, ignore_errors=True)
        _make_room(folder.parent, plan["keep"] - 1)
        for command in (plan["make"], plan["install"]):
            if code := _run(command, folder, plan["size"]):
                shutil.rmtree(folder, ignore_errors=True)
                return code
        part = ready.with_suffix(".part")
        part.write_text(f"{size_of(folder)}\n", encoding="ascii")
        part.rename(ready)
    return 0


def ready_file(folder: Path) -> Path:
    """Return what says that the environment in a folder is whole; its time is that of its last use."""
    return folder.with_name(f"{folder.name}.ready")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until nobody else makes the same one."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.making").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make_room(folder: Path, keep: int) -> None:
    """Remove those that were used least recently."""
    found = sorted(folder.glob("*.ready"), key=lambda each: each.stat().st_mtime, reverse=True)
    for ready in found[max(keep, 0) :]:
        remove(ready)


def remove(ready: Path) -> None:
    """Remove an environment, named by what says that it is whole, and all that lies beside it."""
    ready.unlink(missing_ok=True)  # first: a part of one is none
    for left in (ready.with_suffix(""), *ready.parent.glob(f"{ready.stem}.*")):
        shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)


def _run(command: list[str], folder: Path, size: int) -> int:
    path = os.pathsep.join((str(folder / "bin"), os.environ.get("PATH", os.defpath)))
    try:
        process = subprocess.Popen(
            command, env={**os.environ, "PATH": path, "VIRTUAL_ENV": str(folder)}, start_new_session=True
        )
    except OSError as error:
        print(f"{command[0]}: {error.strerror or error}", file=sys.stderr)  # noqa: T201  the job's log
        return _NOT_RUN
    measured = time.monotonic()
    while (code := process.poll()) is None:
        time.sleep(_LOOK_SECONDS)
        if time.monotonic() - measured > _MEASURE_SECONDS:
            measured = time.monotonic()
            if _is_too_large(folder, size):
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return _TOO_LARGE
    return code or (_TOO_LARGE if _is_too_large(folder, size) else 0)


def _is_too_large(folder: Path, size: int) -> bool:
    found = size_of(folder)
    if found > size:
        print(f"the environment takes {found} bytes, more than the {size} that it may", file=sys.stderr)  # noqa: T201
    return found > size


def size_of(folder: Path) -> int:
    """Return how many bytes the files below a folder take; what goes meanwhile is not counted."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(root, name)).st_size  # noqa: PTH118  tens of thousands of them
    return total


if __name__ == "__main__":
    sys.exit(build(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
