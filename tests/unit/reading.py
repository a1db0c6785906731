"""Readers of the output languages, written from their documentation: what a person sees, and what was built.

They know nothing of how Herald escapes. Each takes a whole text, refuses constructs it does not know, and returns the
visible text with the constructs that a service would make of it. Markdown is read by GitHub's own reader.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

import cmarkgfm
import linkify_it
from cmarkgfm.cmark import Options as CmarkOptions

JOINER = "\u2060"


@dataclass
class Reading:
    """What a service shows of a text: its words, and every construct in it as `(kind, detail)`."""

    text: str = ""
    constructs: list[tuple[str, str]] = field(default_factory=list)

    def kinds(self) -> set[str]:
        return {kind for kind, _ in self.constructs}

    def details(self, kind: str) -> list[str]:
        return [detail for found, detail in self.constructs if found == kind]


# Jira text formatting notation. A backslash escapes the character after it; two of them break the line.
# (Jira's own help page "Text Formatting Notation Help"; both its renderers escape exactly these characters.)
JIRA_ESCAPABLE = set("-#*_+?^~|%{}[]()!@")
JIRA_EMOTICON = re.compile(
    r":-?\)|:-?\(|:-?[PpDd](?![A-Za-z])|;-?\)|"
    r"\((?:y|n|i|/|x|!|\+|-|\?|on|off|\*[rgby]?|flag|flagoff)\)"
)
JIRA_SCHEME = re.compile(
    r"(?:https?|ftps?|irc|news|nntp|file|jamfselfservice)://[^\s|\]]+|mailto:[A-Za-z0-9\\]", re.IGNORECASE
)
JIRA_LINE = re.compile(r"\s*(?:(h[1-6]|bq)\.|([*#]+|-) |(-{4,5})\s*$|(\|))")
JIRA_PHRASES = {
    "strong": re.compile(r"(?<![A-Za-z0-9])\*(?=\S)[^*\n]*?(?<=\S)\*(?![A-Za-z0-9])"),
    "emphasis": re.compile(r"(?<![A-Za-z0-9])_(?=\S)[^_\n]*?(?<=\S)_(?![A-Za-z0-9])"),
    "deleted": re.compile(r"(?<![A-Za-z0-9])-(?=[^\s-])[^\n]*?(?<=[^\s-])-(?![A-Za-z0-9])"),
    "inserted": re.compile(r"\+(?=\S)[^+\n]*?(?<=\S)\+"),
    "superscript": re.compile(r"\^(?=\S)[^^\n]*?(?<=\S)\^"),
    "subscript": re.compile(r"~(?=\S)[^~\n]*?(?<=\S)~"),
    "citation": re.compile(r"\?\?(?=\S)[^\n]*?(?<=\S)\?\?"),
    "dash": re.compile(r"-{2,}"),
}
JIRA_IMAGE = re.compile(r"!(?=[^\s!])[^!\n]*?[^\s!]!")
_HELD = "\ue000"  # stands for a character that was escaped: no rule sees it


def read_jira(source: str) -> Reading:
    """Read wiki markup as Jira shows it."""
    reading = Reading()
    rest = source
    while rest:
        opening = re.search(r"\{(noformat|code)(?::[^}\n]*)?\}", _hold(rest), re.IGNORECASE)
        if opening is None:
            _read_jira_lines(rest, reading)
            break
        _read_jira_lines(rest[: opening.start()], reading)
        tag = re.compile(r"\{" + opening[1] + r"\}", re.IGNORECASE)
        closing = tag.search(rest, opening.end())
        assert closing, f"{opening[0]} is never closed"
        reading.constructs.append(("block", rest[opening.end() : closing.start()]))
        reading.text += rest[opening.end() : closing.start()]
        rest = rest[closing.end() :]
    reading.text = reading.text.replace(JOINER, "")
    return reading


def _hold(text: str) -> str:
    """Replace each escape by two stand-ins, so that positions stay and no rule sees the character."""

    def stand_in(match: re.Match[str]) -> str:
        return _HELD * 2 if match[1] in JIRA_ESCAPABLE else match[0]

    return re.sub(r"(?<!\\)\\(.)", stand_in, text)


def _read_jira_lines(source: str, reading: Reading) -> None:
    for line in source.split("\n"):
        leading = JIRA_LINE.match(line)
        if leading and leading[4]:
            _read_jira_row(line, reading)
            continue
        if leading:
            reading.constructs.append(("line", leading[0].strip()))
        _read_jira_inline(line[leading.end() :] if leading else line, reading)
        reading.text += "\n"


def _read_jira_row(line: str, reading: Reading) -> None:
    """Split a row at every bar: the Cloud converter does so at an escaped one too; a link keeps its bar."""
    assert "\\|" not in line, "an escaped bar in a row"
    bars = [m.span() for m in re.finditer(r"\|+(?![^\[\]]*\])", _hold(line))]
    edges = [0, *(edge for bar in bars for edge in bar), len(line)]
    cells = [c for c in (line[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True)) if c]
    reading.constructs.append(("row", str(len(cells))))
    for cell in cells:
        leading = JIRA_LINE.match(cell)
        assert not leading, f"a cell that begins a block: {cell!r}"
        _read_jira_inline(cell.strip(), reading)
        reading.text += "\t"
    reading.text += "\n"


def _read_jira_inline(text: str, reading: Reading) -> None:
    held = _hold(text)
    for match in re.finditer(r"\\\\", held):
        reading.constructs.append(("linebreak", match[0]))
    for pattern, kind in ((r"\[~[^\]\n]*\]", "mention"), (r"\[[^\[\]\n]+\]", "link")):
        for match in re.finditer(pattern, held):
            reading.constructs.append((kind, text[match.start() + 1 : match.end() - 1]))
        held = re.sub(pattern, lambda m: _link_text(m[0]), held)
    for match in re.finditer(r"\{\{(.+?)\}\}", held):
        reading.constructs.append(("mono", match[1]))
    held = re.sub(r"\{\{(.+?)\}\}", _HELD, held)
    for match in re.finditer(r"\{([A-Za-z][\w-]*)(:[^}\n]*)?\}", held):
        reading.constructs.append(("macro", match[0]))
    held = re.sub(r"\{([A-Za-z][\w-]*)(:[^}\n]*)?\}", "", held)
    for match in JIRA_SCHEME.finditer(held):
        reading.constructs.append(("link", match[0]))
    for match in JIRA_EMOTICON.finditer(held):
        reading.constructs.append(("emoticon", match[0]))
    for match in re.finditer(r"&(?:#\d+|#x[0-9A-Fa-f]+|[A-Za-z]+\d*);", held):
        reading.constructs.append(("entity", match[0]))
    for match in JIRA_IMAGE.finditer(held):  # a file's name is no text: whatever stands in it marks nothing
        reading.constructs.append(("image", match[0]))
    held = JIRA_IMAGE.sub(_HELD, held)
    for kind, pattern in JIRA_PHRASES.items():
        for match in pattern.finditer(held):
            reading.constructs.append((kind, match[0]))
    shown = re.sub(r"(?<!\\)\[([^\[\]\n|]*)(\|[^\[\]\n]*)?\]", r"\1", text)
    shown = re.sub(r"(?<!\\)\{color(:[^}]*)?\}", "", shown)
    reading.text += re.sub(r"\\([-#*_+?^~|%{}\[\]()!@])", r"\1", shown)


def _link_text(link: str) -> str:
    text, bar, _ = link[1:-1].partition("|")
    return text if bar else ""


# Slack mrkdwn ("Formatting text for app surfaces"): & < > are the control characters; *bold* _italic_ ~strike~ `code`
# between word boundaries; :emoji:; > at the start of a line quotes, and does so when written &gt; too.
SLACK_MARKS = {
    "bold": re.compile(r"(?<![A-Za-z0-9])\*(?!\s)[^*\n]+?\*(?![A-Za-z0-9])"),
    "italic": re.compile(r"(?<![A-Za-z0-9])_(?!\s)[^_\n]+?_(?![A-Za-z0-9])"),
    "strike": re.compile(r"(?<![A-Za-z0-9])~(?!\s)[^~\n]+?~(?![A-Za-z0-9])"),
    "code": re.compile(r"`[^`\n]+`|```"),
    "emoji": re.compile(r":[a-z0-9_+'-]+:", re.IGNORECASE),
    "url": re.compile(r"\b[a-z][a-z0-9+.-]*://\S|\bmailto:[A-Za-z0-9]|(?<![\w])[\w-]+\.[a-z]{2,}\b", re.IGNORECASE),
    "mention": re.compile(r"(?<![A-Za-z0-9])@[\w]|(?<![A-Za-z0-9&])#[\w]"),
    "quote": re.compile(r"^(?:>|&gt;)", re.MULTILINE),
}


def read_slack(source: str) -> Reading:
    """Read mrkdwn as Slack shows it."""
    reading = Reading()

    def take(match: re.Match[str]) -> str:
        body, _, label = match[1].partition("|")
        kind = "mention" if body[:1] in "@!#" else "link"
        reading.constructs.append((kind, body))
        return label or body

    shown = re.sub(r"<([^<>]*)>", take, source)
    bare = re.sub(r"<[^<>]*>", "", source)
    for kind, pattern in SLACK_MARKS.items():
        reading.constructs += [(kind, match[0]) for match in pattern.finditer(bare)]
    assert "<" not in bare, "an angle bracket that closes nothing"
    for entity in re.findall(r"&[^;\s]*;?", shown):
        assert entity in {"&amp;", "&lt;", "&gt;"}, f"an ampersand that Slack does not know: {entity}"
    shown = shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    reading.text = shown.replace(JOINER, "")
    return reading


# Markdown as GitHub's own reader (cmark-gfm) has it, which Trello's follows, with footnotes; then Trello's additions, and
# whatever else linkify-it, the reader of most web editors, would make a link of.
MARKDOWN_ADDITIONS = {
    "emoji": re.compile(r":[a-z0-9_+-]+:", re.IGNORECASE),
    "url": re.compile(r"[a-z][a-z0-9+.-]*://\S|(?:mailto|xmpp):[A-Za-z0-9]|www\.\S", re.IGNORECASE),
    "mention": re.compile(r"(?<![A-Za-z0-9])@[\w]"),
}
MARKDOWN_LINES = {f"h{level}": "#" * level for level in range(1, 7)} | {"hr": "---", "blockquote": ">", "br": "br"}
MARKDOWN_SPANS = {"strong": "strong", "em": "emphasis", "del": "strike", "img": "image", "table": "table"}
LINKS = linkify_it.LinkifyIt()


def read_markdown(source: str) -> Reading:
    """Read Markdown as Trello shows it."""
    html = cmarkgfm.github_flavored_markdown_to_html(source, CmarkOptions.CMARK_OPT_FOOTNOTES)
    page = _MarkdownPage()
    page.feed(html)
    page.close()
    for text in page.loose:
        for kind, pattern in MARKDOWN_ADDITIONS.items():
            page.reading.constructs += [(kind, match[0]) for match in pattern.finditer(text)]
        page.reading.constructs += [("url", found.text) for found in LINKS.match(text) or ()]
    page.reading.text = page.reading.text.replace(JOINER, "")
    return page.reading


class _MarkdownPage(HTMLParser):
    """Collects what cmark-gfm made; *loose* holds the stretches of text that stand in no link and no code."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.reading = Reading()
        self.loose = [""]
        self._held: list[str] = []  # the elements open here whose text is theirs alone
        self._lists: list[str] = []
        self._words = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in ("a", "code", "pre"):
            self._held.append(tag)
            self._words = ""
        if tag in ("ul", "ol"):
            self._lists.append("-" if tag == "ul" else "1.")
        elif tag == "a":
            self.reading.constructs.append(("link", dict(attributes).get("href") or ""))
        elif tag == "li":
            self.reading.constructs.append(("line", self._lists[-1]))
        elif tag in MARKDOWN_LINES:
            self.reading.constructs.append(("line", MARKDOWN_LINES[tag]))
        elif tag in MARKDOWN_SPANS:
            self.reading.constructs.append((MARKDOWN_SPANS[tag], ""))
        elif tag not in ("p", "code", "pre"):
            self.reading.constructs.append(("html", tag))
        if tag not in ("strong", "em", "del"):
            self.loose.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("ul", "ol"):
            self._lists.pop()
        if tag not in ("a", "code", "pre"):
            return
        self._held.pop()
        if tag == "a" and self.reading.details("link")[-1].endswith(self._words):
            self.reading.constructs.append(("bare address", self._words))
        elif tag == "code":
            in_block = self._held[-1:] == ["pre"]
            self.reading.constructs.append(("block" if in_block else "mono", self._words.removesuffix("\n")))

    def handle_data(self, data: str) -> None:
        self.reading.text += data
        self._words += data
        if not self._held:
            self.loose[-1] += data

    def handle_comment(self, data: str) -> None:
        self.reading.constructs.append(("html", data))  # cmark leaves one where it left out a tag
