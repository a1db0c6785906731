"""The files that effects attach: charts, drawn now, lists of examples, and texts that had to be cut, whole."""

from __future__ import annotations

import hashlib

from bot.domain.views import ChartView, FileView
from bot.ports import Attachment
from bot.render.charts import draw_history


def chart_file(chart: ChartView, alt: str = "") -> Attachment:
    return Attachment(chart.filename, draw_history(chart), "image/png", alt)


def text_file(text: str) -> Attachment:
    content = text.encode()
    return Attachment(f"whole-text-{hashlib.sha256(content).hexdigest()[:8]}.md", content, "text/markdown")


def csv_file(file: FileView) -> Attachment:
    """Return a CSV with the mark by which spreadsheets know that it is in UTF-8."""
    return Attachment(file.filename, file.content.encode("utf-8-sig"), "text/csv")
