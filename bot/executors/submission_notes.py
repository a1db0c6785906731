"""What a job's folder says of its submission to a cluster, so that one killed midway is not repeated blindly."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from bot.errors import ExecutorAwayError, JobError
from bot.runtime.private_files import create_file, make_folder

_PAUSE_SECONDS = 0.05


class SubmissionStep(StrEnum):
    SENT = "sent"  # it was about to be; the cluster may have it
    ACCEPTED = "accepted"  # it has it, or had it
    BEGUN = "begun"  # it was seen at work there


@dataclass(frozen=True, slots=True)
class SubmissionNote:
    step: SubmissionStep
    cluster: str = ""  # which life of the cluster it was sent to, where that can be told
    name: str = ""  # the cluster's own for the job
    at: float = 0.0  # when it was sent, seconds of the epoch

    @property
    def is_accepted(self) -> bool:
        return self.step is not SubmissionStep.SENT


def read_note(folder: Path) -> SubmissionNote | None:
    """Return what is noted; None where nothing is, or nothing whole."""
    with suppress(OSError, ValueError, TypeError, LookupError, RecursionError):
        said = json.loads((folder / "submission").read_text(encoding="utf-8"))
        return SubmissionNote(**{**said, "step": SubmissionStep(said["step"])})
    return None


def write_note(folder: Path, note: SubmissionNote) -> None:
    """Note it for good, before anything else happens.

    Raises:
        JobError: where the folder takes no note: then nothing may be sent.
    """
    path = folder / "submission"
    try:
        make_folder(folder)
        create_file(path.with_suffix(".new"))
        with path.with_suffix(".new").open("w", encoding="utf-8") as new:
            new.write(json.dumps(asdict(note)))
            new.flush()
            os.fsync(new.fileno())
        path.with_suffix(".new").replace(path)
    except OSError as error:
        raise JobError(f"job {folder.name}: {folder} cannot be used: {error.strerror or error}") from error


@contextmanager
def alone(folder: Path, patience: float) -> Iterator[int]:
    """Let nobody else submit the job meanwhile; yield the lock, to be shared with whatever submits it.

    A program that submits outlives a Herald that is killed; as long as it holds the lock, its end is waited for.

    Raises:
        ExecutorAwayError: where another has it for longer than *patience*, in seconds.
        JobError: where the folder cannot be used.
    """
    try:
        make_folder(folder)
        create_file(folder / "submitting")
        lock = os.open(folder / "submitting", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise JobError(f"job {folder.name}: {folder} cannot be used: {error.strerror or error}") from error
    until = time.monotonic() + patience
    try:
        while not _is_locked(lock):
            if time.monotonic() > until:
                raise ExecutorAwayError(f"job {folder.name}: another Herald is still about to submit it")
            time.sleep(_PAUSE_SECONDS)
        yield lock
    finally:
        os.close(lock)


def _is_locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
