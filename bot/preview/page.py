"""The page that shows texts as their readers see them: one document of HTML, which needs nothing besides itself."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from bot.domain.message import MessageDocument
from bot.domain.views import ChartView, RunPageView
from bot.errors import TemplateError
from bot.preview import cards, markup
from bot.preview.texts import Sheet
from bot.render.charts import draw_history
from bot.render.renderer import Renderer
from bot.sandbox.web.html_pages import style_sheet
from bot.text.locales import Locale, known_locales

_MOST_SHOWN = 3  # of a list, in what a view holds


@dataclass(frozen=True, slots=True)
class ShownText:
    """A text on the page."""

    case: str
    reader: str
    template: str
    title: str
    html: Markup
    source: str
    holds: Markup  # what its template gets
    error: str = ""


@dataclass(frozen=True, slots=True)
class Around:
    """What a page that is served has besides its texts; one that stands alone has nothing of it."""

    what: str = ""
    names: Sequence[str] = ()  # of all that there is to choose from
    link: Callable[[str, Locale], str] = lambda _what, _locale: ""
    watched: str = ""  # an address that gives another word once a template has changed
    word: str = ""  # what it gave for this page
    nonce: str = ""  # of the page's script and style


def compose_page(
    sheets: Iterable[Sheet], pictures: markup.Pictures, locale: Locale, overrides: Path | None, around: Around
) -> str:
    """Render the sheets into one page; what is broken in a template of the team's stands on top.

    *pictures* are addresses of the files that texts show. *overrides* is the folder of the team's own templates.
    """
    complaints: list[str] = []
    renderer = Renderer(locale, overrides, lambda error: complaints.append(str(error)))
    shown = [_show(sheet, renderer, pictures) for sheet in sheets]
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            around=around,
            locale=locale,
            locales=known_locales(),
            shown=shown,
            complaints=list(dict.fromkeys(complaints)),
            style=Markup(style_sheet().decode()),  # noqa: S704  the sandbox's own
        )
    )


def _show(sheet: Sheet, renderer: Renderer, pictures: markup.Pictures) -> ShownText:
    title, source, html, error = "", "", "", ""
    try:
        title, body = sheet.make(renderer)
    except TemplateError as broken:
        error = str(broken)
    else:
        source, html = str(body), markup.show(body, sheet.form.dialect, pictures)
        if isinstance(body, MessageDocument):
            html = cards.draw(sheet.reader, body, sheet.case.view, renderer) or html
    return ShownText(
        case=sheet.case.name,
        reader=sheet.reader,
        template=sheet.form.template,
        title=title,
        html=Markup(html),  # noqa: S704  what shows markup escapes
        source=source,
        holds=_tree(sheet.case.view),
        error=error,
    )


def pictures_of(views: Iterable[object]) -> markup.Pictures:
    """Return what draws those charts among views that are asked for, and gives an address: the picture itself."""
    found = {chart.filename: chart for view in views for chart in _charts_in(view)}
    return lambda name: _address_of(found[name]) if name in found else None


def _charts_in(view: object) -> Iterator[ChartView]:
    if isinstance(view, ChartView):
        yield view
    elif isinstance(view, RunPageView) and view.chart is not None:
        yield view.chart


@cache
def _address_of(chart: ChartView) -> str:
    return f"data:image/png;base64,{base64.b64encode(draw_history(chart)).decode()}"


def _tree(value: object) -> Markup:
    """Write what a view holds as nested lists: each field by the name that a template says."""
    if is_dataclass(value) and not isinstance(value, type):
        rows = [(each.name, getattr(value, each.name)) for each in fields(value)]
        return _list((escape(name), _kind(inner), _tree(inner)) for name, inner in rows)
    if isinstance(value, Mapping):
        return _list((escape(str(name)), Markup(""), Markup("")) for name in value)
    if isinstance(value, tuple) and value:
        rest = len(value) - _MOST_SHOWN
        rows_of = [(Markup(f"[{at}]"), _kind(inner), _tree(inner)) for at, inner in enumerate(value[:_MOST_SHOWN])]  # noqa: S704
        more = [(Markup(f"and {rest} more"), Markup(""), Markup(""))] if rest > 0 else []  # noqa: S704
        return _list([*rows_of, *more])
    shown = str(value) if isinstance(value, Enum) else repr(value)
    return Markup(" = <code>{}</code>").format(shown)


def _kind(value: object) -> Markup:
    named = type(value).__name__ if is_dataclass(value) else ""
    return Markup(' <span class="quiet">{}</span>').format(named) if named else Markup("")


def _list(rows: Iterable[tuple[Markup, Markup, Markup]]) -> Markup:
    items = Markup("").join(Markup("<li><b>{}</b>{}{}</li>").format(*row) for row in rows)
    return Markup("<ul>{}</ul>").format(items)


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
