"""All tables of the stand-in's one SQLite file, each from the folder that keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.sandbox.confluence import tables as confluence
from bot.sandbox.jira import tables as jira
from bot.sandbox.mail import tables as mail
from bot.sandbox.robots import tables as robots
from bot.sandbox.search import index
from bot.sandbox.slack import tables as slack
from bot.sandbox.trello import tables as trello
from bot.sandbox.web import database, uploads

if TYPE_CHECKING:
    from pathlib import Path

_PARTS = (database, index, uploads, jira, confluence, slack, trello, robots, mail)


def open_database(path: Path | None) -> database.Database:
    """Open the file (None: a database in memory), with the tables made that it lacks."""
    return database.Database(path, [part.metadata for part in _PARTS])
