"""The Atlassian Document Format of Jira's interface 3: read into wiki markup, and written from it.

The stand-in keeps every text as wiki markup, as its pages show it; what has no markup there (a mention's id, a
picture's place) comes back as its words.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

from bot.sandbox.markup.wiki_markup import render

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_ESCAPED = re.compile(r"[*_\-+~^?{}\[\]|!#()@]")
_ENTITIES = {"\\": "&#92;", "&": "&amp;", ":": "&#58;", ".": "&#46;"}
# What is written in another way: signs of markup; & of an entity; : of an emoticon; . of a heading or a quotation.
_PIECES = re.compile(r"([*_\-+~^?{}\[\]|!#()@\\]|&(?=#?\w+;)|:(?=[DP])|(?<=^h[1-6])\.|(?<=^bq)\.)")
_MARKS = {"strong": "*", "em": "_", "strike": "-", "underline": "+"}
_KNOWN_MARKS = {*_MARKS, "code", "link", "textColor", "backgroundColor", "subsup", "annotation", "border"}
_DEEPEST = 50  # nodes within nodes

Node = dict[str, Any]


class AdfError(ValueError):
    """A value that is no document."""


def is_document(value: object) -> bool:
    return isinstance(value, dict) and value.get("type") == "doc"


def to_wiki(document: object) -> str:
    """Read a document; raises AdfError where it is none, or has a node that there is not."""
    if not isinstance(document, dict) or document.get("type") != "doc" or document.get("version") != 1:
        raise AdfError("not a document of version 1")
    return "\n\n".join(_blocks(_children(document), 0)).strip("\n")


def _children(node: Node) -> list[Node]:
    content = node.get("content", [])
    if not isinstance(content, list) or not all(isinstance(one, dict) for one in content):
        raise AdfError("content must be a list of nodes")
    return content


def _attribute(node: Node, name: str) -> Any:
    attributes = node.get("attrs")
    if not isinstance(attributes, dict) or name not in attributes:
        raise AdfError(f"{node.get('type')} needs {name}")
    return attributes[name]


# ---- blocks


def _blocks(nodes: Iterable[Node], depth: int) -> list[str]:
    if depth > _DEEPEST:
        raise AdfError("nested too deep")
    made = []
    for node in nodes:
        write = _BLOCKS.get(str(node.get("type")))
        if write is None:
            raise AdfError(f"{node.get('type')!r} cannot stand here")
        made.append(write(node, depth))
    return made


def _paragraph(node: Node, _depth: int) -> str:
    return _inline(node)


def _heading(node: Node, _depth: int) -> str:
    level = _attribute(node, "level")
    if level not in range(1, 7):
        raise AdfError("a heading's level is 1 to 6")
    return f"h{level}. {_inline(node)}"


def _code_block(node: Node, _depth: int) -> str:
    text = "".join(_text_of(one) for one in _children(node))
    tag = "noformat" if "{code" in text else "code"
    return f"{{{tag}}}\n{text}\n{{{tag}}}"


def _text_of(node: Node) -> str:
    text = node.get("text")
    if node.get("type") != "text" or not isinstance(text, str) or not text:
        raise AdfError("a text node needs text")
    return text


def _enclosed(tag: str) -> Callable[[Node, int], str]:
    def write(node: Node, depth: int) -> str:
        inner = "\n\n".join(_blocks(_children(node), depth + 1))
        return f"{{{tag}}}\n{inner}\n{{{tag}}}"

    return write


def _list(mark: str) -> Callable[[Node, int], str]:
    return lambda node, depth: "\n".join(_items(node, mark, depth))


def _items(node: Node, prefix: str, depth: int) -> list[str]:
    if depth > _DEEPEST:
        raise AdfError("nested too deep")
    lines = []
    for item in _children(node):
        if item.get("type") not in ("listItem", "taskItem", "decisionItem"):
            raise AdfError(f"{item.get('type')!r} cannot stand in a list")
        if item["type"] != "listItem":
            lines.append(f"{prefix} {_inline(item)}")
            continue
        for child in _children(item):
            nested = {"bulletList": "*", "orderedList": "#"}.get(str(child.get("type")))
            if nested:
                lines += _items(child, prefix + nested, depth + 1)
            else:
                (text,) = _blocks([child], depth + 1)
                lines.append(f"{prefix} " + text.replace("\n", " "))
    return lines


def _table(node: Node, depth: int) -> str:
    rows = []
    for row in _children(node):
        if row.get("type") != "tableRow":
            raise AdfError(f"{row.get('type')!r} cannot stand in a table")
        cells = _children(row)
        if any(one.get("type") not in ("tableCell", "tableHeader") for one in cells):
            raise AdfError("a row holds cells")
        bars = ["||" if one["type"] == "tableHeader" else "|" for one in cells]
        texts = [" ".join(_blocks(_children(one), depth + 1)).replace("\n", "\\\\ ") or " " for one in cells]
        rows.append(
            " ".join(f"{bar} {text}" for bar, text in zip(bars, texts, strict=True)) + " " + (bars or ["|"])[-1]
        )
    return "\n".join(rows)


def _nothing(_node: Node, _depth: int) -> str:
    return ""


_BLOCKS: dict[str, Callable[[Node, int], str]] = {
    "paragraph": _paragraph,
    "heading": _heading,
    "codeBlock": _code_block,
    "blockquote": _enclosed("quote"),
    "panel": _enclosed("panel"),
    "expand": _enclosed("panel"),
    "nestedExpand": _enclosed("panel"),
    "bulletList": _list("*"),
    "orderedList": _list("#"),
    "taskList": _list("*"),
    "decisionList": _list("*"),
    "table": _table,
    "rule": lambda _node, _depth: "----",
    "mediaSingle": _nothing,
    "mediaGroup": _nothing,
    "blockCard": lambda node, _depth: str(_attribute(node, "url")),
    "embedCard": lambda node, _depth: str(_attribute(node, "url")),
}

# ---- words


def _inline(node: Node) -> str:
    made = []
    for one in _children(node):
        write = _WORDS.get(str(one.get("type")))
        if write is None:
            raise AdfError(f"{one.get('type')!r} cannot stand among words")
        made.append(write(one))
    return "".join(made)


def _escape(text: str) -> str:
    return "".join("\\" + one if _ESCAPED.match(one) else _ENTITIES.get(one, one) for one in _pieces(text))


def _pieces(text: str) -> list[str]:
    return [piece for piece in _PIECES.split(text) if piece]


def _text(node: Node) -> str:
    text = _text_of(node)
    if "\n" in text:
        raise AdfError("a text node holds no line ends")
    marks = node.get("marks", [])
    if not isinstance(marks, list) or any(not isinstance(one, dict) for one in marks):
        raise AdfError("marks must be a list")
    kinds = {str(one.get("type")): one for one in marks}
    if not kinds.keys() <= _KNOWN_MARKS:
        raise AdfError(f"there is no mark {min(kinds.keys() - _KNOWN_MARKS)}")
    written = _escape(text)
    if "code" in kinds:
        written = f"{{{{{written}}}}}"
    for kind, sign in _MARKS.items():
        if kind in kinds:
            written = f"{sign}{written}{sign}"
    if "link" in kinds:
        written = f"[{written}|{_attribute(kinds['link'], 'href')}]"
    return written


_WORDS: dict[str, Callable[[Node], str]] = {
    "text": _text,
    "hardBreak": lambda _node: "\n",
    "mention": lambda node: f"[~accountid:{_attribute(node, 'id')}]",
    "emoji": lambda node: _escape(str((node.get("attrs") or {}).get("text") or _attribute(node, "shortName"))),
    "inlineCard": lambda node: str(_attribute(node, "url")),
    "status": lambda node: _escape(str(_attribute(node, "text"))),
    "date": lambda node: _escape(str(_attribute(node, "timestamp"))),
    "mediaInline": lambda _node: "",
    "placeholder": lambda _node: "",
}

# ---- the way back


def from_wiki(text: str) -> Node:
    """Write wiki markup as a document."""
    reader = _Reader()
    reader.feed(render(text))
    reader.close()
    return reader.document


_TAGS_OF_MARKS: dict[str, Node] = {
    "strong": {"type": "strong"},
    "em": {"type": "em"},
    "del": {"type": "strike"},
    "ins": {"type": "underline"},
    "code": {"type": "code"},
    "sup": {"type": "subsup", "attrs": {"type": "sup"}},
    "sub": {"type": "subsup", "attrs": {"type": "sub"}},
}
_TAGS_OF_BLOCKS: dict[str, Node] = {
    "p": {"type": "paragraph"},
    "blockquote": {"type": "blockquote"},
    "pre": {"type": "codeBlock", "attrs": {}},
    "ul": {"type": "bulletList"},
    "ol": {"type": "orderedList"},
    "li": {"type": "listItem"},
    "table": {"type": "table"},
    "tr": {"type": "tableRow"},
    "th": {"type": "tableHeader", "attrs": {}},
    "td": {"type": "tableCell", "attrs": {}},
    "div": {"type": "panel", "attrs": {"panelType": "info"}},
    **{f"h{level}": {"type": "heading", "attrs": {"level": level}} for level in range(1, 7)},
}
_HOLDS_WORDS = ("paragraph", "heading", "codeBlock")


class _Reader(HTMLParser):
    """Builds a document from the HTML that this folder's own renderer made."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.document: Node = {"type": "doc", "version": 1, "content": []}
        self._open = [self.document]
        self._implied = 0  # paragraphs open here that no tag opened
        self._marks: list[tuple[str, Node]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _TAGS_OF_MARKS and self._open[-1]["type"] != "codeBlock":
            self._marks.append((tag, _TAGS_OF_MARKS[tag]))
        elif tag == "a":
            self._marks.append((tag, {"type": "link", "attrs": {"href": dict(attrs).get("href") or ""}}))
        elif ("class", "frame-title") in attrs:
            self._begin({"type": "paragraph"})
            self._implied += 1
            self._marks.append((tag, {"type": "strong"}))
        elif tag in _TAGS_OF_BLOCKS:
            self._end_implied()
            self._begin(_TAGS_OF_BLOCKS[tag])
        elif tag == "hr":
            self._end_implied()
            self._open[-1]["content"].append({"type": "rule"})
        elif tag == "br":
            self._words({"type": "hardBreak"})
        elif tag == "img":
            self._words({"type": "text", "text": dict(attrs).get("alt") or "picture"})

    def handle_endtag(self, tag: str) -> None:
        if self._marks and self._marks[-1][0] == tag:
            self._marks.pop()
        elif tag in _TAGS_OF_BLOCKS:
            self._end_implied()
            closed = self._open.pop()
            if (
                closed["type"] in ("listItem", "tableCell", "tableHeader", "blockquote", "panel")
                and not closed["content"]
            ):
                closed["content"].append({"type": "paragraph", "content": []})

    def handle_data(self, data: str) -> None:
        if self._open[-1]["type"] not in _HOLDS_WORDS and not data.strip():
            return
        marks = [] if self._open[-1]["type"] == "codeBlock" else [mark for _, mark in self._marks]
        if any(one["type"] == "code" for one in marks):
            marks = [one for one in marks if one["type"] in ("code", "link")]  # code bears no other
        self._words({"type": "text", "text": data, **({"marks": marks} if marks else {})})

    def _begin(self, node: Node) -> None:
        made = {**node, "content": []}
        self._open[-1]["content"].append(made)
        self._open.append(made)

    def _words(self, node: Node) -> None:
        if self._open[-1]["type"] not in _HOLDS_WORDS:
            self._begin({"type": "paragraph"})
            self._implied += 1
        content = self._open[-1]["content"]
        if content and node["type"] == content[-1]["type"] == "text" and node.get("marks") == content[-1].get("marks"):
            content[-1]["text"] += node["text"]
        else:
            content.append(node)

    def _end_implied(self) -> None:
        if self._implied and self._open[-1]["type"] == "paragraph":
            self._open.pop()
            self._implied -= 1
