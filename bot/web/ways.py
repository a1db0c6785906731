"""The ways from page to page: relative ones, so that they hold below any path and in a folder of files alike."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlencode

from bot.render.templates import our_templates

HOME = ""
DIGESTS = "digests"
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,80}")
_INDEX = "index"


@dataclass(frozen=True, slots=True)
class Ways:
    """The ways from one page; *suffix* is what files are called by, in a folder of them."""

    own: str = HOME
    suffix: str = ""

    def to(self, path: str, **asked: str) -> str:
        """Return the way to a page."""
        up = "../" * self.own.count("/")
        query = f"?{urlencode(asked)}" if asked else ""
        if path == HOME:
            return (f"{up}{_INDEX}{self.suffix}" if self.suffix else up or "./") + query
        return f"{up}{path}{self.suffix}{query}"

    def asset(self, name: str) -> str:
        return "../" * self.own.count("/") + asset_path(name)

    @property
    def is_folder(self) -> bool:
        return bool(self.suffix)


def file_of(path: str, suffix: str) -> str:
    """Return the name of the file that a page is in, in a folder of them."""
    return f"{path or _INDEX}{suffix}"


def pipeline(name: str) -> str:
    return f"pipelines/{_slug(name)}"


def slices(name: str, metric: str) -> str:
    return f"slices/{_slug(name)}/{_slug(metric)}"


def run(name: str, run_id: str) -> str:
    return f"runs/{_slug(name)}/{_slug(run_id)}"


def comparison(name: str, before: str, after: str) -> str:
    return f"compare/{_slug(name)}/{_slug(before)}...{_slug(after)}"


def incident(incident_id: str) -> str:
    return f"incidents/{_slug(incident_id)}"


def digest(snapshot_id: str) -> str:
    return f"digests/{_slug(snapshot_id)}"


def named(slug: str, names: Mapping[str, object]) -> str | None:
    """Return the name that a way stands for, of those that there are."""
    return next((name for name in names if _slug(name) == slug), None)


def _slug(name: str) -> str:
    """Write a name so that it is one step of a way, whatever it is made of."""
    if _SAFE.fullmatch(name) and "..." not in name:
        return name
    return f"x-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


@cache
def asset(name: str) -> bytes:
    """Read one of the two files that every page asks for."""
    return (our_templates() / "web" / name).read_bytes()


@cache
def asset_path(name: str) -> str:
    """Name a file after what it holds, so that a browser may keep it for ever."""
    stem, _, end = name.partition(".")
    return f"assets/{stem}-{hashlib.sha256(asset(name)).hexdigest()[:10]}.{end}"
