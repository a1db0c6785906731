"""What a service makes of a text in its markup, as HTML that a browser may show: the sandbox's own reading of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape

from bot.domain.message import Paragraph, Part
from bot.domain.views import Tone
from bot.preview.texts import Body
from bot.sandbox.markup import markdown, mrkdwn, storage_html, wiki_markup
from bot.sandbox.markup.wiki_inline import WikiContext

Pictures = Callable[[str], str | None]  # the address of a file that is attached
Show = Callable[[str, Pictures], str]

_BARS = {Tone.BAD: "red", Tone.WATCH: "yellow", Tone.GOOD: "green"}


@dataclass(frozen=True, slots=True)
class _Reading:
    """How a service shows its markup, and the class of its pages."""

    show: Show
    kind: str


def _show_wiki(text: str, pictures: Pictures) -> str:
    return wiki_markup.render(text, WikiContext(picture=pictures))


def _show_storage(text: str, pictures: Pictures) -> str:
    return storage_html.render(text, storage_html.Surroundings(attachment=pictures, page=lambda _title: "#"))


def _show_plain(text: str, _pictures: Pictures) -> str:
    return f"<pre>{escape(text)}</pre>"


def _show_page(text: str, _pictures: Pictures) -> str:
    """Show what a page of ours says, without what stands around it: it was escaped as it was made."""
    return text.partition('<main id="main">')[2].partition("</main>")[0]


def _show_picture(filename: str, pictures: Pictures) -> str:
    return f'<p><img src="{pictures(filename)}" alt="" width="900"></p>'


_READINGS: Mapping[str, _Reading] = {
    "wiki": _Reading(_show_wiki, "prose"),
    "storage": _Reading(_show_storage, "prose"),
    "markdown": _Reading(lambda text, _pictures: markdown.render(text), "prose"),
    "html": _Reading(_show_page, "prose"),
    "picture": _Reading(_show_picture, "prose"),
    "mrkdwn": _Reading(lambda text, _pictures: mrkdwn.render(text), "message"),
}
_PLAIN = _Reading(_show_plain, "prose")


def show(body: Body, dialect: str, pictures: Pictures) -> str:
    """Return a text as HTML; markup that the sandbox does not read is shown as it is written."""
    reading = _READINGS.get(dialect, _PLAIN)
    if isinstance(body, str):
        return f'<div class="{reading.kind}">{reading.show(body, pictures)}</div>'
    headline = _paragraph(Paragraph(Part.SECTION, body.headline), reading, pictures)
    rest = "".join(_paragraph(each, reading, pictures) for each in body.body)
    bar = f'<div class="bar bar-{_BARS[body.tone]}">{rest}</div>' if body.tone and rest else rest
    return f'<article class="message"><div class="message-main">{headline}{bar}</div></article>'


def _paragraph(paragraph: Paragraph, reading: _Reading, pictures: Pictures) -> str:
    match paragraph.part:
        case Part.DIVIDER:
            return "<hr>"
        case Part.CONTEXT:
            return f'<p class="block-context"><span>{reading.show(paragraph.text, pictures)}</span></p>'
        case Part.SECTION:
            shown = reading.show(paragraph.text, pictures)
            return f'<div class="block-section"><div class="block-text">{shown}</div></div>'
