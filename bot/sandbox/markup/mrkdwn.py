"""Slack's mrkdwn, rendered as HTML."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from functools import lru_cache

from bot.sandbox.markup.safe_html import escape, is_web_address, link

_FENCE = re.compile(r"```\n?(.*?)\n?```", re.DOTALL)
_ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))
_ANGLE = re.compile(r"<([^<>\n]+)>")
_ADDRESS = re.compile(r"https?://[^\s<>|]+")
_EMOJI_NAME = re.compile(r":([a-z0-9_+'-]+):")
_MARKS = {"*": "strong", "_": "em", "~": "del"}
_EMOJI = {
    "white_check_mark": "✅",
    "heavy_check_mark": "✔️",
    "x": "❌",
    "warning": "⚠️",
    "rotating_light": "🚨",
    "red_circle": "🔴",
    "large_green_circle": "🟢",
    "large_yellow_circle": "🟡",
    "chart_with_downwards_trend": "📉",
    "chart_with_upwards_trend": "📈",
    "tada": "🎉",
    "eyes": "👀",
    "thumbsup": "👍",
    "+1": "👍",
    "bug": "🐛",
    "mag": "🔍",
}
Names = Callable[[str], str | None]


def _no_names(_identity: str) -> str | None:
    return None


def render(text: str, name_of: Names = _no_names) -> str:
    """Render mrkdwn; *name_of* knows people and channels by id."""
    made, at = [], 0
    for fence in _FENCE.finditer(text):
        made += [_lines(text[at : fence.start()].removesuffix("\n"), name_of), f"<pre>{escape(plain(fence[1]))}</pre>"]
        at = fence.end()
    rest = text[at:].removeprefix("\n") if made else text
    return "".join([*made, _lines(rest, name_of)])


def plain(text: str) -> str:
    """Undo the three escapes of Slack."""
    for entity, character in _ENTITIES:
        text = text.replace(entity, character)
    return text


def _lines(text: str, name_of: Names) -> str:
    """Render lines; those that begin with > stand together as a quotation."""
    made: list[str] = []
    quoted: list[str] = []
    running: list[str] = []

    def end_quote() -> None:
        if quoted:
            made.append(f"<blockquote>{'<br>'.join(quoted)}</blockquote>")
            quoted.clear()

    def end_run() -> None:
        if running:
            made.append("<br>".join(running))
            running.clear()

    for line in text.split("\n") if text else []:
        if line.startswith(("&gt;", ">")):
            end_run()
            quoted.append(_inline(line.removeprefix("&gt;").removeprefix(">").strip(), name_of))
        else:
            end_quote()
            running.append(_inline(line, name_of))
    end_quote()
    end_run()
    return "".join(made)


def _inline(text: str, name_of: Names, depth: int = 0) -> str:
    made, at = [], 0
    while at < len(text):
        piece, at = _piece(text, at, name_of, depth)
        made.append(piece)
    return "".join(made)


def _piece(text: str, at: int, name_of: Names, depth: int) -> tuple[str, int]:
    character = text[at]
    if character == "`" and (ticked := text.find("`", at + 1)) > at + 1:
        return f"<code>{escape(plain(text[at + 1 : ticked]))}</code>", ticked + 1
    if character == "<" and (match := _ANGLE.match(text, at)) and (made := _angle(match[1], name_of)):
        return made, match.end()
    if character == "h" and not text[at - 1 : at].isalnum() and (found := _ADDRESS.match(text, at)):
        address = plain(found[0].rstrip(".,;:!?)*_~"))
        if is_web_address(address):
            return link(address, escape(address)), at + len(found[0].rstrip(".,;:!?)*_~"))
    if character == ":" and (name := _EMOJI_NAME.match(text, at)) and name[1] in _EMOJI:
        return f'<span class="emoji" title="{escape(name[0])}">{_EMOJI[name[1]]}</span>', name.end()
    if character in _MARKS and depth < len(_MARKS) and (end := _closing(text, at)):
        tag = _MARKS[character]
        return f"<{tag}>{_inline(text[at + 1 : end], name_of, depth + 1)}</{tag}>", end + 1
    if character == "&":
        for entity, sign in _ENTITIES:
            if text.startswith(entity, at):
                return escape(sign), at + len(entity)
    return escape(character), at + 1


def _angle(inside: str, name_of: Names) -> str | None:
    """Render <...>: a link, a person, a channel, or a call to everybody."""
    target, _, label = inside.partition("|")
    if target.startswith("!"):
        word = label or target[1:].split("^")[0]
        return f'<span class="mention loud">@{escape(plain(word))}</span>'
    if target.startswith(("@", "#")):
        name = label or name_of(target[1:]) or target[1:]
        return f'<span class="mention">{target[0]}{escape(plain(name))}</span>'
    address = plain(target)
    if not is_web_address(address):
        return None
    return link(address, escape(plain(label)) if label else escape(address))


def _closing(text: str, at: int) -> int | None:
    """Find the mark that ends what begins at *at*: marks hug the words and stand apart from others."""
    mark = text[at]
    before, after = text[at - 1 : at] if at else "", text[at + 1 : at + 2]
    if before.isalnum() or before == mark or not after.strip() or after == mark:
        return None
    ends = _possible_ends(text, mark)
    number = bisect_right(ends, at + 1)
    return ends[number] if number < len(ends) else None


@lru_cache(maxsize=256)
def _possible_ends(text: str, mark: str) -> list[int]:
    """List where a mark could close; found in one go, since looking from each mark anew would take the square."""
    return [
        here
        for here in range(1, len(text))
        if text[here] == mark and not text[here - 1].isspace() and not (text[here + 1 : here + 2].isalnum())
        if text[here + 1 : here + 2] != mark
    ]
