"""All addresses of the stand-in for Jira, Cloud and Data Center."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from bot.sandbox.jira import (
    attachments,
    comments,
    html_pages,
    issue_links,
    issues,
    lookups,
    projects,
    properties,
    refusals,
    remote_links,
    roles,
    screens,
    search,
    server_info,
    ticket_page,
    transitions,
    users,
    versions,
    watchers,
)
from bot.sandbox.web.site import Routes

if TYPE_CHECKING:
    from bot.sandbox.web.site import Dialect

_PARTS = (
    server_info,
    users,
    projects,
    roles,
    lookups,
    screens,
    versions,
    issues,
    comments,
    properties,
    transitions,
    remote_links,
    issue_links,
    attachments,
    watchers,
)
_PAGES = (html_pages, ticket_page)


@cache  # compiling the addresses takes longer than all else at the start
def cloud() -> tuple[Routes, Dialect]:
    """Answer each address in interface 3 too, where texts are documents."""
    interface = _interface(screens.cloud, search.cloud, users.cloud)
    return _all(interface, interface.under("/rest/api/2/", "/rest/api/3/")), refusals.CLOUD


@cache
def datacenter() -> tuple[Routes, Dialect]:
    return _all(_interface(screens.datacenter, search.datacenter)), refusals.DATACENTER


def _interface(*of_the_deployment: Routes) -> Routes:
    return Routes(*(one.routes for one in _PARTS), *of_the_deployment)


def _all(interface: Routes, *more: Routes) -> Routes:
    """Add the pages, and `latest`, which the package jira asks here and there: it is interface 2."""
    latest = interface.under("/rest/api/2/", "/rest/api/latest/")
    return Routes(interface, *more, latest, *(one.routes for one in _PAGES))
