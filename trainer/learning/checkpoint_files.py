"""Checkpoints on the disk: a folder each, there whole or not at all, of which the last ones are kept."""

import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from shutil import rmtree
from time import time
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from trainer.errors import CheckpointError

STATE, STORY = "state.safetensors", "checkpoint.json"
SCHEMA = 1
LOCK = "lock"
NAME = re.compile(r"step-[0-9]{8}")
PARTIAL = ".partial"
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

    def take(self) -> bool:
        """Make the folder this process's own; False where another fit holds it."""
        if self.lock is not None:
            return True
        self.folder.mkdir(parents=True, exist_ok=True)
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
            (partial / STORY).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
            # To the disk before it has its name: after a power cut a name without its bytes would be the newest.
            for path in (partial / STATE, partial / STORY, partial):
                _sync(path)
            partial.rename(target)
            _sync(self.folder)
        except BaseException:
            rmtree(partial, ignore_errors=True)
            raise
        for old in checkpoints_in(self.folder)[: -self.keep]:
            rmtree(old, ignore_errors=True)
        return target

    def clear(self) -> None:
        """Remove what is there: the fit is over, or begins anew."""
        for path in checkpoints_in(self.folder):
            rmtree(path, ignore_errors=True)

    def remove_but(self, kept: Path) -> None:
        """Remove all but one."""
        for path in checkpoints_in(self.folder):
            if not path.samefile(kept):  # a link, or a way with `..` in it, names the same folder
                rmtree(path, ignore_errors=True)

    def leave(self) -> None:
        """Let another fit have the folder; an empty one goes away, and so does the one it is in."""
        if self.lock is None:
            return
        if not checkpoints_in(self.folder):
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
    """Give the checkpoints of a folder, the oldest first."""
    return sorted(path for path in folder.glob("step-*") if NAME.fullmatch(path.name))


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read one; raise CheckpointError where it is none that this version can read."""
    try:
        told: dict[str, Any] = json.loads((folder / STORY).read_text(encoding="utf-8"))
        if told.pop("schema") != SCHEMA:
            raise ValueError("another version wrote it")  # noqa: TRY301 - told as what is damaged is
        return Checkpoint(Story(**told), load_file(folder / STATE), folder.absolute())
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"{folder}: no checkpoint that this version can go on from: {reason}") from None


def name_tensors(prefix: str, tensors: Sequence[Tensor]) -> dict[str, Tensor]:
    """Name tensors by their places."""
    return {f"{prefix}.{place}": tensor for place, tensor in enumerate(tensors)}


@torch.no_grad()
def fill_tensors(prefix: str, tensors: Sequence[Tensor], found: Mapping[str, Tensor]) -> None:
    """Put back what `name_tensors` named."""
    for place, tensor in enumerate(tensors):
        tensor.copy_(found[f"{prefix}.{place}"])


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
