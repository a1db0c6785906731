"""All addresses of the stand-in for Trello."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from bot.sandbox.trello import (
    actions,
    attachments,
    board,
    cards,
    html_pages,
    labels,
    lists,
    members,
    refusals,
    search,
)
from bot.sandbox.web.site import Routes

if TYPE_CHECKING:
    from bot.sandbox.web.site import Dialect

_PARTS = (board, lists, cards, labels, actions, attachments, search, members, html_pages)


@cache  # compiling the addresses takes longer than all else at the start
def trello() -> tuple[Routes, Dialect]:
    return Routes(*(one.routes for one in _PARTS)), refusals.DIALECT
