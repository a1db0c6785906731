"""Commits of a repository, each checked out into a worktree of its own: what people work in stays as it is."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bot.domain.rerun_troubles import TroubleKind
from bot.errors import JobError
from bot.runtime.private_files import make_folder

_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_SECONDS = 300.0
_LOOK_SECONDS = 20.0
_SHORT = 12  # letters of a commit that people compare
_LINE = "%H%x00%P%x00%an%x00%aI%x00%s"


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit, as git knows it."""

    commit: str
    author: str
    made_at: datetime
    title: str


def check_out(repository: Path, commit: str, folder: Path) -> Path:
    """Return a folder with the tree of a commit, below *folder*; it is made once, and again where a kill left a part.

    Raises:
        JobError: where there is no such repository or commit, or git is not there or refuses.
    """
    _check(commit)
    tree, ready = folder / commit, folder / f"{commit}.ready"
    if ready.exists() and tree.is_dir():
        return tree
    try:
        make_folder(folder)
        shutil.rmtree(tree, ignore_errors=True)
        _git(repository, "worktree", "prune")
        _git(repository, "worktree", "add", "--detach", "--force", str(tree), commit)
        ready.touch()
    except OSError as error:
        raise JobError(f"commit {commit} cannot be checked out of {repository}: {error.strerror or error}") from error
    return tree


def commits_between(repository: Path, before: str, now: str, most: int) -> tuple[Commit, ...]:
    """Return the commits after *before* up to *now*, oldest first, of a merge the one that merged: *most* + 1 at most.

    None where the line that leads to *now* does not come from *before*.

    Raises:
        JobError: where there is no such repository or commit, or git is not there or refuses.
    """
    for commit in (before, now):
        _check(commit)
    if not _git(repository, "merge-base", before, now).startswith(before):
        return ()
    wanted = "--first-parent", f"--max-count={most + 1}", f"--format={_LINE}", f"{before}..{now}"
    lines = [line.split("\0") for line in _git(repository, "log", *wanted).split("\n") if line]
    is_whole = len(lines) > most or not lines or lines[-1][1].startswith(before)
    found = [Commit(name, author, datetime.fromisoformat(at), title) for name, _, author, at, title in lines]
    return tuple(reversed(found)) if is_whole else ()


def look_for(repository: Path, commit: str) -> None:
    """Raise JobError where a repository, or a commit of it, is not there to be checked out."""
    _check(commit)
    _git(repository, "rev-parse", "--git-dir", seconds=_LOOK_SECONDS)
    try:
        _git(repository, "cat-file", "-e", f"{commit}^{{commit}}", seconds=_LOOK_SECONDS)
    except JobError as error:
        message = f"commit {commit} is not in {repository}: {error.said}"
        raise JobError(message, TroubleKind.COMMIT_GONE, said=commit[:_SHORT]) from error


def remove_but(repository: Path, folder: Path, needed: Collection[str]) -> int:
    """Remove the worktrees below a folder whose commits nobody needs, and let git know; return how many there were."""
    ready = [each for each in folder.glob("*.ready") if each.stem not in needed]
    whole = {each.name for each in folder.glob("*.ready")}
    parts = [each for each in folder.glob("*") if each.is_dir() and f"{each.name}.ready" not in whole]
    trees = [*(each.with_suffix("") for each in ready), *(each for each in parts if each.name not in needed)]
    for each in ready:
        each.unlink(missing_ok=True)  # first: a part of a tree is none
    for tree in trees:
        shutil.rmtree(tree, ignore_errors=True)
    if trees:
        _git(repository, "worktree", "prune")
    return len(trees)


def read_file(repository: Path, commit: str, name: str, largest: int) -> bytes:
    """Return what a file was in a commit, named from the folder that the repository is given by.

    Raises:
        JobError: where there is no such repository, commit or file, or it is larger than *largest* bytes.
    """
    _check(commit)
    where = f"{commit}:./{name}"
    if int(_git(repository, "cat-file", "-s", where)) > largest:
        raise JobError(f"{name} of commit {commit} is larger than {largest} bytes")
    return f"{_git(repository, 'show', where)}\n".encode()


def root_of(repository: Path) -> Path:
    """Return the top folder of the repository that a folder is in; raises JobError where it is in none."""
    return Path(_git(repository, "rev-parse", "--show-toplevel")).resolve()


def _check(commit: str) -> None:
    if not _COMMIT.fullmatch(commit):
        raise JobError(f"commit {commit!r} cannot be checked out: it should be 7 to 64 hex digits")


def _git(repository: Path, *arguments: str, seconds: float = _SECONDS) -> str:
    command = ["git", "-C", str(repository), *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=seconds, check=False
        )
    except OSError as error:
        raise JobError(f"git cannot be run: {error.strerror or error}") from error
    except subprocess.TimeoutExpired as error:
        raise JobError(f"git took longer than {seconds:.0f} s in {repository}", said="git took too long") from error
    if done.returncode:
        last = done.stderr.strip().splitlines()
        said = last[-1] if last else f"exit code {done.returncode}"
        raise JobError(f"git cannot check out of {repository}: {said}", said=said)
    return done.stdout.strip()
