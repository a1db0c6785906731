"""Cards and texts as people see them: each service's own markup as safe HTML."""

from __future__ import annotations

import html
import re
from typing import Any

from markupsafe import Markup, escape

from bot.sandbox.markup.safe_html import is_web_address

_PIECE = re.compile(
    r"\*\*(?P<strong>[^*]+)\*\*|\[(?P<text>[^\]]*)\]\((?P<address>[^\s()]+)\)"
    r"|<font color=\"(?P<color>[#\w]+)\">(?P<inner>.*?)</font>",
)
_COLORS = {
    "warning": "orange",
    "info": "green",
    "comment": "grey",
    "#d63a3a": "red",
    "#e3a008": "orange",
    "#2f9e5b": "green",
}
_HEADING = re.compile(r"#{1,6} ")


def adaptive(body: list[dict[str, Any]]) -> list[Markup]:
    """Show the elements of an Adaptive Card."""
    shown = []
    for element in body:
        if element.get("type") == "Container":
            lines = Markup("").join(adaptive(element.get("items") or []))
            shown.append(Markup('<div class="robot-head">{}</div>').format(lines))
        else:
            runs = Markup("").join(_run(run) for run in element.get("inlines") or [])
            small = any(run.get("isSubtle") for run in element.get("inlines") or [])
            shown.append(Markup('<p class="{}">{}</p>').format("quiet" if small else "", runs))
    return shown


def _run(run: dict[str, Any]) -> Markup:
    text = escape(run.get("text", ""))
    address = str((run.get("selectAction") or {}).get("url", ""))
    if address and is_web_address(address):
        return Markup('<a href="{}" rel="noreferrer">{}</a>').format(address, text)
    if run.get("fontType") == "Monospace":
        text = Markup("<code>{}</code>").format(text)
    return Markup("<strong>{}</strong>").format(text) if run.get("weight") == "Bolder" else text


def feishu(card: dict[str, Any]) -> list[Markup]:
    """Show a card of Feishu: its head, then its elements, whose marks are entities."""
    title = ((card.get("header") or {}).get("title") or {}).get("content", "")
    shown = [Markup('<div class="robot-head"><p><strong>{}</strong></p></div>').format(title)]
    for element in card["elements"]:
        if element["tag"] == "hr":
            shown.append(Markup("<hr>"))
            continue
        texts = element.get("elements") or [element.get("text") or {}]
        lines = Markup("<br>").join(
            _line(line, entities=True) for each in texts for line in str(each.get("content", "")).split("\n")
        )
        shown.append(Markup('<p class="{}">{}</p>').format("quiet" if element["tag"] == "note" else "", lines))
    return shown


def markdown(text: str) -> list[Markup]:
    """Show the Markdown of DingTalk and WeCom: headings, lists, quotations, bold, links, colours."""
    shown = []
    for paragraph in text.split("\n\n"):
        lines = [line.strip() for line in paragraph.split("\n") if line.strip()]
        if lines and lines[0].startswith("- "):
            items = Markup("").join(Markup("<li>{}</li>").format(_line(each.removeprefix("- "))) for each in lines)
            shown.append(Markup("<ul>{}</ul>").format(items))
        elif lines and (head := _HEADING.match(lines[0])):
            shown.append(
                Markup('<div class="robot-head"><p><strong>{}</strong></p></div>').format(_line(lines[0][head.end() :]))
            )
        elif lines:
            small = "quiet" if lines[0].startswith(">") else ""
            body = Markup("<br>").join(_line(each.removeprefix("> ")) for each in lines)
            shown.append(Markup("<hr>") if lines == ["---"] else Markup('<p class="{}">{}</p>').format(small, body))
    return shown


def _line(line: str, *, entities: bool = False) -> Markup:
    shown, at = Markup(""), 0

    def text(raw: str) -> Markup:
        return escape(html.unescape(raw) if entities else raw)

    for found in _PIECE.finditer(line):
        shown += text(line[at : found.start()])
        at = found.end()
        if found["strong"] is not None:
            shown += Markup("<strong>{}</strong>").format(text(found["strong"]))
        elif found["color"] is not None:
            hue = _COLORS.get(found["color"], "grey")
            shown += Markup('<span class="robot-{}">{}</span>').format(hue, _line(found["inner"], entities=entities))
        elif is_web_address(found["address"]):
            shown += Markup('<a href="{}" rel="noreferrer">{}</a>').format(found["address"], text(found["text"]))
        else:
            shown += text(found[0])
    return shown + text(line[at:])
