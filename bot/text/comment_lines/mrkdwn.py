"""Slack's mrkdwn: what is said outside of its quotations, code and links."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bot.text.comment_lines.speech import SHOWN, physical_lines

_FENCE = "```"
_QUOTED_TO_THE_END = re.compile(r"\s*(?:>>>|&gt;&gt;&gt;)")
_SHOWN = re.compile(r"`([^`\n]+)`|<([^<>\n]*)>|~(\S[^~\n]*)~")
_MARKED = re.compile(rf"([*_])(\S.*[^\s{SHOWN}])\1")  # a whole line in bold, say
_ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))


def mrkdwn_lines(body: str) -> Iterator[str]:
    """Give the lines of a message, with what is shown signed."""
    for line in physical_lines(_outside_fences(body)):
        if _QUOTED_TO_THE_END.match(line):
            return
        if line.lstrip().startswith((">", "&gt;")):
            yield SHOWN + line
        else:
            yield _decoded(_SHOWN.sub(_sign, line))


def _outside_fences(body: str) -> str:
    """Put the sign in the place of preformatted text; what is not closed hides all that follows."""
    pieces = body.split(_FENCE)
    for at in range(1, len(pieces), 2):
        pieces[at] = f"{SHOWN}\n{SHOWN}" if "\n" in pieces[at] else SHOWN
    return "".join(pieces)


def _sign(shown: re.Match[str]) -> str:
    code, link, struck = shown.groups()
    return SHOWN + (code or struck or link.rpartition("|")[2])


def _decoded(line: str) -> str:
    marked = _MARKED.fullmatch(line.strip())
    line = marked[2] if marked else line
    for entity, character in _ENTITIES:
        line = line.replace(entity, character)
    return line
