"""Reads the value of one of a ticket's fields, and says what is wrong with it."""

from __future__ import annotations

import math
import re
from datetime import date
from typing import TYPE_CHECKING, Any

from bot.sandbox.jira import catalogue
from bot.sandbox.jira.issue_rows import find_project
from bot.sandbox.jira.rich_text import RICH_FIELDS, is_v3, read_rich
from bot.sandbox.jira.users import find_person
from bot.sandbox.jira.versions import all_versions
from bot.sandbox.markup.adf_to_wiki import AdfError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.sandbox.web.call import Call


class FieldError(ValueError):
    """What is wrong with one field, in Jira's words."""


def _string(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise FieldError("Operation value must be a string")
    return value


def _read_summary(_call: Call, _name: str, value: Any) -> str:
    text = _string(value)
    if text is None or not text.strip():
        raise FieldError("You must specify a summary of the issue.")
    if "\n" in text or "\r" in text:
        raise FieldError("The summary is invalid because it contains newline characters.")
    if len(text) > catalogue.SUMMARY_LIMIT:
        raise FieldError("Summary must be less than 255 characters.")
    return text.strip()


def _read_text(call: Call, name: str, value: Any) -> str | None:
    try:
        text = read_rich(value) if name in RICH_FIELDS and is_v3(call) else _string(value)
    except AdfError as error:
        raise FieldError(str(error)) from error
    limit = catalogue.LABEL_LIMIT if name == "customfield_10020" else catalogue.TEXT_LIMIT
    check_length(text or "", limit)
    return text


def check_length(text: str, limit: int = catalogue.TEXT_LIMIT) -> None:
    if len(text) > limit:
        raise FieldError(f"The entered text is too long. It exceeds the allowed limit of {limit:,} characters.")


def _read_labels(_call: Call, _name: str, value: Any) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise FieldError("data was not an array")
    found: list[str] = []
    for label in value:
        if not isinstance(label, str):
            raise FieldError("string expected at index 0")
        if not label or re.search(r"\s", label):
            raise FieldError(f"The label '{label}' contains spaces which is invalid.")
        if len(label) > catalogue.LABEL_LIMIT:
            raise FieldError(f"The label '{label[:40]}...' exceeds the limit of {catalogue.LABEL_LIMIT} characters.")
        if label not in found:
            found.append(label)
    return sorted(found)


def _reference(value: Any, *names: str) -> str | None:
    """Read {"id": ...} or {"name": ...} and the like."""
    if not isinstance(value, dict):
        raise FieldError("data was not an object")
    for name in names:
        found = value.get(name)
        if isinstance(found, str):
            return found
        if isinstance(found, int) and not isinstance(found, bool):
            return str(found)
    return None


def _read_project(call: Call, _name: str, value: Any) -> str:
    wanted = _reference(value, "id", "key")
    project = find_project(call, wanted) if wanted else None
    if project is None:
        raise FieldError("Specify a valid project ID or key" if call.service.is_cloud else "project is required")
    return project.id


def _read_type(_call: Call, _name: str, value: Any) -> str:
    wanted = _reference(value, "id", "name")
    found = catalogue.find_named(catalogue.TYPES, wanted) if wanted else None
    if found is None:
        raise FieldError("The issue type selected is invalid." if wanted else "Specify an issue type")
    return found.id


def _read_priority(_call: Call, _name: str, value: Any) -> str | None:
    if value is None:
        return None
    wanted = _reference(value, "id", "name")
    found = catalogue.find_named(catalogue.PRIORITIES, wanted) if wanted else None
    if found is None:
        raise FieldError("Specify a valid 'id' or 'name' for Priority")
    return found.id


def read_resolution(value: Any) -> str:
    wanted = _reference(value, "id", "name")
    found = catalogue.find_named(catalogue.RESOLUTIONS, wanted) if wanted else None
    if found is None:
        raise FieldError("Resolution is invalid.")
    return found.id


def _read_person(call: Call, name: str, value: Any) -> str | None:
    if value is None:
        return None
    keys = ("accountId", "id") if call.service.is_cloud else ("name",)
    wanted = _reference(value, *keys)
    account = find_person(call, wanted) if wanted else None
    if wanted and account is None:
        raise FieldError(
            f"User '{wanted}' cannot be assigned issues." if name == "assignee" else "Specify a valid user."
        )
    return account.account_id if account else None


def _read_components(call: Call, _name: str, value: Any) -> list[str]:
    if not isinstance(value, list):
        raise FieldError("data was not an array")
    found = []
    for one in value:
        wanted = _reference(one, "id", "name") or ""
        names = {str(10_000 + number): name for number, name in enumerate(call.seed.components)}
        match = next((number for number, name in names.items() if wanted in (number, name)), None)
        if match is None:
            raise FieldError(f"Component name '{wanted}' is not valid")
        found.append(match)
    return found


def _read_versions(call: Call, _name: str, value: Any) -> list[str]:
    if not isinstance(value, list):
        raise FieldError("data was not an array")
    known = all_versions(call)
    found = []
    for one in value:
        wanted = _reference(one, "id", "name") or ""
        match = next((str(row.id) for row in known if wanted in (str(row.id), row.name)), None)
        if match is None:
            raise FieldError(f"Version name '{wanted}' is not valid")
        found.append(match)
    return found


def _read_date(_call: Call, _name: str, value: Any) -> str | None:
    text = _string(value)
    if not text:
        return None
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        raise FieldError('Error parsing date string: "yyyy-MM-dd" expected')
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise FieldError('Error parsing date string: "yyyy-MM-dd" expected') from error


def _read_number(_call: Call, _name: str, value: Any) -> float | None:
    if value is None:
        return None
    if not isinstance(value, (int, float)) or isinstance(value, bool) or abs(value) > 1e14 or math.isnan(value):  # noqa: PLR2004
        raise FieldError("Operation value must be a number")
    return float(value)


_READERS: dict[str, Callable[[Call, str, Any], Any]] = {
    "summary": _read_summary,
    "issuetype": _read_type,
    "project": _read_project,
    "priority": _read_priority,
    "assignee": _read_person,
    "reporter": _read_person,
    "labels": _read_labels,
    "components": _read_components,
    "fixVersions": _read_versions,
    "duedate": _read_date,
    "customfield_10010": _read_number,
}


def reader(name: str) -> Callable[[Call, str, Any], Any]:
    return _READERS.get(name, _read_text)
