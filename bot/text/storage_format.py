"""Confluence's storage format, read as XML: its namespaces, and the entities of HTML that it takes."""

from __future__ import annotations

import re
from html.entities import html5

from lxml import etree

SPACES = {
    "ac": "http://atlassian.com/content",
    "ri": "http://atlassian.com/resource/identifier",
    "at": "http://atlassian.com/template",
}
_HEAD = "<page" + "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in SPACES.items()) + ">"
_TAIL = "</page>"
_ENTITY_OUTSIDE_CDATA = re.compile(r"(<!\[CDATA\[.*?\]\]>)|&([A-Za-z][A-Za-z0-9]*;)", re.DOTALL)
_OF_XML = {"amp;", "lt;", "gt;", "quot;", "apos;"}


class NotWellFormedError(ValueError):
    """The text is no storage format; *line* is where that shows, empty where no line is at fault."""

    def __init__(self, problem: str, line: str = "") -> None:
        super().__init__(problem)
        self.line = line


def parse_storage(storage: str) -> etree._Element:
    """Return an element that holds what *storage* says; raises NotWellFormedError."""
    parser = etree.XMLParser(strip_cdata=False, resolve_entities=False, no_network=True, huge_tree=True)
    text = _ENTITY_OUTSIDE_CDATA.sub(_number_entity, storage)
    try:
        return etree.fromstring(f"{_HEAD}{text}{_TAIL}", parser)
    except etree.XMLSyntaxError as error:
        lines = storage.split("\n")
        line = lines[error.lineno - 1] if 0 < error.lineno <= len(lines) else ""
        problem = str(error)
    except ValueError as error:  # of characters that XML has not
        line, problem = "", str(error)
    raise NotWellFormedError(problem, line.strip())


def _number_entity(match: re.Match[str]) -> str:
    """Write an entity of HTML as a number, since XML knows only five by name."""
    cdata, name = match.groups()
    if cdata or name in _OF_XML or name not in html5:
        return match.group(0)
    return "".join(f"&#{ord(character)};" for character in html5[name])
