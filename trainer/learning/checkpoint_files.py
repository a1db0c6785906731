"""Checkpoints on the disk: a folder each, there whole or not at all, of which the last ones are kept."""

import errno
import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from hashlib import file_digest
from pathlib import Path
from shutil import rmtree
from time import time
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from trainer.data.json_texts import parse_json
from trainer.errors import CheckpointError
from trainer.learning.checkpoint_state import read_reports

STATE, STORY = "state.safetensors", "checkpoint.json"
SCHEMA = 1
LOCK = "lock"
NAME = re.compile(r"step-[0-9]{8}")
PARTIAL, UNREADABLE = ".partial", ".unreadable"
SHELF = re.compile(r"[0-9a-f]{16}")
FORGOTTEN = 14 * 86_400.0  # s after which nobody comes back for what a fit left

Identity = Mapping[str, str | int | float | bool]


@dataclass(frozen=True, slots=True)
class Story:
    """What a checkpoint says of itself; the tensors stand beside it."""

    identity: Identity  # what decides the numbers of its fit
    run_id: str | None  # the MLflow run that wrote it
    fit: int  # of several whose weights are averaged, from 0
    step: int  # of that fit, that was done
    steps: int  # it has
    order: str  # hash of which rows are learnt at which step
    parts: int  # in which a batch was learnt, for want of memory


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a fit stood after some step."""

    story: Story
    tensors: Mapping[str, Tensor]
    folder: Path | None = None  # it was read from


class Shelf:
    """The folder of one job's checkpoints, which one fit at a time writes to."""

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder, self.keep = folder, keep
        self.lock: int | None = None
        self.sealed = False  # it cannot be written to

    def take(self) -> bool:
        """Make the folder this process's own; False where another fit holds it; raise OSError where nobody can."""
        if self.lock is not None:
            return True
        self.folder.mkdir(parents=True, exist_ok=True)
        if not os.access(self.folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self.folder))
        descriptor = os.open(self.folder / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except OSError:  # a file system without locks
            pass
        self.lock = descriptor
        for left in self.folder.glob(f"*{PARTIAL}"):  # of a fit that was killed while it wrote
            rmtree(left, ignore_errors=True)
        return True

    def newest(self) -> Iterator[Path]:
        """Give the checkpoints that are there, the newest first."""
        return reversed(checkpoints_in(self.folder))

    def put(self, checkpoint: Checkpoint, number: int) -> Path:
        """Write one and let go of those before the last; raise OSError or SafetensorError, nothing being changed."""
        target = self.folder / f"step-{number:08d}"
        partial = target.with_suffix(PARTIAL)
        try:
            partial.mkdir()
            save_file(
                {name: tensor.detach().contiguous() for name, tensor in checkpoint.tensors.items()}, partial / STATE
            )
            told = {"schema": SCHEMA, **asdict(checkpoint.story)}
            told["digest"] = _digest(partial / STATE, told)
            (partial / STORY).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
            # To the disk before it has its name: after a power cut a name without its bytes would be the newest.
            for path in (partial / STATE, partial / STORY, partial):
                _sync(path)
            _free(target)
            partial.rename(target)
            _sync(self.folder)
        except BaseException:
            rmtree(partial, ignore_errors=True)
            raise
        written = [path for path in checkpoints_in(self.folder) if path.name <= target.name]
        for old in written[: -self.keep]:
            rmtree(old, ignore_errors=True)
        return target

    def set_aside(self, folder: Path) -> bool:
        """Rename one that cannot be read: it takes neither a name nor a place that another needs."""
        if self.lock is None or not folder.parent.samefile(self.folder):
            return False
        aside = folder.with_suffix(UNREADABLE)
        rmtree(aside, ignore_errors=True)
        with suppress(OSError):
            folder.rename(aside)
        return aside.is_dir()

    def clear(self) -> None:
        """Remove what is there, where it is this process's own: the fit is over, or begins anew."""
        if self.lock is None:
            return
        for path in (*checkpoints_in(self.folder), *self.folder.glob(f"*{UNREADABLE}")):
            rmtree(path, ignore_errors=True)

    def remove_but(self, kept: Path) -> None:
        """Remove all but one, where they are this process's own."""
        if self.lock is None:
            return
        for path in checkpoints_in(self.folder):
            if not path.samefile(kept):  # a link, or a way with `..` in it, names the same folder
                rmtree(path, ignore_errors=True)

    def leave(self) -> None:
        """Let another fit have the folder; an empty one goes away, and so does the one it is in."""
        if self.lock is None:
            return
        if not checkpoints_in(self.folder):
            with suppress(OSError):
                (self.folder / LOCK).unlink(missing_ok=True)
            for empty in (self.folder, self.folder.parent):
                with suppress(OSError):
                    empty.rmdir()
        os.close(self.lock)
        self.lock = None


@contextmanager
def held_shelf(folder: Path, keep: int) -> Iterator[Shelf]:
    """Give the shelf of one job; what others left beside it long ago is removed."""
    shelf = Shelf(folder, keep)
    _remove_forgotten(folder)
    try:
        yield shelf
    finally:
        shelf.leave()


def checkpoints_in(folder: Path) -> list[Path]:
    """Give the checkpoints of a folder, the oldest first; links and files of such names are none."""
    return sorted(
        path for path in folder.glob("step-*") if NAME.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
    )


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read one; raise CheckpointError where it is none that this version can read."""
    try:
        return _read(folder)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"{folder}: no checkpoint that this version can go on from: {reason}") from None


def _digest(state: Path, told: Mapping[str, Any]) -> str:
    """Hash all of a checkpoint: one bit that fell over is another model."""
    with state.open("rb") as stream:
        digest = file_digest(stream, "sha256")
    digest.update(json.dumps(told, sort_keys=True).encode())
    return digest.hexdigest()


def _check_story(story: Story) -> None:
    counts = (story.fit, story.step, story.steps, story.parts)
    if any(type(count) is not int for count in counts) or not isinstance(story.identity, dict):
        raise ValueError(f"{STORY} is of other types")
    if story.fit < 0 or not 0 <= story.step <= story.steps or story.parts < 1:
        raise ValueError(f"there is no step {story.step} of {story.steps}, in {story.parts} parts")


def _read(folder: Path) -> Checkpoint:
    told = parse_json((folder / STORY).read_text(encoding="utf-8"))
    if not isinstance(told, dict) or told.get("schema") != SCHEMA:
        raise ValueError("another version wrote it")
    if told.pop("digest", None) != _digest(folder / STATE, told):
        raise ValueError("its digest is another one: it was damaged or changed")
    story = Story(**{key: value for key, value in told.items() if key != "schema"})
    _check_story(story)
    found = Checkpoint(story, load_file(folder / STATE), folder.absolute())
    read_reports(found.tensors)
    return found


def _free(target: Path) -> None:
    """Remove what has a checkpoint's name and is none that was gone on from."""
    if target.is_symlink() or target.is_file():
        target.unlink()
    elif target.is_dir():
        rmtree(target)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_forgotten(folder: Path) -> None:
    """Remove the checkpoints of fits beside this one that were left long ago: each is as large as its model."""
    for other in folder.parent.iterdir() if folder.parent.is_dir() else ():
        if other == folder or not SHELF.fullmatch(other.name):
            continue
        with suppress(OSError):
            if time() - other.stat().st_mtime > FORGOTTEN and (shelf := Shelf(other, 1)).take():
                shelf.clear()
                shelf.leave()
