"""Every page of a Herald, by its path: shown on request, or written into a folder."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType

from sqlalchemy import Connection

from bot.domain.page_charts import CurvePicture
from bot.domain.page_paths import named
from bot.domain.page_views import SimplePage
from bot.errors import HeraldError
from bot.render.renderer import WebView, shared
from bot.reports.reader import Readable
from bot.runtime.log import describe, get_logger
from bot.store import runs
from bot.text.locales import Locale, known_locales
from bot.web.comparison_page import comparison_page
from bot.web.digest_pages import digest_list, digest_page
from bot.web.incident_page import incident_page
from bot.web.overview import Glances, overview_page
from bot.web.pipeline_page import pipeline_page
from bot.web.reading import Reading, frame, read
from bot.web.run_page import run_page
from bot.web.slices_page import slices_page
from bot.web.ways import Ways

BETWEEN = "..."  # the two runs of a comparison
_LONGEST = 500  # characters of what is asked for

log = get_logger(__name__)

MakePage = Callable[[Reading], WebView | None]
Curves = Callable[[str, Sequence[str]], Sequence[CurvePicture]]


def no_curves(_run_id: str, _metrics: Sequence[str]) -> Sequence[CurvePicture]:
    return ()


@dataclass(slots=True)
class Site:
    """The pages of one Herald, which are only read."""

    herald: Readable
    suffix: str = ""  # of files, where the pages lie in a folder
    curves: Curves = no_curves
    glances: Glances = field(default_factory=Glances)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def page(
        self,
        path: str,
        locale: Locale,
        asked: Mapping[str, str] = MappingProxyType({}),
        own: str | None = None,
    ) -> str | None:
        """Make the page of a path; None where there is none. *own* is where it stands, if that is somewhere else."""
        found = self._find(path, {key: value[:_LONGEST] for key, value in asked.items()})
        if found is None:
            return None
        kind, make = found
        ways, now = Ways(path if own is None else own, self.suffix), self.herald.around.clock()

        def work(tx: Connection) -> WebView | None:
            return make(Reading(self.herald, tx, now, locale, ways))

        with self._its_turn():
            view = read(self.herald, work)
        return None if view is None else shared(locale).render_web(kind, view)

    def prepare(self) -> None:
        """Make the overview once in each language: what the first reader would else wait for is made by then."""
        import_module("scipy.special")  # which the comparison asks for, and which takes long to load
        for locale in known_locales():
            try:
                self.page("", locale)
                shared(locale).word("web_event_release")
            except HeraldError as error:  # whoever asks is told, and the log then
                log.debug("pages not prepared", error=describe(error))

    def simple(self, path: str, locale: Locale, said: str, *, action: str = "", wanted: str = "") -> str:
        """Say one thing, without a look at the state."""
        around = frame(self.herald, Ways(path, self.suffix), locale, self.herald.around.clock())
        return shared(locale).render_web(
            "simple", SimplePage(around, said, action=action, asks=bool(action), wanted=wanted)
        )

    def _find(self, path: str, asked: Mapping[str, str]) -> tuple[str, MakePage] | None:
        """Return the template of a page, and what makes what it shows."""
        match path.split("/"):
            case [""]:
                owner, health = asked.get("owner", ""), asked.get("health", "")
                return "overview", lambda page: overview_page(page, self.glances, owner, health)
            case ["digests"]:
                return "digests", digest_list
            case ["digests", snapshot_id]:
                return "digest", lambda page: digest_page(page, snapshot_id)
            case ["incidents", incident_id]:
                return "incident", lambda page: incident_page(page, incident_id)
            case [kind, slug, *rest]:
                name = named(slug, self.herald.config.pipeline)
                return None if name is None else self._of_pipeline(kind, name, rest, asked)
        return None

    def _of_pipeline(
        self, kind: str, name: str, rest: Sequence[str], asked: Mapping[str, str]
    ) -> tuple[str, MakePage] | None:
        match kind, *rest:
            case ["pipelines"]:
                return "pipeline", lambda page: pipeline_page(page, self.glances, name, asked.get("runs", ""))
            case ["slices", slug]:
                metric = named(slug, self.herald.config.pipeline[name].metrics)
                return None if metric is None else ("slices", lambda page: slices_page(page, name, metric))
            case ["runs", run_id]:
                drawn = self.curves(run_id, self._metrics(name, run_id))
                return "run", lambda page: run_page(page, name, run_id, drawn)
            case ["compare", pair]:
                before, _, after = pair.partition(BETWEEN)
                return "compare", lambda page: comparison_page(page, name, before, after)
        return None

    def _its_turn(self) -> AbstractContextManager[object]:
        """Wait for the turn of a page: a reader of a SQLite file looks after one transaction at a time."""
        return nullcontext() if self.herald.database.is_on_a_server else self._turn

    def _metrics(self, name: str, run_id: str) -> Sequence[str]:
        """Return what a run logged, what config does not judge first: that is what is logged step by step."""
        with self._its_turn():
            judged = read(self.herald, lambda tx: runs.find(tx, name, run_id))
        own = self.herald.config.pipeline[name].metrics
        return [] if judged is None else sorted(judged.run.metrics, key=lambda metric: (metric in own, metric))
