"""What people said in a comment: its lines of plain speech, outside of quotations, code and whatever else is shown."""

from __future__ import annotations

from enum import StrEnum


class Markup(StrEnum):
    """How the text of a comment is written, as the service hands it out."""

    WIKI = "wiki"
    ADF = "adf"  # a document of Atlassian's format, as JSON
    STORAGE = "storage"
    MARKDOWN = "markdown"
    MRKDWN = "mrkdwn"
