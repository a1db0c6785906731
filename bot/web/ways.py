"""The ways from page to page: relative ones, so that they hold below any path and in a folder of files alike."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlencode

from bot.domain.page_paths import HOME
from bot.render.templates import our_templates

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


@cache
def asset(name: str) -> bytes:
    """Read one of the two files that every page asks for."""
    return (our_templates() / "web" / name).read_bytes()


@cache
def asset_path(name: str) -> str:
    """Name a file after what it holds, so that a browser may keep it for ever."""
    stem, _, end = name.partition(".")
    return f"assets/{stem}-{hashlib.sha256(asset(name)).hexdigest()[:10]}.{end}"
