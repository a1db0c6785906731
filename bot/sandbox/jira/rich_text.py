"""The texts of a ticket that may be rich: wiki markup in Jira's interface 2, documents (ADF) in interface 3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.sandbox.markup.adf_to_wiki import AdfError, to_wiki
from bot.sandbox.markup.wiki_to_adf import from_wiki

if TYPE_CHECKING:
    from bot.sandbox.web.call import Call

RICH_FIELDS = frozenset({"description", "environment", "customfield_10030"})


def is_v3(call: Call) -> bool:
    return call.request.path.startswith("/rest/api/3/")


def rich_json(call: Call, text: str | None) -> Any:
    """Write a text as the interface that was asked has it."""
    return from_wiki(text) if text is not None and is_v3(call) else text


def read_rich(value: Any) -> str | None:
    """Read a text as interface 3 takes it; raises AdfError where it is no document."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise AdfError("Operation value must be an Atlassian Document (see the Atlassian Document Format)")
    try:
        return to_wiki(value)
    except AdfError as error:
        raise AdfError("INVALID_INPUT") from error
