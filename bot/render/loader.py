"""Templates out of the folders of a team and ours, the words of a language as one text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jinja2
from jinja2.bccache import Bucket

from bot.render.lookup import WORDS, Lookup


class TemplateLoader(jinja2.FileSystemLoader):
    """Finds templates as a :class:`Lookup` does; the words are one text of all files that have any, ours first.

    What a team words anew so holds in our sentences too, and what its file leaves out is ours.
    """

    def __init__(self, lookup: Lookup) -> None:
        super().__init__([folder for each in lookup.folders for folder in (each / lookup.locale, each)])
        self.lookup = lookup
        self._words: list[tuple[Path, int]] = []  # each file, and how many lines of the text stand before it

    def get_source(self, environment: jinja2.Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        files = self.lookup.files(WORDS) if template == WORDS else []
        if not files:
            return super().get_source(environment, template)
        text = ""
        self._words = []
        for path in reversed(files):
            self._words.append((path, text.count("\n")))
            text += path.read_text(encoding="utf-8").rstrip("\n") + "\n"
        return text, str(files[0]), lambda: True

    def place(self, filename: str, line: int) -> str:
        """Name the file and line at which something stands that Jinja knows by this file and line."""
        if self._words and filename == str(self._words[-1][0]):
            path, before = next((path, before) for path, before in reversed(self._words) if line > before)
            filename, line = str(path), line - before
        return f"{filename}, line {line}"


class CompiledTemplates(jinja2.BytecodeCache):
    """Keeps what templates compile to in memory: it is the same for every output language."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}  # by file

    def load_bytecode(self, bucket: Bucket) -> None:
        if code := self._kept.get(bucket.key):
            bucket.bytecode_from_string(code)  # which looks whether the file still says the same

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key] = bucket.bytecode_to_string()
