"""All addresses of the stand-in for Confluence, Cloud and Data Center."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from bot.sandbox.confluence import comments, html_pages, page_tree, refusals
from bot.sandbox.confluence.v1 import attachments as attachments_v1
from bot.sandbox.confluence.v1 import content, labels, removed, search
from bot.sandbox.confluence.v1 import pages as pages_v1
from bot.sandbox.confluence.v1 import properties as properties_v1
from bot.sandbox.confluence.v1 import spaces as spaces_v1
from bot.sandbox.confluence.v2 import attachments, pages, properties, spaces
from bot.sandbox.web.site import Routes

if TYPE_CHECKING:
    from bot.sandbox.web.site import Dialect

_V1 = (content, removed, pages_v1, spaces_v1, labels, attachments_v1, search, properties_v1)
_V2 = (spaces, pages, attachments, properties)
_BOTH = (page_tree, comments, html_pages)


@cache  # compiling the addresses takes longer than all else at the start
def cloud() -> tuple[Routes, Dialect]:
    v2, v1 = (one.routes for one in _V2), (one.routes.cloud for one in _V1)
    return Routes(*v2, *v1, *(one.cloud for one in _BOTH)), refusals.CLOUD


@cache
def datacenter() -> tuple[Routes, Dialect]:
    v1 = (one.routes.datacenter for one in _V1)
    return Routes(*v1, *(one.datacenter for one in _BOTH)), refusals.DATACENTER
