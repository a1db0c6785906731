"""The pages as files in a folder, with relative ways between them: for any web server, or to be opened as they are."""

from __future__ import annotations

import html
import posixpath
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bot.domain.health import Health
from bot.domain.page_paths import HOME
from bot.errors import HeraldError, TemplateError
from bot.reports.reader import Readable
from bot.text.locales import Locale
from bot.web.overview import folder_path, owners_of
from bot.web.site import Site
from bot.web.ways import asset, asset_path, file_of

_SUFFIX = ".html"
_ASSETS = ("style.css", "script.js")
_WAY = re.compile(r'href="([^":#?]+\.html)"')
_MOST = 20_000  # pages


@dataclass(frozen=True, slots=True)
class WrittenPages:
    """How many pages were written, and what went wrong with each that was not."""

    count: int
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PageFolder:
    """Writes what there is to look at, in one language."""

    herald: Readable
    folder: Path
    locale: Locale

    def write(self) -> WrittenPages:
        """Write every page that the overview leads to; raises HeraldError where the state or the folder is at fault.

        A page whose template fails is left out, and named: the others are of use without it.
        """
        count, failed = 0, list[str]()
        try:
            for name in _ASSETS:
                self._put(asset_path(name), asset(name))
            for path, text in self._pages(failed):
                self._put(file_of(path, _SUFFIX), text.encode())
                count += 1
        except OSError as error:
            raise HeraldError(f"{error.filename or self.folder}: cannot be written: {error.strerror}") from None
        return WrittenPages(count, tuple(failed))

    def _put(self, name: str, content: bytes) -> None:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def _pages(self, failed: list[str]) -> Iterator[tuple[str, str]]:
        """Yield each page with its path, following the ways from the overview on; *failed* takes those that do not."""
        site, narrowed = Site(self.herald, _SUFFIX), self._narrowed()
        waiting, met = deque([HOME]), {HOME}
        while waiting and len(met) <= _MOST:
            path = waiting.popleft()
            asked = narrowed.get(path)
            try:
                text = site.page(path, self.locale) if asked is None else site.page(HOME, self.locale, asked, path)
            except TemplateError as error:
                failed.append(f"{file_of(path, _SUFFIX)}: {error}")
                continue
            if text is None:
                continue
            yield path, text
            for way in _WAY.findall(text):
                led = posixpath.normpath(posixpath.join(posixpath.dirname(path), html.unescape(way)))
                led = led.removesuffix(_SUFFIX)
                led = HOME if led == "index" else led
                if led not in met:
                    met.add(led)
                    waiting.append(led)

    def _narrowed(self) -> Mapping[str, Mapping[str, str]]:
        """Return what the overviews of some pipelines alone ask for, by their paths."""
        owners = owners_of(self.herald.config)
        asked = ({"owner": owner, "health": str(health)} for owner in ("", *owners) for health in ("", *Health))
        return {folder_path(owners, **each): each for each in asked if any(each.values())}
