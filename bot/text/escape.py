"""Text that is not ours, written so that a service shows it letter for letter and makes nothing of it.

What cannot be seen (control characters, marks that turn the direction of writing) is made visible first. Where a
language has an escape it is used; where it has none, an invisible WORD JOINER breaks up what would be a construct,
and in Slack, which has no escape for its marks, a look-alike takes their place. What begins as a command to Herald is
broken up too: of two Heralds on one project neither shall be moved by what the other quotes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote, urlsplit

JOINER = "\u2060"
NEWLINE_SHOWN = "\u21b5"
_LONGEST_ADDRESS = 2000

_NEWLINE = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
# Everything of the categories Cc and Cf, but for the joiners that scripts and emoji need (and our own); lone
# surrogates; and the two code points that XML 1.0 forbids besides.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b\u200e\u200f\u202a-\u202e"
    "\u2061-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_SHOWN = {
    **{chr(code): chr(0x2400 + code) for code in range(0x20)},  # the pictures of the control characters
    "\t": " ",
    "\x7f": "\u2421",
    "\ufffe": "\ufffd",
    "\uffff": "\ufffd",
}


# What takes room and leaves it empty, or takes none: among letters it does its work (a no-break space, a joiner, the
# form of an emoji), but of a name that has nothing else nobody would see that it is there.
_BLANK = re.compile(
    "[\xa0\u034f\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200d\u202f\u205f\u2060\u2800\u3000\u3164"
    "\ufe00-\ufe0f\uffa0\U0001d159]"
)
_NOTHING_SEEN = re.compile(f"(?: |{_BLANK.pattern})*")


def _show(match: re.Match[str]) -> str:
    char = match[0]
    if "\ud800" <= char <= "\udfff":
        return "\ufffd"
    return _SHOWN.get(char) or f"<U+{ord(char):04X}>"


def to_plain(text: str) -> str:
    """Write *text* on one line, with what cannot be seen made visible.

    A text of nothing but blanks is shown by their names, except for ordinary spaces: those are how templates space.
    """
    text = _UNSEEN.sub(_show, _NEWLINE.sub(NEWLINE_SHOWN, text))
    return _BLANK.sub(_show, text) if _NOTHING_SEEN.fullmatch(text) else text


def storable(text: str) -> str:
    """Return *text* without what databases refuse: the zero character, and halves of surrogate pairs."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


_COMMAND = re.compile(r"(?<!\S)/(?=herald)", re.IGNORECASE)  # see bot.domain.commands


def _to_comment(text: str) -> str:
    """Write *text* on one line that gives no command, wherever it comes to stand."""
    return _COMMAND.sub("/" + JOINER, to_plain(text))


def _to_plain_lines(text: str) -> str:
    return "\n".join(_UNSEEN.sub(_show, line.expandtabs(4)) for line in _NEWLINE.split(text))


# A dot before a letter makes a domain of any two words, for readers that know no list of the ones that there are.
_DOMAIN = re.compile(r"\.(?=[^\W\d_])")

# A colon before a letter or sign begins an address, an emoji or an emoticon; in Jira, where no emoji has digits, one
# between digits is let be: it is a time.
_COLON = re.compile(r":(?!\s)")
_JIRA_COLON = re.compile(r"(?<![0-9]):(?=\S)|:(?=[^\s0-9])")


# Jira: both of its renderers let a backslash escape exactly these; % needs none. A backslash cannot escape itself (two
# break the line), and one that follows another escapes nothing.
_JIRA_ESCAPED = re.compile(r"[-#*_+?^~|{}\[\]()!@]")
_JIRA_BACKSLASH = re.compile(r"\\(?![A-Za-z0-9 ])")
_JIRA_ENTITY = re.compile(r"&(?=#?[A-Za-z0-9]+;)")
_JIRA_LINE_START = re.compile(r"^(\s*(?:h[1-6]|bq))\.")
_JIRA_WHOLE_EMOTICON = re.compile(r"[ynix/PpD]|on|off|flag|flagoff")


def to_jira(text: str) -> str:
    """Write *text* for Jira wiki markup."""
    text = _JIRA_COLON.sub(":" + JOINER, _to_comment(text))
    text = _JIRA_BACKSLASH.sub(lambda m: m[0] + JOINER, text)
    text = _JIRA_ENTITY.sub(lambda m: m[0] + JOINER, text)
    text = _JIRA_LINE_START.sub(lambda m: m[1] + JOINER + ".", text)
    text = _JIRA_ESCAPED.sub(lambda m: "\\" + m[0], text)
    # With the brackets that a template may write around it, this would be a picture: (x), (on), :).
    if text.endswith((":", ";")):
        text += JOINER
    return JOINER + text if _JIRA_WHOLE_EMOTICON.fullmatch(text) else text


def mend_jira_row(row: str) -> str:
    """Replace escaped bars by a look-alike: the converter of Jira Cloud ends a cell at an escaped bar too."""
    return row.replace("\\|", "\u2223")


def to_jira_block(text: str) -> str:
    """Write *text*, lines kept, as a block in which Jira reads no markup."""
    held = re.sub(r"(?i)\{(?=\s*(?:noformat|code))", "{" + JOINER, _to_plain_lines(text))
    return f"{{noformat}}\n{held}\n{{noformat}}"


# Slack: & < > have escapes; the marks have none and count only at the edge of a word.
_SLACK_MARK = re.compile(r"(?<![A-Za-z0-9])[*_~]|[*_~](?![A-Za-z0-9])|`")
_SLACK_LOOKALIKE = {"*": "\u2217", "_": "\u02cd", "~": "\u223c", "`": "\u02cb"}
_SLACK_NAME = re.compile(r"[@#](?!\s)")  # at the end, too: a template may go on without a space, in Chinese
_SLACK_LINE_START = re.compile(r"^(?=\s*(?:[->]|tone:|falls:))", re.IGNORECASE)
_SLACK_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


_MESSAGE_KEY = re.compile(r"^(?=\s*(?:tone|falls):)", re.IGNORECASE)  # see bot.domain.message


def to_slack(text: str) -> str:
    """Write *text* for Slack mrkdwn."""
    text = _COLON.sub(":" + JOINER, _to_comment(text))
    text = _SLACK_NAME.sub(lambda m: m[0] + JOINER, text)
    text = _DOMAIN.sub("." + JOINER, text)
    text = _SLACK_MARK.sub(lambda m: _SLACK_LOOKALIKE[m[0]], text)
    return _SLACK_LINE_START.sub(JOINER, text).translate(_SLACK_ENTITIES)


_LOOKALIKES = {
    **_SLACK_LOOKALIKE,
    "<": "\u2039",
    ">": "\u203a",
    "[": "\uff3b",
    "]": "\uff3d",
    "\\": "\u2216",
    "#": "\uff03",
}
_MARK_WITHOUT_ESCAPE = re.compile(r"(?<![A-Za-z0-9])[*_~]|[*_~](?![A-Za-z0-9])|[`<>\[\]\\]|^#|^(?:>|[-+](?=\s))")


def to_lookalikes(text: str) -> str:
    """Write *text* for a kind of Markdown that has no escapes, as group robots read it."""
    return _MARK_WITHOUT_ESCAPE.sub(lambda m: _LOOKALIKES.get(m[0], JOINER + m[0]), text)


def to_slack_address(address: str) -> str:
    """Write a clean address for the inside of a Slack link."""
    return address.translate(_SLACK_ENTITIES)


def to_slack_block(text: str) -> str:
    """Write *text*, lines kept, as preformatted text."""
    held = _to_plain_lines(text).replace("`", _SLACK_LOOKALIKE["`"])
    return f"```\n{held.translate(_SLACK_ENTITIES)}\n```"


# Markdown: CommonMark lets a backslash escape any ASCII punctuation. Addresses have no escape: GitHub's readers look
# for them in the text that is left once the escapes are gone (after a literal _ too), others after any character.
_MARKDOWN_ESCAPED = re.compile(r"[\\`*_{}\[\]()#+\-!|<>~&=]")
_MARKDOWN_NUMBERED = re.compile(r"^(\s*[0-9]+)\.(?=\s|$)")
_MARKDOWN_WWW = re.compile(r"(?i)www(?=\.)")
_MARKDOWN_HOST = re.compile(r"/(?=/)")  # `//evil.example` is an address of the page's own kind


def to_markdown(text: str) -> str:
    """Write *text* for Markdown as Trello reads it."""
    text = _COLON.sub(":" + JOINER, _MESSAGE_KEY.sub(JOINER, _to_comment(text)))
    text = text.replace("@", "@" + JOINER)
    text = _DOMAIN.sub("." + JOINER, _MARKDOWN_WWW.sub(lambda m: m[0] + JOINER, text))
    text = _MARKDOWN_HOST.sub("/" + JOINER, text)
    text = _MARKDOWN_ESCAPED.sub(lambda m: "\\" + m[0], text)
    text = _MARKDOWN_NUMBERED.sub(r"\1\\.", text)
    return JOINER + text if text.startswith(" ") else text


def to_markdown_block(text: str) -> str:
    """Write *text*, lines kept, inside a fence longer than any in it."""
    held = _to_plain_lines(text)
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", held)), default=0))
    return f"{fence}\n{held}\n{fence}"


# Confluence storage: XML.
_STORAGE_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;"})


def to_storage(text: str) -> str:
    """Write *text* for an element or an attribute of Confluence's storage format."""
    return to_plain(text).translate(_STORAGE_ENTITIES)


def to_storage_block(text: str) -> str:
    """Write *text*, lines kept, as a CDATA section."""
    return f"<![CDATA[{_to_plain_lines(text).replace(']]>', ']]]]><![CDATA[>')}]]>"


def clean_address(address: str) -> str:
    """Return a web address that means the same and is safe inside any construct; empty where it should be no link.

    Only http and https without credentials are links.
    """
    if len(address) > _LONGEST_ADDRESS:
        return ""
    try:
        parts = urlsplit(address)
        cleaned = quote(address, safe=":/?#=&+$,;%.-_~")
    except ValueError:  # half a surrogate pair, an IPv6 address that does not close
        return ""
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        return ""
    return cleaned if len(cleaned) <= _LONGEST_ADDRESS else ""


Escape = Callable[[str], str]
