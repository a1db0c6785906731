"""The fields of a new ticket, and what a refusal of some of them means."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from bot.errors import FieldsRefusedError, PermanentError, own_words
from bot.ports import TicketDraft
from bot.services.jira.config import JiraSection


def fields_of(config: JiraSection, marker: str, draft: TicketDraft) -> dict[str, Any]:
    """Write a new ticket as Jira takes it."""
    fields: dict[str, Any] = {
        **{name: value for name, value in config.fields.items() if name not in draft.left_out},
        "project": {"key": config.project},
        "issuetype": {"name": config.issue_type},
        "summary": " ".join(draft.title.split()),
        "description": draft.body,
        "labels": list(dict.fromkeys([marker, *("-".join(label.split()) for label in draft.labels)])),
    }
    if draft.priority:
        fields["priority"] = {"name": draft.priority}
    if draft.assignee:
        fields["assignee"] = {"accountId" if config.deployment == "cloud" else "name": draft.assignee}
    if draft.components:
        fields["components"] = [{"name": name} for name in draft.components]
    return fields


def _values_of(draft: TicketDraft) -> dict[str, str]:
    """Return what a ticket can do without, as people read it, by Jira's field."""
    values = {
        "priority": draft.priority or "",
        "assignee": draft.assignee or "",
        "components": ", ".join(draft.components),
        "labels": ", ".join(draft.labels[1:]),
    }
    return {name: value for name, value in values.items() if value}


def _shown(value: Any) -> str:
    """Show a value of Jira's API by the name that people know it by."""
    match value:
        case {"name": str() as name} | {"value": str() as name} | {"id": str() as name}:
            return name
        case [*items]:
            return ", ".join(item if isinstance(item, str) else _shown(item) for item in items)
        case _:
            return json.dumps(value, ensure_ascii=False)


def refusal_of_fields(
    error: PermanentError, config: JiraSection, draft: TicketDraft, fields: Mapping[str, Any]
) -> PermanentError:
    """Tell a refusal of fields that a ticket can do without from one of the ticket.

    Where Jira complains of no field, its words may name one.
    """
    known = {**_spared(config, draft), **_values_of(draft)}
    values = {name: value for name, value in known.items() if name in fields}
    words = own_words(error)
    refused = error.fields or {
        name: words for name in values if re.search(rf"\b{re.escape(name)}\b", words, re.IGNORECASE)
    }
    if not refused or not refused.keys() <= values.keys():
        return error
    return FieldsRefusedError(str(error), values=values, fields=refused, status=error.status)


def _spared(config: JiraSection, draft: TicketDraft) -> dict[str, str]:
    """Return what config adds to the ticket, as people read it, by field."""
    added = {name: value for name, value in config.fields.items() if name not in draft.left_out}
    return {name: value if isinstance(value, str) else _shown(value) for name, value in added.items()}
