"""The first page: every service with what was written there last."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bot.sandbox.confluence import html_pages as confluence_pages
from bot.sandbox.confluence.page_rows import list_pages
from bot.sandbox.jira import html_pages as jira_pages
from bot.sandbox.jira import issue_rows
from bot.sandbox.mail.html_pages import letters_of
from bot.sandbox.robots.html_pages import NAMES
from bot.sandbox.robots.post_rows import posts
from bot.sandbox.rules import Service
from bot.sandbox.slack.message_rows import messages_of
from bot.sandbox.trello.board_json import card_url
from bot.sandbox.trello.board_rows import cards_of
from bot.sandbox.web.html_pages import page

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from bot.sandbox.web.call import Call

SHOWN = 6


@dataclass(frozen=True, slots=True)
class Entry:
    title: str
    url: str
    key: str = ""
    status: str = ""
    hue: str = ""


@dataclass(frozen=True, slots=True)
class Shelf:
    """One service on the first page."""

    name: str
    url: str
    note: str
    entries: list[Entry]
    more: list[tuple[str, str]] = field(default_factory=list)


def _at(call: Call, service: Service) -> Call:
    return replace(call, service=service, base=f"/{service}")


def _jira(call: Call, service: Service) -> Shelf:
    here = _at(call, service)
    project = call.seed.projects[0]
    rows = [jira_pages.row_of(here, one) for one in issue_rows.newest(here, SHOWN)]
    entries = [Entry(row.summary, row.url, row.key, row.status, row.hue) for row in rows]
    base = f"{here.base}/projects/{project.key}"
    more = [("All tickets", f"{base}/issues"), ("Board", f"{base}/board")]
    return Shelf(jira_pages.product_name(here), f"{base}/issues", f"{project.name}, key {project.key}", entries, more)


def _confluence(call: Call, service: Service) -> Shelf:
    here = _at(call, service)
    space = call.seed.spaces[0]
    pages = sorted(list_pages(here), key=lambda one: one.updated, reverse=True)
    entries = [Entry(one.title, confluence_pages.page_url(here, one)) for one in pages if one.space == space.id]
    where = confluence_pages.space_url(here, space)
    note = f"Space {space.name}, key {space.key}"
    return Shelf(confluence_pages.product_name(here), where, note, entries[:SHOWN], [("All pages", where)])


def _slack(call: Call) -> Shelf:
    here = _at(call, Service.SLACK)
    entries = []
    for channel in call.seed.channels:
        count = len(messages_of(here, channel))
        if count:
            title = f"#{channel.name}: {count} message{'' if count == 1 else 's'}"
            entries.append(Entry(title, f"{here.base}/archives/{channel.id}"))
    first = f"{here.base}/archives/{call.seed.channels[0].id}"
    return Shelf("Slack (sandbox)", first, call.seed.slack_team_name, entries, [("Channels", first)])


def _trello(call: Call) -> Shelf:
    here = _at(call, Service.TRELLO)
    board = call.seed.board
    rows = sorted(cards_of(here), key=lambda row: row.updated, reverse=True)[:SHOWN]
    entries = [Entry(row.name, card_url(here, row)) for row in rows]
    where = f"{here.base}/b/{board.short_link}"
    return Shelf("Trello (sandbox)", where, board.name, entries, [("Board", where)])


def _robots(call: Call, service: Service) -> Shelf:
    here = _at(call, service)
    count, where = len(posts(here)), f"{here.base}/"
    entries = [Entry(f"{call.seed.robots.group}: {count} message{'' if count == 1 else 's'}", where)] if count else []
    return Shelf(f"{NAMES[service]} (sandbox)", where, call.seed.robots.group, entries)


def _mail(call: Call) -> Shelf:
    here = _at(call, Service.MAIL)
    count, where = len(letters_of(here)), f"{here.base}/"
    entries = [Entry(f"{count} letter{'' if count == 1 else 's'}", where)] if count else []
    return Shelf("Mail (sandbox)", where, "What was sent to anybody", entries)


def front_page(call: Call) -> Response:
    shelves = [
        _jira(call, Service.JIRA_CLOUD),
        _confluence(call, Service.CONFLUENCE_CLOUD),
        _slack(call),
        _trello(call),
        _jira(call, Service.JIRA_DATACENTER),
        _confluence(call, Service.CONFLUENCE_DATACENTER),
        *(_robots(call, service) for service in NAMES),
        _mail(call),
    ]
    return page("index.html.j2", services=shelves)
