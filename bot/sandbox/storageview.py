"""Confluence storage format, rendered as HTML for a reader."""

from __future__ import annotations


def render_without_context(body: str) -> str:
    return body
