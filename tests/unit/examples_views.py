"""The examples that lost most as templates get them, and how every markup shows them."""

from __future__ import annotations

from dataclasses import replace

from bot.domain.views import ExampleRow, ExamplesView
from bot.preview import samples
from bot.render.renderer import Renderer
from tests.unit.text_forms import JIRA, TRELLO

EXAMPLES = ExamplesView(
    "PRODUCE / berries",
    ("query",),
    (ExampleRow("user002", "0.900", "0.100", "−0.800", ("strawberry",)),),
    "312",
    "4,000",
    "312",
    "worst-examples-0a1b2c3d.csv",
)
RENDERERS = {locale: Renderer(locale) for locale in ("en", "zh")}


def rendered(view: ExamplesView, locale: str) -> dict[str, str]:
    words, renderer = samples.WORDS[locale], RENDERERS[locale]
    ticket = replace(samples.ticket(words), examples=view)
    page = replace(samples.run_page(words), examples=view)
    comment = replace(samples.reopened(words), examples=view)
    return {
        "jira": renderer.render_ticket(JIRA, ticket, {}).body,
        "trello": renderer.render_ticket(TRELLO, ticket, {}).body,
        "jira comment": renderer.render_comment(JIRA, comment, {}).body,
        "trello comment": renderer.render_comment(TRELLO, comment, {}).body,
        "storage": renderer.render_run_page(page, {}).body,
    }
