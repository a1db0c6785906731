"""Which files a template's name stands for, in one language of people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bot.text.locales import Locale, known_locales

WORDS = "words.j2"  # by this name templates import the words of their language


@dataclass(frozen=True, slots=True)
class Lookup:
    """Folders to look in, the first one first; what a folder has for the language alone comes before what all share."""

    locale: Locale
    folders: tuple[Path, ...]

    def files(self, name: str) -> list[Path]:
        """Return the files of that name, the one that counts first."""
        own = [f"words/{self.locale}.j2"] if name == WORDS else []
        names = [f"{self.locale}/{name}", *own, name]
        return [path for folder in self.folders for each in names if (path := folder / each).is_file()]


def replaceable(layouts: Iterable[str]) -> set[str]:
    """Return the names that a team's template may have, of those that ours have."""
    shared = {name for name in layouts if not name.startswith("words/")} | {WORDS}
    locales = known_locales()
    return {
        *shared,
        *(f"{locale}/{name}" for locale in locales for name in shared),
        *(f"words/{each}.j2" for each in locales),
    }
