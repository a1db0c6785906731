"""Confluence storage format: read as XML, and written back in the normal form that the wiki keeps."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from html.entities import name2codepoint
from typing import Any

from lxml import etree

NAMESPACES = {
    "ac": "http://atlassian.com/content",
    "ri": "http://atlassian.com/resource/identifier",
    "at": "http://atlassian.com/template",
}
_PREFIXES = {uri: prefix for prefix, uri in NAMESPACES.items()}
_XML_NAMES = frozenset({"amp", "lt", "gt", "quot", "apos"})
_NAMED = re.compile(r"&([A-Za-z][A-Za-z0-9]*);")
_CDATA = re.compile(r"<!\[CDATA\[.*?\]\]>", re.DOTALL)
_KEPT_AS_CDATA = frozenset({"ac:plain-text-body", "ac:plain-text-link-body"})
_VOID = frozenset({"br", "hr", "img", "col"})
# The characters that come back as named entities, whatever was sent.
_REWRITTEN = {chr(name2codepoint[name]): f"&{name};" for name in (
    "nbsp", "ndash", "mdash", "lsquo", "rsquo", "ldquo", "rdquo", "hellip", "rarr", "larr", "times", "deg", "plusmn",
    "auml", "ouml", "uuml", "Auml", "Ouml", "Uuml", "szlig", "eacute", "egrave", "bull", "middot", "euro",
)}  # fmt: skip


class StorageError(ValueError):
    """Markup that the wiki refuses, with the place."""


@dataclass(frozen=True, slots=True)
class Storage:
    """A parsed body: the wrapper element around all that a page holds."""

    root: Any

    def normal_form(self) -> str:
        return "".join([_text(self.root.text), *(_written(child) for child in self.root)])


def parse(text: str) -> Storage:
    """Parse a body; raise StorageError where it is not well-formed XML."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise StorageError("Error parsing xhtml: a document type is not allowed")
    declared = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
    document = f"<page {declared}>{_numeric_entities(text)}</page>"
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
    try:
        return Storage(etree.fromstring(document.encode(), parser))
    except (etree.XMLSyntaxError, ValueError) as error:
        raise StorageError(f"Error parsing xhtml: {error}") from error


def normalise(text: str) -> str:
    """Return a body as the wiki would give it back: attributes reordered, entities rewritten, macro ids added."""
    return parse(text).normal_form()


def _numeric_entities(text: str) -> str:
    """Turn the named entities of XHTML into numbers, but never inside CDATA."""

    def replace(match: re.Match[str]) -> str:
        name = match[1]
        if name in _XML_NAMES or name not in name2codepoint:
            return match[0]
        return f"&#{name2codepoint[name]};"

    parts, at = [], 0
    for section in _CDATA.finditer(text):
        parts += [_NAMED.sub(replace, text[at : section.start()]), section[0]]
        at = section.end()
    return "".join([*parts, _NAMED.sub(replace, text[at:])])


def name_of(element: Any) -> str:
    """Return an element's name with its prefix: `ac:structured-macro`, `p`."""
    return _prefixed(element.tag)


def _prefixed(tag: str) -> str:
    if not tag.startswith("{"):
        return tag
    uri, _, local = tag[1:].partition("}")
    prefix = _PREFIXES.get(uri)
    return f"{prefix}:{local}" if prefix else local


def attribute(element: Any, name: str) -> str | None:
    """Read an attribute by its prefixed name."""
    prefix, _, local = name.rpartition(":")
    value = element.get(f"{{{NAMESPACES[prefix]}}}{local}" if prefix else name)
    return None if value is None else str(value)


def plain_text(element: Any) -> str:
    return "".join(element.itertext())


def _text(text: str | None) -> str:
    escaped = (text or "").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(_REWRITTEN.get(character, character) for character in escaped)


def _quoted(text: str) -> str:
    escaped = _text(text).replace('"', "&quot;")
    return escaped.replace("\n", "&#10;").replace("\t", "&#9;").replace("\r", "&#13;")


def _written(element: Any) -> str:
    if not isinstance(element.tag, str):  # an entity nobody knows
        raise StorageError(f"Error parsing xhtml: unknown entity {element.text}")
    name = name_of(element)
    attributes = {_prefixed(key): value for key, value in element.attrib.items()}
    if name == "ac:structured-macro":
        attributes.setdefault("ac:schema-version", "1")
        attributes.setdefault("ac:macro-id", str(uuid.uuid4()))
    opening = name + "".join(f' {key}="{_quoted(attributes[key])}"' for key in _ordered(attributes))
    return _element(element, name, opening) + _text(element.tail)


def _ordered(attributes: dict[str, str]) -> list[str]:
    """Names first, the rest by alphabet: not the order that anybody wrote them in."""
    return sorted(attributes, key=lambda key: (not key.endswith("name"), key))


def _element(element: Any, name: str, opening: str) -> str:
    if name in _KEPT_AS_CDATA:
        text = plain_text(element).replace("]]>", "]]]]><![CDATA[>")
        return f"<{opening}><![CDATA[{text}]]></{name}>"
    inner = "".join([_text(element.text), *(_written(child) for child in element)])
    if not inner and (name in _VOID or ":" in name):
        return f"<{opening} />"
    return f"<{opening}>{inner}</{name}>"


def escape(text: str) -> str:
    """Write literal text as storage format."""
    return _text(text)
