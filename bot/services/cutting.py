"""Cutting text to what a service takes, at a place where a reader would pause, without breaking its markup."""

from __future__ import annotations

ELLIPSIS = "…"
_ENTITY_LONGEST = 8  # `&#12345;`
_WIKI_PAIRS = ("{noformat}", "{code}", "{quote}", "{panel}", "{color}")


def shorten(text: str, limit: int) -> str:
    """Cut *text* to *limit* characters at the last paragraph, line or word of its second half."""
    if len(text) <= limit:
        return text
    room = limit - len(ELLIPSIS)
    head = text[:room]
    for pause in ("\n\n", "\n", " "):
        at = head.rfind(pause)
        if at > room // 2:
            head = head[:at]
            break
    return head.rstrip() + ELLIPSIS


def shorten_mrkdwn(text: str, limit: int) -> str:
    """Cut Slack's mrkdwn; never inside a link or an entity, and closes a code block that it opened."""
    if len(text) <= limit:
        return text
    fence = "\n```"
    head = shorten(text, limit - len(fence)).removesuffix(ELLIPSIS)
    opened = head.rfind("<")
    if opened > head.rfind(">"):
        head = head[:opened]
    entity = head.rfind("&", len(head) - _ENTITY_LONGEST)
    if entity > head.rfind(";"):
        head = head[:entity]
    return head.rstrip() + ELLIPSIS + (fence if head.count("```") % 2 else "")


def shorten_wiki(text: str, limit: int) -> str:
    """Cut Jira's wiki markup; never behind a lone backslash, and closes the blocks that it opened."""
    if len(text) <= limit:
        return text
    room = limit - sum(len(pair) + 1 for pair in _WIKI_PAIRS)
    head = shorten(text, room).removesuffix(ELLIPSIS).rstrip("\\")
    opened = head.rfind("{")
    if opened > head.rfind("}") and head[opened - 1 : opened] != "\\":
        head = head[:opened]
    ends = [pair for pair in _WIKI_PAIRS if _openings(head, pair) % 2]
    return "\n".join([head.rstrip() + ELLIPSIS, *ends])


def shorten_markdown(text: str, limit: int) -> str:
    """Cut Markdown to *limit* UTF-16 units; never behind a lone backslash, and closes a code block that it opened."""
    wide = sum(char > "\uffff" for char in text)
    if len(text) + wide <= limit:
        return text
    fence = "\n```"
    head = shorten(text, limit - wide - len(fence)).removesuffix(ELLIPSIS).rstrip("\\")
    opened = sum(line.lstrip().startswith("```") for line in head.split("\n")) % 2
    return head.rstrip() + ELLIPSIS + (fence if opened else "")


def _openings(text: str, pair: str) -> int:
    """Count openings and closings of a block, `{code}` and `{code:python}` alike, escaped ones left out."""
    stem = pair.removesuffix("}")
    return sum(text.count(stem + end) - text.count("\\" + stem + end) for end in ("}", ":"))
