"""Commits of a repository, each checked out into a worktree of its own: what people work in stays as it is."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from bot.errors import JobError
from bot.runtime.private_files import make_folder

_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_SECONDS = 300.0


def check_out(repository: Path, commit: str, folder: Path) -> Path:
    """Return a folder with the tree of a commit, below *folder*; it is made once, and again where a kill left a part.

    Raises:
        JobError: where there is no such repository or commit, or git is not there or refuses.
    """
    if not _COMMIT.fullmatch(commit):
        raise JobError(f"commit {commit!r} cannot be checked out: it should be 7 to 64 hex digits")
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


def root_of(repository: Path) -> Path:
    """Return the top folder of the repository that a folder is in; raises JobError where it is in none."""
    return Path(_git(repository, "rev-parse", "--show-toplevel")).resolve()


def _git(repository: Path, *arguments: str) -> str:
    command = ["git", "-C", str(repository), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except OSError as error:
        raise JobError(f"git cannot be run: {error.strerror or error}") from error
    except subprocess.TimeoutExpired as error:
        raise JobError(f"git took longer than {_SECONDS:.0f} s to check out of {repository}") from error
    if done.returncode:
        last = done.stderr.strip().splitlines()
        raise JobError(f"git cannot check out of {repository}: {last[-1] if last else done.returncode}")
    return done.stdout.strip()
