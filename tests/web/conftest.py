"""One house for all tests of pages, and its pages over real HTTP."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.config.web import WebSection
from bot.domain.incidents import IncidentState
from bot.reports.digest_owing import owe_digest
from bot.reports.reader import Reader, WallTime
from bot.store import Database, incidents, snapshots
from bot.web.app import make_app
from bot.web.server import serving
from tests.web.story import Story


@dataclass(frozen=True)
class House:
    """A state that was told, to be read."""

    file: Path
    config: Any
    now: datetime
    incident: str  # of what fell in search, of which people were told
    digest: str  # id of its record
    ticket: str  # texts as they were delivered: English
    report: str
    told_report: str  # the digest, in English
    message: str  # Chinese
    told_message: str

    def reader(self, **web: Any) -> Reader:
        config = self.config.model_copy(update={"web": WebSection(**web)})
        return Reader(config, Database.for_reading(f"sqlite:///{self.file}"), None, WallTime(lambda: self.now))

    @contextmanager
    def pages(self, **web: Any) -> Iterator[httpx.Client]:
        reader = self.reader(**web)
        with ExitStack() as ends:
            ends.callback(reader.database.close)
            at = ends.enter_context(serving(make_app(reader), "127.0.0.1:0"))
            yield ends.enter_context(httpx.Client(base_url=at, timeout=20))


@pytest.fixture(scope="session")
def house(tmp_path_factory, migrated_sqlite) -> House:
    folder = tmp_path_factory.mktemp("house")
    file = folder / "state.db"
    shutil.copyfile(migrated_sqlite, file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bot.delivery.attachments.draw_history", lambda chart: chart.filename.encode())
        story = Story(folder, f"sqlite:///{file}", days=8, web={"address": "https://herald.example.com/"})
        herald = story.tell()
        owe_digest(herald, story.now)
        herald.dispatcher.drain()
        with herald.database.begin() as tx:
            (incident,) = incidents.of_pipeline(tx, "search-relevance", IncidentState.OPEN)
            (digest,) = snapshots.digests(tx, 10)
        ticket = next(each for each in story.tracker.tickets.values() if incident.incident_id in each.marker)
        pages = {page.draft.title: page.storage for page in story.wiki.pages.values()}
        newest = max(title for title in pages if title.startswith("Search relevance: nightly"))
        messages = story.chat.messages
        herald.close()
    return House(
        file,
        herald.config,
        story.now + timedelta(hours=5),
        incident.incident_id,
        digest.snapshot_id,
        ticket.draft.title + "\n" + ticket.draft.body,
        pages[newest],
        next(text for title, text in pages.items() if title.startswith("Digest")),
        next(each.text for each in messages if incident.incident_id in each.mark),
        next(each.text for each in messages if "digest" in each.mark),
    )


@pytest.fixture(scope="module")
def pages(house: House) -> Iterator[httpx.Client]:
    with house.pages() as client:
        yield client
