"""Every page of a Herald, by its way: shown on request, or written into a folder."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

from sqlalchemy import Connection

from bot.domain.page_views import SimplePage
from bot.render.renderer import Renderer, WebView
from bot.reports.reader import Readable
from bot.text.locales import Locale
from bot.web.overview import Glances, overview_page
from bot.web.reading import Reading, frame, read
from bot.web.ways import Ways

MakePage = Callable[[Reading], WebView | None]


@cache
def renderer(locale: Locale) -> Renderer:
    return Renderer(locale)


@dataclass(slots=True)
class Site:
    """The pages of one Herald, which are only read."""

    herald: Readable
    suffix: str = ""  # of files, where the pages lie in a folder
    glances: Glances = field(default_factory=Glances)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def overview(self, path: str, locale: Locale, owner: str = "", health: str = "") -> str | None:
        return self.show("overview", path, locale, lambda page: overview_page(page, self.glances, owner, health))

    def simple(self, path: str, locale: Locale, said: str, detail: str = "", action: str = "") -> str:
        """Say one thing, without a look at the state."""
        ways = Ways(path, self.suffix)
        view = SimplePage(
            frame(self.herald, ways, locale, self.herald.around.clock()), said, detail, bool(action), action
        )
        return renderer(locale).render_web("simple", view)

    def show(self, kind: str, path: str, locale: Locale, make: MakePage) -> str | None:
        """Make a page of a kind; None where there is nothing to show of what was asked for."""
        ways, now = Ways(path, self.suffix), self.herald.around.clock()

        def work(tx: Connection) -> WebView | None:
            return make(Reading(self.herald, tx, now, locale, ways))

        with self._turn:  # a reader of a SQLite file looks after one transaction at a time
            view = read(self.herald, work)
        return None if view is None else renderer(locale).render_web(kind, view)


def asked_of(query: Mapping[str, str], name: str) -> str:
    """Return what was asked for, cut to what a name can be."""
    return query.get(name, "")[:500]
