"""Which checkpoint a fit goes on from: that of the same job, found where the output lies, or one that is named."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from trainer.environment import git_commit, hash_installed
from trainer.errors import CheckpointError, JobError
from trainer.jobs.fields import expanded
from trainer.jobs.schema import Job, flatten
from trainer.learning.checkpoint_files import (
    SHELF,
    Checkpoint,
    Identity,
    Shelf,
    checkpoints_in,
    held_shelf,
    read_checkpoint,
)
from trainer.models.crew import ALONE, Crew
from trainer.models.device import PROCESSOR, Device
from trainer.task import Task
from trainer.tracking.progress import say

RESUMED_TAG = "herald.resumed_from"
AUTO, NEVER = "auto", "never"
FOLDER = ".checkpoints"
# What decides no number of the training: where things lie, who is told, how many cores. A model is told by its digest.
BESIDE = {
    "output",
    "result",
    "tracking",
    "threads",
    "tensorboard",
    "cluster",
    "slices",
    "checkpoint",
    "device",
    "explain",
    "transfer",
}
MODEL_PLACES = {"package", "folder", "name", "revision", "registry", "sha256", "cache"}
CODE = ("code.commit", "code.installed")  # of a checkpoint that is named, another one is only told
SHOWN = 3  # differences


@dataclass(frozen=True, slots=True)
class Resumption:
    """Where a fit keeps its checkpoints, and the one it goes on from, if any."""

    shelf: Shelf
    identity: Identity
    found: Checkpoint | None
    crew: Crew = ALONE  # whose first process writes

    def tags(self) -> dict[str, str]:
        """Give what the run is tagged with: which run it goes on from."""
        earlier = None if self.found is None else self.found.story.run_id
        return {} if earlier is None else {RESUMED_TAG: earlier}


def identity_of(job: Job, task: Task, precision: str) -> dict[str, str | int | float | bool]:
    """Give what decides where a fit stands after so many steps."""
    commit = git_commit()
    return {
        **_settings(job),
        **task.facts(),
        "data.hash": task.card.hash,
        "device.precision": precision,  # as it was chosen: `auto` is another one elsewhere
        "code.installed": hash_installed(),
        **({"code.commit": commit} if commit else {}),
    }


def _settings(job: Job) -> dict[str, str | int | float | bool]:
    given = job.model_dump(exclude=BESIDE)
    for section in (model := given["model"], model.get("images")):
        for key in MODEL_PLACES & set(section or ()):
            del section[key]
    return flatten(given)


def shelf_folder(job: Job) -> Path:
    """Give the place of a job's checkpoints: another try of the same job finds it, whatever its output is called."""
    named = sha256(json.dumps(_settings(job), sort_keys=True).encode()).hexdigest()[:16]
    return (job.checkpoint.folder or job.output.absolute().parent / FOLDER) / named


@contextmanager
def resumption(job: Job, task: Task, resume: str, device: Device = PROCESSOR) -> Iterator[Resumption]:
    """Find where to go on from: `auto`, `never`, or a folder; raise CheckpointError for one of another job."""
    _check_place(job)
    identity = identity_of(job, task, device.precision)
    with held_shelf(shelf_folder(job), job.checkpoint.keep) as shelf:
        yield Resumption(shelf, identity, _find(shelf, identity, resume), device.crew)


def _check_place(job: Job) -> None:
    folder = job.checkpoint.folder
    if folder is not None and folder.resolve().is_relative_to(job.output.resolve()):
        raise JobError(
            f"checkpoint.folder = {folder}: lies in output = {job.output}, which must not exist until the fit is over;"
            " a folder outside it is right"
        )


def _find(shelf: Shelf, identity: Identity, resume: str) -> Checkpoint | None:
    there = shelf.folder.is_dir()
    if there and not _taken(shelf):
        if resume == AUTO:
            return None  # the other fit is at it; told when this one would write
        raise CheckpointError(f"{shelf.folder}: another fit of this job is writing its checkpoints there")
    if resume == AUTO:
        if not there:
            _tell_where(shelf)
        return _newest(shelf, identity) if there else None
    if resume == NEVER:
        if there:
            shelf.clear()
        return None
    try:
        folder = expanded(resume)
    except ValueError as error:
        raise CheckpointError(f"--resume {error}") from None
    return _named(folder, identity, shelf)


def _taken(shelf: Shelf) -> bool:
    """Say whether no other fit writes there; one that nobody can write to is read all the same."""
    try:
        return shelf.take()
    except OSError as error:
        shelf.sealed = True
        say(f"trainer: {shelf.folder}: cannot be written to ({error.strerror}): this fit keeps nothing there")
        return True


def _tell_where(shelf: Shelf) -> None:
    """Say that others' checkpoints are there, and none of a job that is set like this one."""
    beside = shelf.folder.parent
    if beside.is_dir() and any(SHELF.fullmatch(path.name) for path in beside.iterdir()):
        say(f"trainer: {beside} holds no checkpoint of this job as it is set now: the fit begins anew")


def _newest(shelf: Shelf, identity: Identity) -> Checkpoint | None:
    """Give the newest that can be read, unless something else has changed since: the fit then begins anew."""
    for folder in shelf.newest():
        try:
            found = read_checkpoint(folder)
        except CheckpointError as error:
            say(f"trainer: {error}; the one before is tried")
            shelf.set_aside(folder)
            continue
        if told := tell_differences(found.story.identity, identity):
            say(f"trainer: {folder} is not gone on from: {told}; the fit begins anew")
            break
        return found
    shelf.clear()
    return None


def _named(folder: Path, identity: Identity, shelf: Shelf) -> Checkpoint:
    if not folder.is_dir():
        raise CheckpointError(f"--resume {folder}: there is no such folder; auto and never are right too")
    held = checkpoints_in(folder)
    chosen = held[-1] if held else folder
    found = read_checkpoint(chosen)
    was = found.story.identity
    other = {key: value for key, value in was.items() if key not in CODE}
    if told := tell_differences(other, {key: value for key, value in identity.items() if key not in CODE}):
        raise CheckpointError(f"{chosen}: is of another job: {told}")
    if told := tell_differences(was, identity):
        say(f"trainer: {chosen} was written by other code, so the end may differ: {told}")
    shelf.remove_but(chosen)  # what this fit will write counts on from here
    return found


def tell_differences(was: Identity, now: Identity) -> str:
    """Name what two jobs differ in, with both values; nothing where they are the same."""
    keys = [key for key in sorted({*was, *now}) if was.get(key) != now.get(key)]
    told = [f"{key} was {was.get(key, 'not given')}, is {now.get(key, 'not given')}" for key in keys[:SHOWN]]
    more = [f"and {len(keys) - SHOWN} more"] if len(keys) > SHOWN else []
    return ", ".join(told + more)
