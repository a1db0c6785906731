"""Documents of the Atlassian Document Format, as Jira's interface 3 takes them, read into wiki markup.

The stand-in keeps every text as wiki markup, as its pages show it; what has no markup there (a mention's id, a
picture's place) comes back as its words.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

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
