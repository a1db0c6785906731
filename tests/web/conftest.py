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
from bot.reports.digest_owing import owe_digest
from bot.reports.reader import Reader, WallTime
from bot.store import Database
from bot.web.app import make_app
from bot.web.server import serving
from tests.web.story import Story


@dataclass(frozen=True)
class House:
    """A state that was told, to be read."""

    file: Path
    config: Any
    now: datetime

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
        story = Story(folder, f"sqlite:///{file}", days=9, web={"address": "https://herald.example.com/"})
        herald = story.tell()
        owe_digest(herald, story.now)
        herald.dispatcher.drain()
        herald.close()
    return House(file, herald.config, story.now + timedelta(hours=5))


@pytest.fixture(scope="module")
def pages(house: House) -> Iterator[httpx.Client]:
    with house.pages() as client:
        yield client
