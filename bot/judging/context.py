"""One configured pipeline, with what its runs are judged by and where they are told about."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from bot.config.models import Config
from bot.config.pipeline import PipelineSection
from bot.domain.incidents import SeriesKey
from bot.domain.notifications import Places, Publish
from bot.domain.objects import ObjectKey
from bot.domain.runs import Run
from bot.domain.tasks import TASK_TAG, task_of, ticket_named
from bot.judging.titles import archive_page_title, pipeline_page_title, series_of, series_title, year_of
from bot.ports import RunStore
from bot.runtime.log import get_logger
from bot.store import Database
from bot.text.locales import Locale

_SHOWN = 100  # characters of a tag

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class JudgingContext:
    """What everything that judges one pipeline works with."""

    name: str
    config: Config
    database: Database
    run_store: RunStore
    clock: Callable[[], datetime]
    on_step: Callable[[str], None]

    @property
    def section(self) -> PipelineSection:
        return self.config.pipeline[self.name]

    @property
    def title(self) -> str:
        return self.section.title or self.name

    @property
    def locale(self) -> Locale:
        return self.config.locale_of(self.name)

    @property
    def channel_locale(self) -> Locale:
        return self.config.locale_of(self.name, self.section.chat, self.section.channel)

    @property
    def zone(self) -> ZoneInfo:
        return self.config.zone_of(self.name)

    def files_of(self, worst: Iterable[str]) -> frozenset[str]:
        """Return those findings whose worst examples are listed in a file, where there are files at all."""
        section = self.section.examples
        return frozenset(worst) if section is not None and section.attached else frozenset()

    def series_of(self, run: Run) -> SeriesKey:
        return SeriesKey(self.name, series_of(run, self.section.series_by))

    def title_of(self, run: Run) -> str:
        """Name the pipeline, and where it has several series that of a run."""
        return series_title(self.title, run, self.section.series_by)

    def task_of(self, run: Run) -> ObjectKey | None:
        """Return the ticket that a run is an experiment for; what cannot be one of the tracker's is told in the log."""
        section = self.section
        tracker, named = self.config.tracker.get(section.tracker or ""), ticket_named(run.tags, section.ticket)
        if not named or section.tracker is None or tracker is None:
            return None
        if not tracker.has_ticket(named):
            log.warning(
                "names no ticket",
                pipeline=self.name,
                run=run.run_id,
                named=run.name,
                tag=TASK_TAG,
                ticket=named[:_SHOWN],
            )
            return None
        return task_of(section.tracker, named)

    def places(self, run: Run) -> Places:
        """Return where a run is told about."""
        section, title, instance = self.section, self.title_of(run), self.config.instance
        tracker, chat = self.config.tracker.get(section.tracker or ""), self.config.chat.get(section.chat or "")
        return Places(
            instance=instance,
            pipeline_page=pipeline_page_title(title, instance, self.locale),
            archive_page=archive_page_title(title, year_of(run, self.zone), instance, self.locale),
            tracker=section.tracker,
            wiki=section.wiki,
            chat=section.chat,
            channel=section.channel,
            publish=Publish(section.publish),
            replies=chat is not None and chat.capabilities.threads,
            shares_charts=chat is not None and chat.capabilities.charts and not chat.capabilities.attaches,
            edits=chat is None or chat.capabilities.edits,
            attaches=chat is not None and chat.capabilities.charts and chat.capabilities.attaches,
            listens=tracker is not None and tracker.listens,
            lists_tickets=tracker is None or tracker.lists_tickets,
            resolves=section.tickets.resolve,
            pages=self.config.web.base,
        )
