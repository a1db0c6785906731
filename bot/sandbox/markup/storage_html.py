"""Confluence storage format, rendered as HTML for a reader."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.sandbox.markup.safe_html import escape, hue, is_web_address, link
from bot.sandbox.markup.storage_format import StorageError, attribute, name_of, parse, plain_text

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket as the Jira macro shows it."""

    key: str
    url: str
    summary: str
    status: str
    category: str  # new, indeterminate, done
    assignee: str
    type: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a page may point at; None or nothing where there is no such thing."""

    attachment: Callable[[str], str | None] = lambda _name: None
    page: Callable[[str], str | None] = lambda _title: None
    person: Callable[[str], str | None] = lambda _account: None
    tickets: Callable[[str], list[Ticket]] = lambda _jql: []
    children: Callable[[], list[tuple[str, str]]] = list  # title, address


NOTHING = Surroundings()
_PANELS = {
    "info": "info",
    "tip": "success",
    "note": "note",
    "warning": "warning",
    "panel": "plain",
    "success": "success",
}
_PANELS |= {"error": "warning"}
_PLAIN_TAGS = frozenset(
    {"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "table", "thead", "tbody", "tr", "blockquote", "pre"}
    | {"strong", "em", "u", "s", "del", "ins", "sub", "sup", "small", "code", "div", "span", "caption", "cite"}
)
_RENAMED = {"b": "strong", "i": "em"}
_NOT_SHOWN = frozenset(
    {"script", "style", "iframe", "object", "embed", "form", "input", "button", "select", "textarea", "link", "meta"}
    | {"img", "svg", "math", "video", "audio", "colgroup", "col", "ac:parameter", "ac:placeholder"}
)
_NESTING = 150
_SPAN = re.compile("[0-9]{1,3}")


def render(body: str, around: Surroundings = NOTHING) -> str:
    """Render a stored body; one that cannot be parsed (it never was stored here) is shown as text."""
    try:
        root = parse(body).root
    except StorageError:
        return f"<pre>{escape(body)}</pre>"
    return _Page(around).inside(root)


def render_without_context(body: str) -> str:
    return render(body)


class _Page:
    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._depth = 0

    def inside(self, element: Any) -> str:
        made = [escape(element.text or "")]
        for child in element:
            made += [self._shown(child), escape(child.tail or "")]
        return "".join(made)

    def _shown(self, element: Any) -> str:
        if not isinstance(element.tag, str):
            return ""
        self._depth += 1
        try:
            return "" if self._depth > _NESTING else self._element(element, name_of(element))
        finally:
            self._depth -= 1

    def _element(self, element: Any, name: str) -> str:
        if name in _NOT_SHOWN:
            return ""
        if name in ("br", "hr"):
            return f"<{name}>"
        if name in ("th", "td"):
            return self._cell(element, name)
        if name in _PLAIN_TAGS or name in _RENAMED:
            tag = _RENAMED.get(name, name)
            return f"<{tag}>{self.inside(element)}</{tag}>"
        special = _SPECIAL.get(name)
        return special(self, element) if special else self.inside(element)

    def _cell(self, element: Any, name: str) -> str:
        spans = ""
        for kind in ("colspan", "rowspan"):
            value = element.get(kind, "")
            if _SPAN.fullmatch(value):
                spans += f' {kind}="{value}"'
        return f"<{name}{spans}>{self.inside(element)}</{name}>"

    def anchor(self, element: Any) -> str:
        address, inner = element.get("href", ""), self.inside(element)
        return link(address, inner) if is_web_address(address) else inner

    def time(self, element: Any) -> str:
        return f'<time class="date">{escape(element.get("datetime", "") or plain_text(element))}</time>'

    def picture(self, element: Any) -> str:
        attached = next((attribute(one, "ri:filename") for one in element if name_of(one) == "ri:attachment"), None)
        alt = attribute(element, "ac:alt") or attached or "picture"
        where = self._around.attachment(attached) if attached else None
        if where is None:
            return f'<span class="missing">{escape(attached or "A picture from elsewhere")}: not shown</span>'
        width = attribute(element, "ac:width") or ""
        wide = f' width="{width}"' if re.fullmatch("[0-9]{1,4}", width) else ""
        return f'<img src="{escape(where)}" alt="{escape(alt)}"{wide}>'

    def ac_link(self, element: Any) -> str:
        """Render a link to a page, a person, or an attached file; the body is what is read."""
        target: str | None = None
        shown = ""
        fallback = ""
        for child in element:
            match name_of(child):
                case "ri:page":
                    fallback = attribute(child, "ri:content-title") or ""
                    target = self._around.page(fallback)
                case "ri:attachment":
                    fallback = attribute(child, "ri:filename") or ""
                    target = self._around.attachment(fallback)
                case "ri:user":
                    account = attribute(child, "ri:account-id") or attribute(child, "ri:userkey") or ""
                    name = self._around.person(account) or account
                    return f'<span class="mention">@{escape(name)}</span>'
                case "ac:link-body":
                    shown = self.inside(child)
                case "ac:plain-text-link-body":
                    shown = escape(plain_text(child))
        shown = shown or escape(fallback)
        if target is None:
            return f'<span class="missing" title="There is no such page here">{shown}</span>'
        return f'<a href="{escape(target)}">{shown}</a>'

    def emoticon(self, element: Any) -> str:
        name = attribute(element, "ac:name") or ""
        shown = attribute(element, "ac:emoji-fallback") or _EMOTICONS.get(name, f"({name})")
        return f'<span class="emoji">{escape(shown)}</span>'

    def task_list(self, element: Any) -> str:
        return f'<ul class="tasks">{self.inside(element)}</ul>'

    def task(self, element: Any) -> str:
        parts = {name_of(one): one for one in element if isinstance(one.tag, str)}
        status = plain_text(parts["ac:task-status"]) if "ac:task-status" in parts else ""
        body = self.inside(parts["ac:task-body"]) if "ac:task-body" in parts else ""
        return f"<li>{'☑' if status.strip() == 'complete' else '☐'} {body}</li>"

    def layout(self, element: Any) -> str:
        kind = name_of(element).removeprefix("ac:")
        return f'<div class="{escape(kind)}">{self.inside(element)}</div>'

    def macro(self, element: Any) -> str:
        given: dict[str, str] = {}
        body, text = "", ""
        for child in element:
            match name_of(child):
                case "ac:parameter":
                    given[attribute(child, "ac:name") or ""] = plain_text(child)
                case "ac:rich-text-body":
                    body = self.inside(child)
                case "ac:plain-text-body":
                    text = plain_text(child)
        return self._macro_named(attribute(element, "ac:name") or "", given, body, text)

    def _macro_named(self, name: str, given: dict[str, str], body: str, text: str) -> str:
        title = given.get("title", "")
        if name in _PANELS:
            return _panel(_PANELS[name], title, body)
        match name:
            case "status":
                return _lozenge(given.get("colour") or given.get("color") or "grey", title)
            case "expand":
                shown = escape(title or "Click here to expand...")
                return f'<details class="expand"><summary>{shown}</summary><div>{body}</div></details>'
            case "code" | "noformat":
                heading = f'<div class="frame-title">{escape(title)}</div>' if title else ""
                return f'{heading}<pre class="code">{escape(text)}</pre>'
            case "jira" | "jiraissues":
                return self._tickets(given)
            case "children":
                return _list_of_pages(self._around.children())
            case "anchor" | "toc" | "toc-zone" | "excerpt":
                return body
            case _:
                return f'<div class="panel panel-unknown">Unknown macro: {escape(name)}</div>{body}'

    def _tickets(self, given: dict[str, str]) -> str:
        """Look the tickets up now: a page is never written again only because a ticket moved."""
        jql = given.get("jqlQuery") or given.get("jql") or (f'key = "{given["key"]}"' if given.get("key") else "")
        limit = given.get("maximumIssues", "20")
        found = self._around.tickets(jql)[: int(limit) if re.fullmatch("[0-9]{1,3}", limit) else 20] if jql else []
        if given.get("key") and len(found) == 1:
            return _ticket_lozenge(found[0])
        if given.get("count") == "true":
            return f'<span class="ticket-count">{len(found)} issues</span>'
        if not found:
            return '<p class="tickets-none">No issues found</p>'
        rows = "".join(_ticket_row(one) for one in found)
        head = "<tr><th>Type</th><th>Key</th><th>Summary</th><th>Status</th><th>Assignee</th></tr>"
        count = f"{len(found)} issue{'' if len(found) == 1 else 's'}"
        table = f"<table><tbody>{head}{rows}</tbody></table>"
        return f'<div class="tickets">{table}<div class="tickets-foot">{count}</div></div>'


def _panel(kind: str, title: str, body: str) -> str:
    heading = f'<div class="panel-title">{escape(title)}</div>' if title else ""
    return f'<div class="panel panel-{kind}"><div class="panel-body">{heading}{body}</div></div>'


def _lozenge(colour: str, title: str) -> str:
    return f'<span class="lozenge lozenge-{hue(colour)}">{escape(title or colour)}</span>'


CATEGORY_HUES = {"new": "grey", "indeterminate": "blue", "done": "green"}


def _ticket_row(one: Ticket) -> str:
    status = _lozenge(CATEGORY_HUES.get(one.category, "grey"), one.status)
    where = escape(one.url)
    return (
        f'<tr><td>{escape(one.type)}</td><td><a href="{where}">{escape(one.key)}</a></td>'
        f'<td><a href="{where}">{escape(one.summary)}</a></td><td>{status}</td><td>{escape(one.assignee)}</td></tr>'
    )


def _ticket_lozenge(one: Ticket) -> str:
    status = _lozenge(CATEGORY_HUES.get(one.category, "grey"), one.status)
    title = f"{escape(one.key)}: {escape(one.summary)}"
    return f'<span class="ticket-inline"><a href="{escape(one.url)}">{title}</a> {status}</span>'


def _list_of_pages(pages: list[tuple[str, str]]) -> str:
    items = "".join(f'<li><a href="{escape(where)}">{escape(title)}</a></li>' for title, where in pages)
    return f"<ul>{items}</ul>" if items else ""


_EMOTICONS = {"tick": "✅", "cross": "❌", "warning": "⚠️", "information": "ℹ️", "smile": "🙂", "question": "❓"}
_SPECIAL: dict[str, Callable[[_Page, Any], str]] = {
    "a": _Page.anchor,
    "time": _Page.time,
    "ac:image": _Page.picture,
    "ac:link": _Page.ac_link,
    "ac:emoticon": _Page.emoticon,
    "ac:structured-macro": _Page.macro,
    "ac:macro": _Page.macro,
    "ac:task-list": _Page.task_list,
    "ac:task": _Page.task,
    "ac:layout": _Page.layout,
    "ac:layout-section": _Page.layout,
    "ac:layout-cell": _Page.layout,
}
