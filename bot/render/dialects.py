"""The output languages: how each writes untrusted text, and its few constructs; long, since there are six.

A construct takes text (or markup made before) and returns Markup; a template cannot build markup from text any other
way. A construct that a language lacks is not defined there, so that a template that asks for it is found broken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from markupsafe import Markup

from bot.domain.judge.findings import Outcome
from bot.domain.page_charts import PagePicture
from bot.domain.replay_views import ReplayChart
from bot.render.limits import current_room
from bot.render.page_pictures import draw_picture
from bot.render.style import STYLE
from bot.render.svg import draw
from bot.text import escape

Construct = Callable[..., Markup]

# Severity as a colour: what a wiki calls it, and the hue Jira's own lozenges have.
_LOZENGES = {
    Outcome.IMPROVED: ("Green", "#00875a"),
    Outcome.OK: ("Green", "#00875a"),
    Outcome.NO_BASELINE: ("Grey", "#6b778c"),
    Outcome.INSUFFICIENT_DATA: ("Grey", "#6b778c"),
    Outcome.SUSPICIOUS: ("Yellow", "#b26500"),
    Outcome.OUTSIDE: ("Yellow", "#b26500"),
    Outcome.BREACHED: ("Red", "#de350b"),
    Outcome.REGRESSED: ("Red", "#de350b"),
    Outcome.INVALID: ("Purple", "#5243aa"),
    Outcome.STALE: ("Yellow", "#b26500"),
    Outcome.FAILED: ("Red", "#de350b"),
    Outcome.BLIND: ("Red", "#de350b"),
    Outcome.AWAY: ("Red", "#de350b"),
}
_PANELS = {"Green": "tip", "Yellow": "note", "Red": "warning", "Purple": "warning", "Grey": "info"}
_HANDLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._@+-]{0,254}")
_USER_NAME = re.compile(r"@[A-Za-z0-9_]{3,100}")  # of Trello
_TICKET_KEY = re.compile(r"[A-Z][A-Z0-9_]*-[0-9]+")  # which no line may break
_FILENAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_NO_BREAK = "\u00a0"
_LONGEST_ALT = 200
_LONGEST_NAME = 255  # of a page or a label
_LONGEST_SLACK_ADDRESS = 700  # three links share a section of 3,000 characters


@dataclass(frozen=True, slots=True)
class Dialect:
    """An output language; *write* turns untrusted text into markup, *block* does so for several lines."""

    name: str
    suffix: str
    write: escape.Escape
    block: escape.Escape
    constructs: Mapping[str, Construct]

    def mark(self, value: object) -> Markup:
        """Return *value* as markup of this language, which it may be already; text that is too long is cut."""
        return value if isinstance(value, Markup) else Markup(self.write(current_room().shorten(str(value))))  # noqa: S704


def _made(text: str) -> Markup:
    return Markup(text)  # noqa: S704  # every piece was escaped by the construct that calls this


def _jira_link(text: object, address: str) -> Markup:
    """Write a link; text that the brackets of a link cannot hold stands before it."""
    shown, target = JIRA.mark(text).strip(), escape.clean_address(address)
    if not target or not shown:
        return _made(shown)
    if re.search(r"[\[\]|{}]", shown):
        return _made(f"{shown} ([{target}])")
    return _made(f"[{shown}|{target}]")


def _jira_code(text: str) -> Markup:
    """Write a technical name in monospace, where nothing in it could be taken for markup there."""
    if re.fullmatch(r"[A-Za-z0-9]+(?:[._/=-][A-Za-z0-9]+)*", text):
        return _made("{{" + text + "}}")
    return JIRA.mark(text)


def _jira_row(*cells: object) -> Markup:
    return _made("| " + " | ".join(escape.mend_jira_row(JIRA.mark(cell)).strip() or " " for cell in cells) + " |")


def _jira_header(*cells: object) -> Markup:
    return _made("|| " + " || ".join(escape.mend_jira_row(JIRA.mark(cell)).strip() or " " for cell in cells) + " ||")


def _jira_strong(text: object) -> Markup:
    shown = JIRA.mark(text).strip()
    return _made(f"*{shown}*" if shown else "")


def _jira_small(text: object) -> Markup:
    return _made(f"{{color:#6b778c}}{JIRA.mark(text)}{{color}}")


def _jira_lozenge(outcome: Outcome, text: object) -> Markup:
    whole = _jira_strong(text).replace(" ", _NO_BREAK)  # in a narrow column, too
    return _made(f"{{color:{_LOZENGES[outcome][1]}}}{whole}{{color}}")


def _jira_image(filename: str, alt: object = "") -> Markup:
    """Show an attached picture; of its words only what cannot end them stays."""
    if not _FILENAME.fullmatch(filename):
        return _made("")
    words = " ".join(re.sub(r"[^\w .;:%()-]", " ", str(alt)).split())[:_LONGEST_ALT]
    return _made(f"!{filename}|width=720{f',alt={words}' if words else ''}!")


def _jira_attached(filename: str) -> Markup:
    """Link to a file that is attached to the ticket, now or soon."""
    return _made(f"[^{filename}]" if _FILENAME.fullmatch(filename) else "")


def _jira_mention(name: object, handle: str) -> Markup:
    """Name somebody so that Jira tells them; without a handle that it takes, by name alone."""
    return _made(f"[~{handle}]") if _HANDLE.fullmatch(handle) else JIRA.mark(name)


def _storage_link(text: object, address: str) -> Markup:
    shown, target = STORAGE.mark(text), escape.clean_address(address)
    return _made(f'<a href="{escape.to_storage(target)}">{shown}</a>') if target else shown


def _storage_page_link(title: str, text: object = None) -> Markup:
    """Link to a page of the same space by its title."""
    shown = STORAGE.mark(title if text is None else text)
    if not 0 < len(title) <= _LONGEST_NAME:
        return shown
    page = f'<ri:page ri:content-title="{escape.to_storage(title)}" />'
    return _made(f"<ac:link>{page}<ac:link-body>{shown}</ac:link-body></ac:link>")


def _storage_element(name: str) -> Construct:
    return lambda text: _made(f"<{name}>{STORAGE.mark(text)}</{name}>")


def _storage_block(text: str) -> str:
    body = f"<ac:plain-text-body>{escape.to_storage_block(text)}</ac:plain-text-body>"
    return _macro("code", {"language": "none"}, body)


def _storage_lozenge(outcome: Outcome, text: object) -> Markup:
    return _made(_macro("status", {"colour": _LOZENGES[outcome][0], "title": STORAGE.mark(text)}))


def _storage_image(filename: str, alt: object) -> Markup:
    if not _FILENAME.fullmatch(filename):
        return _made("")
    attached = f'<ri:attachment ri:filename="{filename}" />'
    return _made(f'<ac:image ac:width="900" ac:alt="{STORAGE.mark(alt)}">{attached}</ac:image>')


def _storage_attached(filename: str) -> Markup:
    """Link to a file that is attached to the page, now or soon."""
    if not _FILENAME.fullmatch(filename):
        return _made("")
    attached = f'<ri:attachment ri:filename="{filename}" />'
    return _made(f"<ac:link>{attached}<ac:link-body>{filename}</ac:link-body></ac:link>")


def _storage_tickets(marker: str) -> Markup:
    """Show the tickets that carry the marker, wherever they are and whenever they come to be."""
    if not 0 < len(marker) <= _LONGEST_NAME:
        return _made("")
    quoted = marker.replace("\\", "\\\\").replace('"', '\\"')
    query = escape.to_storage(f'labels = "{quoted}"')
    return _made(_macro("jira", {"jqlQuery": query, "columns": "key,summary,status,assignee", "maximumIssues": "20"}))


def _storage_children() -> Markup:
    """Let the wiki list the pages below this one, newest first."""
    return _made(_macro("children", {"sort": "creation", "reverse": "true"}))


def _storage_panel(outcome: Outcome, body: Markup) -> Markup:
    """Set *body*, block markup, in a panel of the outcome's colour."""
    inner = f"<ac:rich-text-body>{STORAGE.mark(body)}</ac:rich-text-body>"
    return _made(_macro(_PANELS[_LOZENGES[outcome][0]], {}, inner))


def _macro(name: str, parameters: Mapping[str, str], body: str = "") -> str:
    given = "".join(f'<ac:parameter ac:name="{key}">{value}</ac:parameter>' for key, value in parameters.items())
    return f'<ac:structured-macro ac:name="{name}" ac:schema-version="1">{given}{body}</ac:structured-macro>'


def _slack_link(text: object, address: str) -> Markup:
    shown, target = SLACK.mark(text).strip(), escape.to_slack_address(escape.clean_address(address))
    if not target or not shown or len(target) > _LONGEST_SLACK_ADDRESS:
        return _made(shown)
    return _made(f"{shown} (<{target}>)" if "|" in shown else f"<{target}|{shown}>")


def _slack_code(text: object) -> Markup:
    return SLACK.mark(text)  # a mark around a name would need the name to be free of it


def _storage_mention(name: object, _handle: str) -> Markup:
    return STORAGE.mark(name)  # the handles are those of trackers


def _slack_mention(name: object, _handle: str) -> Markup:
    return SLACK.mark(name)  # the handles are those of trackers


def _slack_strong(text: object) -> Markup:
    shown = SLACK.mark(text).strip()
    return _made(f"*{shown}*" if shown else "")


def _markdown_link(text: object, address: str) -> Markup:
    shown, target = MARKDOWN.mark(text).strip(), escape.clean_address(address)
    return _made(f"[{shown}]({target})" if target and shown else shown)


def _markdown_mention(name: object, handle: str) -> Markup:
    """Name somebody, and where Trello tells them by a user name have that beside it."""
    shown = MARKDOWN.mark(name)
    return _made(f"{shown} ({handle})") if _USER_NAME.fullmatch(handle) else shown


def _markdown_code(text: str) -> Markup:
    """Write a technical name in monospace, where no rule of Trello's could reach into it."""
    return _made(f"`{text}`") if re.fullmatch(r"[A-Za-z0-9._/=-]+", text) else MARKDOWN.mark(text)


def _markdown_strong(text: object) -> Markup:
    shown = MARKDOWN.mark(text).strip()
    return _made(f"**{shown}**" if shown else "")


def _plain_mention(name: object, _handle: str) -> Markup:
    return PLAIN.mark(name)


def _plain_code(text: object) -> Markup:
    return PLAIN.mark(text)


def _plain_link(text: object, _address: str) -> Markup:
    return PLAIN.mark(text)


_COMMAND = re.compile(r"/?[A-Za-z]+(?: [A-Za-z0-9-]+)*")  # to Herald, or one of its usages


def _command_in(opening: str, closing: str, write: escape.Escape) -> Construct:
    """Write a command to Herald as it is typed, and yet so that it is none: no reading finds one in code."""
    return lambda text: _made(f"{opening}{text}{closing}" if _COMMAND.fullmatch(text) else write(text))


def _html_element(name: str, kind: str = "") -> Construct:
    opened = f'<{name} class="{kind}">' if kind else f"<{name}>"
    return lambda text: _made(f"{opened}{HTML.mark(text)}</{name}>")


def _html_link(text: object, address: str) -> Markup:
    shown, target = HTML.mark(text), escape.clean_address(address)
    kind = ' class="key"' if _TICKET_KEY.fullmatch(shown) else ""
    return _made(f'<a{kind} href="{escape.to_storage(target)}">{shown}</a>') if target else shown


def _html_mention(name: object, _handle: str) -> Markup:
    return HTML.mark(name)  # a page tells nobody


def _html_lozenge(outcome: Outcome, text: object) -> Markup:
    return _made(f'<span class="lozenge {_LOZENGES[outcome][0].lower()}">{HTML.mark(text)}</span>')


def _html_stylesheet() -> Markup:
    return _made(f"<style>{STYLE}</style>")


_IN_ISLAND = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": " ", "\u2029": " "})


def _html_island(name: str, text: str) -> Markup:
    """Put JSON where the page's script reads it; no browser runs it, nor finds an end of it in there."""
    return _made(
        f'<script type="application/json" id="{escape.to_storage(name)}">{text.translate(_IN_ISLAND)}</script>'
    )


def _html_drawing(chart: ReplayChart | PagePicture) -> Markup:
    return _made(draw_picture(chart) if isinstance(chart, PagePicture) else draw(chart))


JIRA = Dialect(
    "wiki",
    "wiki",
    escape.to_jira,
    escape.to_jira_block,
    {
        "link": _jira_link,
        "code": _jira_code,
        "command": _command_in("{{", "}}", escape.to_jira),
        "strong": _jira_strong,
        "small": _jira_small,
        "row": _jira_row,
        "header": _jira_header,
        "lozenge": _jira_lozenge,
        "image": _jira_image,
        "attached": _jira_attached,
        "mention": _jira_mention,
    },
)
STORAGE = Dialect(
    "storage",
    "storage",
    escape.to_storage,
    _storage_block,
    {
        "link": _storage_link,
        "page_link": _storage_page_link,
        "code": _storage_element("code"),
        "command": _storage_element("code"),
        "strong": _storage_element("strong"),
        "small": _storage_element("small"),
        "lozenge": _storage_lozenge,
        "mention": _storage_mention,
        "image": _storage_image,
        "attached": _storage_attached,
        "tickets": _storage_tickets,
        "children": _storage_children,
        "panel": _storage_panel,
    },
)
SLACK = Dialect(
    "mrkdwn",
    "mrkdwn",
    escape.to_slack,
    escape.to_slack_block,
    {
        "link": _slack_link,
        "code": _slack_code,
        "command": _command_in("`", "`", escape.to_slack),
        "mention": _slack_mention,
        "strong": _slack_strong,
    },
)
MARKDOWN = Dialect(
    "markdown",
    "md",
    escape.to_markdown,
    escape.to_markdown_block,
    {
        "link": _markdown_link,
        "code": _markdown_code,
        "command": _command_in("`", "`", escape.to_markdown),
        "mention": _markdown_mention,
        "strong": _markdown_strong,
        "attached": _markdown_code,
    },
)
HTML = Dialect(
    "html",
    "html",
    escape.to_storage,
    _storage_block,
    {
        "link": _html_link,
        "code": _html_element("code"),
        "command": _html_element("code"),
        "strong": _html_element("strong"),
        "small": _html_element("small"),
        "lozenge": _html_lozenge,
        "mention": _html_mention,
        "drawing": _html_drawing,
        "island": _html_island,
        "stylesheet": _html_stylesheet,
    },
)
PLAIN = Dialect(
    "plain",
    "txt",
    escape.to_plain,
    escape.to_plain,
    {
        "code": _plain_code,
        "command": _plain_code,
        "strong": _plain_code,
        "link": _plain_link,
        "mention": _plain_mention,
    },
)


def named(name: str) -> Dialect:
    """Return the output language of that name."""
    return next(each for each in (JIRA, STORAGE, SLACK, MARKDOWN, HTML, PLAIN) if each.name == name)
