"""The files that effects attach: charts, drawn now, lists of examples, and texts that had to be cut, whole."""

from __future__ import annotations

import hashlib

from bot.domain.chart_legend import chart_legend
from bot.domain.views import ChartView, FileView
from bot.ports import Attachment
from bot.render.charts import draw_history
from bot.render.renderer import Renderer


def chart_file(chart: ChartView, alt: str = "", caption: str = "") -> Attachment:
    return Attachment(chart.filename, draw_history(chart), "image/png", alt, caption)


def told_chart(renderer: Renderer, chart: ChartView) -> Attachment:
    """Draw a chart for a message, with the words that explain it: there no text around it does."""
    if chart.weeks:
        words = renderer.word("health_of_weeks")
        return chart_file(chart, words, words)
    said = renderer.render_picture(chart_legend(chart))
    return chart_file(chart, said.alt, said.caption)


def text_file(text: str) -> Attachment:
    content = text.encode()
    return Attachment(f"whole-text-{hashlib.sha256(content).hexdigest()[:8]}.md", content, "text/markdown")


def csv_file(file: FileView) -> Attachment:
    """Return a CSV with the mark by which spreadsheets know that it is in UTF-8."""
    return Attachment(file.filename, file.content.encode("utf-8-sig"), "text/csv")
