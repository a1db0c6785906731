"""Herald's own section of a page that people write on too: found and replaced in Confluence's storage format."""

from __future__ import annotations

import copy
from collections.abc import Iterator

from lxml import etree

from bot.errors import PermanentError
from bot.text.storage_format import SPACES, NotWellFormedError, parse_storage

_AC = "{" + SPACES["ac"] + "}"
_BEGIN, _END = "herald-begin", "herald-end"
# What Confluence adds to every macro and paragraph by itself.
_ADDED = {_AC + "macro-id", _AC + "schema-version", _AC + "local-id", "local-id"}


def replace_section(storage: str, body: str) -> str | None:
    """Put *body* between Herald's anchors, at the end of the page where there are none; None: it stands there already.

    Raises PermanentError where the body or the page is not well-formed.
    """
    page = _parse(storage, "the page")
    fresh = _parse(f"{_anchor(_BEGIN)}{body}{_anchor(_END)}", "its new section")
    place = _place(page)
    if place is None:
        for stray in list(_anchors(page, _BEGIN)) + list(_anchors(page, _END)):
            _remove(stray)
        _append(page, fresh)
        return _write(page)
    parent, first, last = place
    if _canonical(parent[first + 1 : last], parent[first].tail) == _canonical(fresh[1:-1], fresh[0].tail):
        return None
    # The anchors stay as they are: people may have written beside them.
    parent[first].tail = fresh[0].tail
    parent[first + 1 : last] = fresh[1:-1]
    return _write(page)


def check_storage(body: str) -> None:
    """Raise PermanentError unless *body* is well-formed storage format."""
    _parse(body, "the page")


def _anchor(name: str) -> str:
    parameter = f'<ac:parameter ac:name="">{name}</ac:parameter>'
    return f'<ac:structured-macro ac:name="anchor">{parameter}</ac:structured-macro>'


def _parse(storage: str, what: str) -> etree._Element:
    try:
        return parse_storage(storage)
    except NotWellFormedError as error:
        problem = str(error)
    raise PermanentError(f"Confluence would refuse {what}: it is not well-formed storage format ({problem}).")


def _write(page: etree._Element) -> str:
    text = etree.tostring(page, encoding="unicode")
    return text[text.index(">") + 1 : text.rindex("<")] if len(page) or page.text else ""


def _anchors(page: etree._Element, name: str) -> Iterator[etree._Element]:
    for macro in page.iter(_AC + "structured-macro"):
        if macro.get(_AC + "name") == "anchor" and "".join(macro.itertext()).strip() == name:
            yield macro


def _place(page: etree._Element) -> tuple[etree._Element, int, int] | None:
    """Find the element that holds both anchors, and its children in which they stand."""
    begin, end = next(_anchors(page, _BEGIN), None), next(_anchors(page, _END), None)
    if begin is None or end is None:
        return None
    above_end = [end, *end.iterancestors()]
    child = begin
    for parent in begin.iterancestors():
        if parent in above_end:
            last = above_end[above_end.index(parent) - 1]
            first, after = parent.index(child), parent.index(last)
            return (parent, first, after) if first < after else None
        child = parent
    return None


def _remove(element: etree._Element) -> None:
    """Take out an element, not the text behind it."""
    parent = element.getparent()
    before = element.getprevious()
    if before is None:
        parent.text = (parent.text or "") + (element.tail or "")
    else:
        before.tail = (before.tail or "") + (element.tail or "")
    parent.remove(element)


def _append(page: etree._Element, fresh: etree._Element) -> None:
    """Add the section at the end: of the last cell, where the page has a layout, which takes nothing beside itself."""
    cells = page.findall(f"{_AC}layout/{_AC}layout-section/{_AC}layout-cell")
    for element in list(fresh):
        (cells[-1] if cells else page).append(element)


def _canonical(elements: list[etree._Element], lead: str | None) -> bytes:
    """Write elements so that two are equal where they mean the same, whatever Confluence rewrote."""
    holder = parse_storage("")
    holder.text = (lead or "").strip()
    for element in elements:
        holder.append(copy.deepcopy(element))
    for element in holder.iter():
        for name in _ADDED & set(element.attrib):
            del element.attrib[name]
        if element.text is not None and not element.text.strip():
            element.text = None
        if element.tail is not None:
            element.tail = element.tail if element.tail.strip() else None
    return etree.tostring(holder, method="c14n2", strip_text=True)  # type: ignore[no-any-return]
