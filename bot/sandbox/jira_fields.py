"""Reads what a client wants a ticket's fields to be, and says field by field what is wrong with it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from bot.sandbox import jira_data
from bot.sandbox.adf import AdfError
from bot.sandbox.jira_rich import RICH_FIELDS, is_v3, read_rich

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.sandbox.seed import Account
    from bot.sandbox.web import Call


class FieldError(ValueError):
    """What is wrong with one field, in Jira's words."""


@dataclass(slots=True)
class FieldReport:
    """Values that were accepted, and errors by field."""

    values: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    comments: list[dict[str, Any]] = field(default_factory=list)  # from update.comment[].add


def read_fields(call: Call, fields: dict[str, Any], update: dict[str, Any], current: dict[str, Any]) -> FieldReport:
    """Check `fields` and `update` of a create, edit or transition against the screen."""
    report = FieldReport()
    rules = call.rulebook.jira(call.service)
    known = {one.id for one in jira_data.FIELDS} | set(rules.required_fields)
    for name, value in fields.items():
        if name not in known or name in rules.off_screen:
            report.errors[name] = off_screen(name)
        elif name in update:
            report.errors[name] = f"Field '{name}' cannot be set twice in one request."
        else:
            _read_one(call, report, name, value)
    for name, operations in update.items():
        if name == "comment":
            _read_comments(report, operations)
        elif name not in known or name in rules.off_screen:
            report.errors[name] = off_screen(name)
        else:
            _apply(call, report, name, operations, current)
    return report


def off_screen(name: str) -> str:
    return f"Field '{name}' cannot be set. It is not on the appropriate screen, or unknown."


def _read_one(call: Call, report: FieldReport, name: str, value: Any) -> None:
    try:
        report.values[name] = _reader(name)(call, name, value)
    except FieldError as error:
        report.errors[name] = str(error)


def _read_comments(report: FieldReport, operations: Any) -> None:
    for one in operations if isinstance(operations, list) else [None]:
        added = one.get("add") if isinstance(one, dict) else None
        if isinstance(added, dict):
            report.comments.append(added)
        else:
            report.errors["comment"] = "Only the operation 'add' is supported for comments."


def _apply(call: Call, report: FieldReport, name: str, operations: Any, current: dict[str, Any]) -> None:
    try:
        report.values[name] = _carried_out(call, name, operations, current.get(name))
    except FieldError as error:
        report.errors[name] = str(error)


def _carried_out(call: Call, name: str, operations: Any, value: Any) -> Any:
    """Carry out [{set}, {add}, {remove}] one after the other, starting from the field as it is."""
    allowed = next((one.operations for one in jira_data.FIELDS if one.id == name), ("set",))
    read = _reader(name)
    for one in operations if isinstance(operations, list) else [operations]:
        if not isinstance(one, dict) or len(one) != 1:
            raise FieldError("Operations must be objects with one of: " + ", ".join(allowed))
        ((verb, operand),) = one.items()
        if verb not in allowed:
            raise FieldError(f"Field does not support update '{verb}'")
        if verb == "set":
            value = read(call, name, operand)
            continue
        (item,) = read(call, name, [operand])
        rest = [other for other in value or [] if other != item]
        value = [*rest, item] if verb == "add" else rest
    return value


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
    if len(text) > jira_data.SUMMARY_LIMIT:
        raise FieldError("Summary must be less than 255 characters.")
    return text.strip()


def _read_text(call: Call, name: str, value: Any) -> str | None:
    try:
        text = read_rich(value) if name in RICH_FIELDS and is_v3(call) else _string(value)
    except AdfError as error:
        raise FieldError(str(error)) from error
    limit = jira_data.LABEL_LIMIT if name == "customfield_10020" else jira_data.TEXT_LIMIT
    check_length(text or "", limit)
    return text


def check_length(text: str, limit: int = jira_data.TEXT_LIMIT) -> None:
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
        if len(label) > jira_data.LABEL_LIMIT:
            raise FieldError(f"The label '{label[:40]}...' exceeds the limit of {jira_data.LABEL_LIMIT} characters.")
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
    from bot.sandbox.jira_store import find_project

    wanted = _reference(value, "id", "key")
    project = find_project(call, wanted) if wanted else None
    if project is None:
        raise FieldError("Specify a valid project ID or key" if call.service.is_cloud else "project is required")
    return project.id


def _read_type(_call: Call, _name: str, value: Any) -> str:
    wanted = _reference(value, "id", "name")
    found = jira_data.find_named(jira_data.TYPES, wanted) if wanted else None
    if found is None:
        raise FieldError("The issue type selected is invalid." if wanted else "Specify an issue type")
    return found.id


def _read_priority(_call: Call, _name: str, value: Any) -> str | None:
    if value is None:
        return None
    wanted = _reference(value, "id", "name")
    found = jira_data.find_named(jira_data.PRIORITIES, wanted) if wanted else None
    if found is None:
        raise FieldError("Specify a valid 'id' or 'name' for Priority")
    return found.id


def read_resolution(value: Any) -> str:
    wanted = _reference(value, "id", "name")
    found = jira_data.find_named(jira_data.RESOLUTIONS, wanted) if wanted else None
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


def find_person(call: Call, wanted: str) -> Account | None:
    """Find a person by what the deployment knows them by: account id on Cloud, user name on Data Center."""
    if call.service.is_cloud:
        return call.seed.account(wanted)
    return next((one for one in call.seed.accounts if one.name == wanted), None)


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
    from bot.sandbox.jira_versions import all_versions

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


def _reader(name: str) -> Callable[[Call, str, Any], Any]:
    return _READERS.get(name, _read_text)


def missing_fields(call: Call, values: dict[str, Any], errors: dict[str, str]) -> dict[str, str]:
    """Say which fields a new ticket must have and has not."""
    missing = {}
    if "project" not in values and "project" not in errors:
        missing["project"] = "Specify a valid project ID or key" if call.service.is_cloud else "project is required"
    if "issuetype" not in values and "issuetype" not in errors:
        missing["issuetype"] = "Specify an issue type"
    if "summary" not in values and "summary" not in errors:
        missing["summary"] = "You must specify a summary of the issue."
    for name in call.rulebook.jira(call.service).required_fields:
        if not values.get(name) and name not in errors:
            missing[name] = f"{field_name(name)} is required."
    return missing


def field_name(name: str) -> str:
    return next((one.name for one in jira_data.FIELDS if one.id == name), name)
