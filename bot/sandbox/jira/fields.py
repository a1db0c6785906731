"""Checks the fields that a client wants to set against a ticket's screen, and reports field by field."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bot.sandbox.jira import catalogue
from bot.sandbox.jira.field_values import FieldError, reader

if TYPE_CHECKING:
    from bot.sandbox.web.call import Call


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
    known = {one.id for one in catalogue.FIELDS} | set(rules.required_fields)
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
        report.values[name] = reader(name)(call, name, value)
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
    allowed = next((one.operations for one in catalogue.FIELDS if one.id == name), ("set",))
    read = reader(name)
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
    return next((one.name for one in catalogue.FIELDS if one.id == name), name)
