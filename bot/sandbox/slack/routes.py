"""All addresses of the stand-in for Slack."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from bot.sandbox.slack import conversations, files, html_pages, messages, reactions, refusals, users, webhooks
from bot.sandbox.web.site import Routes

if TYPE_CHECKING:
    from bot.sandbox.web.site import Dialect

_PARTS = (messages, files, webhooks, conversations, users, reactions, html_pages)


@cache  # compiling the addresses takes longer than all else at the start
def slack() -> tuple[Routes, Dialect]:
    return Routes(*(one.routes for one in _PARTS)), refusals.DIALECT
