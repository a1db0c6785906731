"""Whether a Confluence lets Herald do what it will have to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial

from bot.domain.checks import Check
from bot.errors import IntegrationError
from bot.ports import PageDraft, Right
from bot.services.checks import PROBE, check_clock, unanswered, unsaid, walled
from bot.services.confluence.access import Space, find_space, may, permitted, who
from bot.services.confluence.config import ConfluenceSection
from bot.services.confluence.connection import ConfluenceConnection
from bot.services.confluence.wiki import ConfluenceWiki

_NAMES = {"cloud": "Cloud", "datacenter": "Data Center"}
_SENTENCES = {Right.CREATE: "add pages", Right.ATTACH: "attach files", Right.EDIT: "change pages"}
_REMEDIES = {
    Right.CREATE: "Give the account Add page in the space.",
    Right.ATTACH: "Give the account Add attachment in the space.",
    Right.EDIT: "Give the account Add page in the space, and lift restrictions from its home page.",
}
_NEW_TOKEN = "Make a new token and set it where config says."  # noqa: S105 - an advice


def check_confluence(config: ConfluenceSection, now: datetime, *, fix: bool) -> Iterator[Check]:
    """Look at everything that a page's life leans on; with *fix*, make the parent page where it is missing."""
    link = ConfluenceConnection(config)
    try:
        space, headers = find_space(link, config)
    except IntegrationError as error:
        yield from unanswered(error, config.base)
        return
    yield Check("address", ok=True, said=f"{config.base} answers as Confluence {_NAMES[config.deployment]}")
    if (clock := check_clock(headers, now)) is not None:
        yield clock
    known = list(walled("credentials", partial(_check_account, link), _NEW_TOKEN, asks="Confluence"))
    if space is None:
        yield from (check for check in known if not check.ok)
        remedy = "Check space (its key, as in the address of its pages), and let the account see it."
        yield Check("space", ok=False, said=f"the account sees no space {config.space!r}", remedy=remedy)
        return
    yield from known
    if space.is_archived:
        remedy = "Restore it in Confluence, or name another."
        yield Check("space", ok=False, said=f"{config.space} is archived", remedy=remedy)
        return
    yield Check("space", ok=True, said=f"{config.space}, {space.name}")
    yield from walled("permissions", partial(_check_permissions, link, config, space), asks="Confluence")
    yield from walled("search", partial(_check_search, config))
    if config.parent is not None:
        yield from walled("parent page", partial(_check_parent, config, config.parent, fix=fix))


def _check_account(link: ConfluenceConnection) -> Iterator[Check]:
    name = who(link)
    if name is None:
        yield Check("credentials", ok=False, said="Confluence takes us for nobody", remedy=_NEW_TOKEN)
        return
    yield Check("credentials", ok=True, said=f"we are {name}")


def _check_permissions(link: ConfluenceConnection, config: ConfluenceSection, space: Space) -> Iterator[Check]:
    allowed = permitted(link, config, space)
    for right, what in _SENTENCES.items():
        is_allowed = may(config, allowed, right)
        if is_allowed is None:
            yield unsaid(f"may {what}", "Confluence", "the first report will show it")
            continue
        remedy = "" if is_allowed else _REMEDIES[right]
        yield Check(f"may {what}", ok=is_allowed, said="yes" if is_allowed else "no", remedy=remedy)


def _check_search(config: ConfluenceSection) -> Iterator[Check]:
    """Look for a page by title and by label, as pages are looked for."""
    wiki = ConfluenceWiki(config)
    wiki.find(PROBE)
    wiki.labelled(PROBE)
    yield Check("search", ok=True, said="pages are found by title and label")


def _check_parent(config: ConfluenceSection, title: str, *, fix: bool) -> Iterator[Check]:
    wiki = ConfluenceWiki(config.model_copy(update={"parent": None}))
    page = wiki.find(title)
    if page is not None:
        yield Check("parent page", ok=True, said=page.url)
    elif fix:
        yield Check("parent page", ok=True, said=f"made: {wiki.create(PageDraft(title, '')).url}")
    else:
        remedy = "Make it, or let `herald doctor --fix` do so."
        yield Check("parent page", ok=False, said=f"{config.space} has no page titled {title!r}", remedy=remedy)
