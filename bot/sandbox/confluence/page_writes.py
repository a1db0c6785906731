"""The checks that every write to a page passes, whichever version of the interface asked for it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bot.sandbox.confluence.page_rows import (
    DUPLICATE_TITLE,
    TITLE_LIMIT,
    NewPage,
    Page,
    ancestors_of,
    find_page,
    home_page,
    insert_page,
    title_is_taken,
    write_page,
)
from bot.sandbox.markup import storage_format
from bot.sandbox.web.call import Call, row_id

if TYPE_CHECKING:
    from bot.sandbox.seed import Space


def read_title(call: Call, given: Any) -> str:
    if not isinstance(given, str) or not given.strip():
        raise call.refuse(400, "A title is required.")
    if len(given) > TITLE_LIMIT:
        raise call.refuse(400, f"The title is too long: at most {TITLE_LIMIT} characters.")
    return given.strip()


def read_storage(call: Call, value: Any) -> str:
    """Parse a body in storage format and return its normal form."""
    if not isinstance(value, str):
        raise call.refuse(400, "The body must hold a value in storage format.")
    if len(value.encode()) > call.rulebook.confluence(call.service).body_limit:
        raise call.refuse(413, "The page is too large.")
    try:
        return storage_format.normalise(value)
    except storage_format.StorageError as error:
        raise call.refuse(400, str(error)) from error


def permit(call: Call, action: str) -> None:
    """Refuse what the rules deny to everybody."""
    if action in call.rulebook.confluence(call.service).denied:
        raise call.refuse(403, f"You do not have the permission to {action} here.")


def operations(call: Call) -> list[dict[str, str]]:
    """List what the rules leave to everybody, as spaces and pages of either deployment show it."""
    every = (
        ("create", "create", "page"),
        ("attach", "create", "attachment"),
        ("update", "update", "page"),
        ("delete", "delete", "page"),
    )
    denied = call.rulebook.confluence(call.service).denied
    shown = [{"operation": name, "targetType": target} for rule, name, target in every if rule not in denied]
    return [{"operation": "read", "targetType": "page"}, *shown]


def read_parent(call: Call, space: Space, given: Any) -> int | None:
    if given in (None, ""):
        home = home_page(call, space.id)
        return home.id if home else None
    parent = find_page(call, row_id(str(given)))
    if parent is None or parent.status != "current":
        raise call.refuse(404, f"The parent page {str(given)[:40]} does not exist or you may not see it.")
    if parent.space != space.id:
        raise call.refuse(400, "The parent page is in another space.")
    return parent.id


def create(call: Call, space: Space, new: NewPage) -> Page:
    permit(call, "create")
    if new.status == "current" and title_is_taken(call, space.id, new.title):
        raise call.refuse(400, DUPLICATE_TITLE)
    return insert_page(call, new)


def update(call: Call, page: Page, changed: Page) -> Page:
    """Write *changed*, whose version must be the next one."""
    permit(call, "update")
    rules = call.rulebook.confluence(call.service)
    if rules.spurious_conflicts > 0:
        call.rulebook.change(call.service, spurious_conflicts=rules.spurious_conflicts - 1)
        raise call.refuse(409, "Version must be incremented on update. Current version is: " + str(page.version))
    if changed.version != page.version + 1:
        text = f"Version must be incremented when updating a page. Current Version: [{page.version}]. "
        raise call.refuse(409, text + f"Provided version: [{changed.version}]")
    if changed.status == "current" and title_is_taken(call, page.space, changed.title, but=page.id):
        raise call.refuse(400, DUPLICATE_TITLE)
    _refuse_a_ring(call, page, changed)
    written = replace(changed, editor=call.caller.account_id, updated=call.now)
    write_page(call, written)
    return written


def _refuse_a_ring(call: Call, page: Page, changed: Page) -> None:
    if changed.parent == page.parent or changed.parent is None:
        return
    parent = find_page(call, changed.parent)
    if parent is None or page.id in (parent.id, *(one.id for one in ancestors_of(call, parent))):
        raise call.refuse(400, "A page cannot be moved below itself.")
