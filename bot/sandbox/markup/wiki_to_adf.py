"""Wiki markup written as a document of the Atlassian Document Format, as Jira's interface 3 answers with it."""

from __future__ import annotations

from html.parser import HTMLParser

from bot.sandbox.markup.adf_to_wiki import Node
from bot.sandbox.markup.wiki_markup import render


def from_wiki(text: str) -> Node:
    """Write wiki markup as a document."""
    reader = _HtmlReader()
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


class _HtmlReader(HTMLParser):
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
