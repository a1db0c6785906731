"""What stands within a line of Jira's wiki markup: marks, links, pictures, colours, addresses, emoticons."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from bot.sandbox.markup.safe_html import escape, hue, is_web_address, link


@dataclass(frozen=True, slots=True)
class WikiContext:
    """What a text may point at: pictures and people and tickets by name; None where there is no such thing."""

    picture: Callable[[str], str | None] = lambda _name: None
    person: Callable[[str], str | None] = lambda _name: None
    ticket: Callable[[str], str | None] = lambda _key: None


NOTHING = WikiContext()

NESTING = 12  # marks within marks; deeper ones stay text

_ESCAPABLE = frozenset("*_-+~^?{}[]|!#()@\\")
_ADDRESS = re.compile(r"https?://[^\s<>\"'|\]\[{}\\]+|mailto:[^\s<>\"'|\]\[{}\\]+")
_KEY = re.compile(r"[A-Z][A-Z0-9_]{1,9}-[0-9]{1,9}(?![\w-])")
_ENTITY = re.compile(r"&(?:#[0-9]{2,6}|[A-Za-z]{2,8});")
_COLOUR = re.compile(r"\{color(?::([#\w]+))?\}")
PICTURE = re.compile(r"!([^!\s|{}][^!|\n{}]*)(?:\|([^!\n]*))?!")
LINK = re.compile(r"\[([^\[\]\n]*)\]")
_MARKS = {"*": "strong", "_": "em", "-": "del", "+": "ins", "^": "sup", "~": "sub"}
_EMOTICONS = {
    "(/)": "✔",
    "(x)": "✘",
    "(!)": "⚠",
    "(?)": "❓",
    "(i)": "ℹ",
    "(y)": "👍",
    "(n)": "👎",
    "(*)": "★",
    "(on)": "💡",
    "(+)": "⊕",
    "(-)": "⊖",
    ":)": "🙂",
    ":(": "🙁",
    ":D": "😀",
    ":P": "😛",
    ";)": "😉",
}


def is_escaped(text: str, at: int) -> bool:
    return at > 0 and text[at - 1] == "\\"


def inline(text: str, context: WikiContext, depth: int = 0) -> str:
    """Render marks, links, pictures and colours within a line or paragraph."""
    made: list[str] = []
    at = 0
    while at < len(text):
        piece, at = _piece(text, at, context, depth)
        made.append(piece)
    return "".join(made)


def _piece(text: str, at: int, context: WikiContext, depth: int) -> tuple[str, int]:
    """Render what stands at *at*; return it and where the rest begins."""
    character = text[at]
    if depth < NESTING and character in _READERS:
        found = _READERS[character](text, at, context, depth)
        if found:
            return found
    if character == "\n":
        return "<br>", at + 1
    if character in "hm" and not _follows_word(text, at) and (match := _ADDRESS.match(text, at)):
        address = match[0].rstrip(".,;:!?)'")
        return link(address, escape(address)), at + len(address)
    if character.isascii() and character.isupper() and not _follows_word(text, at) and (key := _KEY.match(text, at)):
        where = context.ticket(key[0])
        made = f'<a href="{escape(where)}">{escape(key[0])}</a>' if where else escape(key[0])
        return made, key.end()
    return escape(character), at + 1


def _follows_word(text: str, at: int) -> bool:
    return at > 0 and (text[at - 1].isalnum() or text[at - 1] in "_-")


Reader = Callable[[str, int, WikiContext, int], tuple[str, int] | None]


def _read_backslash(text: str, at: int, _context: WikiContext, _depth: int) -> tuple[str, int] | None:
    if text.startswith("\\\\", at):
        return "<br>", at + 2
    if at + 1 < len(text) and text[at + 1] in _ESCAPABLE:
        return escape(text[at + 1]), at + 2
    return None


def _read_brace(text: str, at: int, context: WikiContext, depth: int) -> tuple[str, int] | None:
    if text.startswith("{{", at):
        end = text.find("}}", at + 2)
        if end > at + 2 and "\n" not in text[at:end]:
            return f"<code>{inline(text[at + 2 : end], context, depth + 1)}</code>", end + 2
    if text.startswith("{anchor:", at) and (end := text.find("}", at)) > 0:
        return "", end + 1
    opening = _COLOUR.match(text, at)
    if opening and opening[1]:
        closing = text.find("{color}", opening.end())
        if closing > 0:
            inner = inline(text[opening.end() : closing], context, depth + 1)
            return f'<span class="ink-{hue(opening[1])}">{inner}</span>', closing + len("{color}")
    return None


def _read_bracket(text: str, at: int, context: WikiContext, depth: int) -> tuple[str, int] | None:
    match = _closed_bracket(text, at)
    if match is None:
        return None
    inside, end = match
    shown, bar, target = inside.rpartition("|")
    target = target.strip()
    if target.startswith("~") and not bar:
        name = target[1:].removeprefix("accountid:")
        person = context.person(name)
        return f'<span class="mention{"" if person else " unknown"}">@{escape(person or name)}</span>', end
    if target.startswith("^") and (where := context.picture(target[1:])):
        return f'<a href="{escape(where)}">{escape(shown or target[1:])}</a>', end
    if not is_web_address(target):
        return None
    return link(target, inline(shown, context, depth + 1) if bar else escape(target)), end


def _closed_bracket(text: str, at: int) -> tuple[str, int] | None:
    """Return what stands between brackets and where they end; a backslash before a bracket keeps it inside."""
    here = at + 1
    while here < len(text) and text[here] != "\n":
        if text[here] == "\\":
            here += 2
            continue
        if text[here] == "]":
            return text[at + 1 : here], here + 1
        if text[here] == "[":
            return None
        here += 1
    return None


def _read_picture(text: str, at: int, context: WikiContext, _depth: int) -> tuple[str, int] | None:
    match = PICTURE.match(text, at)
    if match is None or _follows_word(text, at) or match[1].endswith(" "):
        return None
    name = match[1].strip()
    looks_like_one = re.search(r"\.(?:png|jpe?g|gif|webp|svg)$", name, re.IGNORECASE)
    if not looks_like_one:
        return None
    where = context.picture(name)
    if where is None:
        return f'<span class="missing">{escape(name)}: no such picture here</span>', match.end()
    width = re.search(r"(?:^|,)\s*width=([0-9]{1,4})", match[2] or "")
    wide = f' width="{width[1]}"' if width else ""
    words = re.search(r"(?:^|,)\s*alt=([^,]*)", match[2] or "")
    return f'<img src="{escape(where)}" alt="{escape(words[1] if words else name)}"{wide}>', match.end()


def _read_mark(text: str, at: int, context: WikiContext, depth: int) -> tuple[str, int] | None:
    """Read *strong* and its kin: the marks hug the words, and stand apart from other words."""
    mark = text[at]
    if mark == "-" and (dashes := re.match(r"-{2,3}(?!-)", text[at:])) and not text[:at].endswith("-"):
        around = text[at - 1 : at] in ("", " ") and text[at + len(dashes[0]) :][:1] in ("", " ")
        return ({2: "–", 3: "—"}[len(dashes[0])], at + len(dashes[0])) if around else None
    if at > 0 and (text[at - 1].isalnum() or text[at - 1] in "_\\"):
        return None
    if at + 1 >= len(text) or text[at + 1].isspace() or text[at + 1] == mark:
        return None
    end = _closing_mark(text, at, mark)
    if end is None:
        return None
    tag = _MARKS[mark]
    return f"<{tag}>{inline(text[at + 1 : end], context, depth + 1)}</{tag}>", end + 1


def _closing_mark(text: str, at: int, mark: str) -> int | None:
    """Find the mark that closes the one at *at*, on the same line."""
    ends = _possible_ends(text, mark)
    number = bisect_right(ends, at + 1)
    if number == len(ends) or "\n" in text[at : ends[number]]:
        return None
    return ends[number]


@lru_cache(maxsize=256)
def _possible_ends(text: str, mark: str) -> list[int]:
    """List where a mark could close; found in one go, since looking from each mark anew would take the square."""
    ends = []
    here = 1
    while here < len(text):
        if text[here] == "\\":
            here += 2
            continue
        following = text[here + 1 : here + 2]
        if text[here] == mark and not text[here - 1].isspace() and not (following.isalnum() or following == "_"):
            ends.append(here)
        here += 1
    return ends


def _read_emoticon(text: str, at: int, _context: WikiContext, _depth: int) -> tuple[str, int] | None:
    for sign, shown in _EMOTICONS.items():
        if text.startswith(sign, at) and not _follows_word(text, at):
            return f'<span class="emoji" title="{escape(sign)}">{shown}</span>', at + len(sign)
    return None


def _read_entity(text: str, at: int, _context: WikiContext, _depth: int) -> tuple[str, int] | None:
    """Let entities stand as they are, as Jira does."""
    match = _ENTITY.match(text, at)
    return (match[0], match.end()) if match else None


_READERS: dict[str, Reader] = {
    "\\": _read_backslash,
    "{": _read_brace,
    "[": _read_bracket,
    "!": _read_picture,
    "(": _read_emoticon,
    ":": _read_emoticon,
    ";": _read_emoticon,
    "&": _read_entity,
    **dict.fromkeys(_MARKS, _read_mark),
}
