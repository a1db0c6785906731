"""Jira: moving a ticket from one status to another."""

from __future__ import annotations

from typing import Any

from werkzeug.wrappers import Response

from bot.sandbox.jira import catalogue
from bot.sandbox.jira.comments import insert_comment
from bot.sandbox.jira.field_values import FieldError, read_resolution
from bot.sandbox.jira.fields import FieldReport, off_screen, read_fields
from bot.sandbox.jira.issue_json import language, named_json, status_json
from bot.sandbox.jira.issue_rows import Issue, save_issue
from bot.sandbox.jira.refusals import issue_or_refuse, refuse_fields
from bot.sandbox.rules import Resolution
from bot.sandbox.web.call import Call, json_answer
from bot.sandbox.web.site import Routes

routes = Routes()


def _targets(call: Call, issue: Issue) -> list[catalogue.Status]:
    """Return the statuses a ticket may go to from where it is."""
    more = (catalogue.REJECTED,) if call.rulebook.jira(call.service).rejecting else ()
    others = [one for one in (*catalogue.STATUSES, *more) if one != issue.status]
    if not call.rulebook.jira(call.service).stepwise:
        return others
    return others if issue.status == catalogue.IN_PROGRESS else [catalogue.IN_PROGRESS]


def _has_screen(call: Call, target: catalogue.Status) -> bool:
    is_done = target.category is catalogue.Category.DONE
    return is_done and call.rulebook.jira(call.service).resolution is not Resolution.NO_SCREEN


def _screen(call: Call, target: catalogue.Status) -> dict[str, Any]:
    rule = call.rulebook.jira(call.service).resolution
    if not _has_screen(call, target):
        return {}
    demanded = {one.id: _demanded_json(one) for one in _demanded(call, target)}
    if rule is Resolution.REQUIRED_UNLISTED:
        return demanded
    choices = [named_json(call, "resolution", catalogue.RESOLUTIONS, one.id) for one in catalogue.RESOLUTIONS]
    field = {
        "required": rule is Resolution.REQUIRED,
        "schema": {"type": "resolution", "system": "resolution"},
        "name": "Resolution",
        "key": "resolution",
        "hasDefaultValue": False,
        "operations": ["set"],
        "allowedValues": choices,
    }
    return {"resolution": field} | demanded


def _demanded(call: Call, target: catalogue.Status) -> list[catalogue.Field]:
    """Return the fields that the screen on the way demands besides the resolution."""
    wanted = call.rulebook.jira(call.service).transition_fields if target.category is catalogue.Category.DONE else ()
    return [one for one in catalogue.FIELDS if one.id in wanted]


def _demanded_json(field: catalogue.Field) -> dict[str, Any]:
    shown = {"required": True, "schema": dict(field.schema), "name": field.name, "key": field.id}
    return shown | {"hasDefaultValue": False, "operations": ["set"]}


def _transition_json(call: Call, target: catalogue.Status, *, with_fields: bool) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "id": target.transition,
        "name": target.name(language(call)),
        "to": status_json(call, target),
    }
    if call.service.is_cloud:
        answer |= {"hasScreen": _has_screen(call, target), "isGlobal": True, "isInitial": False}
        answer |= {"isAvailable": True, "isConditional": False, "isLooped": False}
    if with_fields:
        answer["fields"] = _screen(call, target)
    return answer


@routes.on("GET", "/rest/api/2/issue/<key>/transitions")
def list_transitions(call: Call, key: str) -> Response:
    issue = issue_or_refuse(call, key)
    only = call.request.args.get("transitionId")
    with_fields = "transitions.fields" in call.words("expand")
    denied = "TRANSITION_ISSUES" in call.rulebook.jira(call.service).denied
    targets = [] if denied else [one for one in _targets(call, issue) if only in (None, one.transition)]
    shown = [_transition_json(call, one, with_fields=with_fields) for one in targets]
    return json_answer({"expand": "transitions", "transitions": shown})


@routes.on("POST", "/rest/api/2/issue/<key>/transitions")
def transition(call: Call, key: str) -> Response:
    issue = issue_or_refuse(call, key)
    body = call.json_object()
    target = _wanted_target(call, issue, body)
    fields, update = body.get("fields") or {}, body.get("update") or {}
    if not isinstance(fields, dict) or not isinstance(update, dict):
        raise call.refuse(400, "Can not deserialize 'fields' or 'update': an object is expected.")
    changes, report = _screen_values(call, target, dict(fields), update, issue)
    if report.errors:
        raise refuse_fields(report.errors)
    issue = save_issue(call, issue, {"status": target.id, **changes})
    for comment in report.comments:
        insert_comment(call, issue, comment)
    return Response(status=204)


def _wanted_target(call: Call, issue: Issue, body: dict[str, Any]) -> catalogue.Status:
    given = body.get("transition")
    wanted = given.get("id") if isinstance(given, dict) else None
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        wanted = str(wanted)  # undeclared, but accepted, and what the jira package sends
    if not isinstance(wanted, str):
        raise call.refuse(400, "Missing 'transition' identifier")
    denied = "TRANSITION_ISSUES" in call.rulebook.jira(call.service).denied
    found = next((one for one in _targets(call, issue) if one.transition == wanted), None)
    if found is None or denied:
        text = f"Transition id '{wanted}' is not valid for this issue."
        raise call.refuse(400, text)
    return found


def _screen_values(
    call: Call, target: catalogue.Status, fields: dict[str, Any], update: dict[str, Any], issue: Issue
) -> tuple[dict[str, Any], FieldReport]:
    """Check what came with the transition against its screen; return the changes and what is wrong."""
    rule = call.rulebook.jira(call.service).resolution
    given = fields.pop("resolution", None)
    demanded = [one.id for one in _demanded(call, target)]
    filled = {name: fields.pop(name) for name in demanded if name in fields}
    report = read_fields(
        call, filled, {name: value for name, value in update.items() if name == "comment"}, issue.fields
    )
    report.errors.update({name: f"{name} is required." for name in demanded if name not in filled})
    for name in (*fields, *(name for name in update if name != "comment")):
        report.errors[name] = off_screen(name)
    if target.category is not catalogue.Category.DONE:
        if given is not None:
            report.errors["resolution"] = off_screen("resolution")
        return {"resolution": None, "resolutiondate": None}, report
    resolution = catalogue.RESOLUTIONS[0].id  # what the workflow sets by itself
    if given is not None and rule is Resolution.NO_SCREEN:
        report.errors["resolution"] = off_screen("resolution")
    elif given is not None:
        try:
            resolution = read_resolution(given)
        except FieldError as error:
            report.errors["resolution"] = str(error)
    elif rule in (Resolution.REQUIRED, Resolution.REQUIRED_UNLISTED):
        report.errors["resolution"] = "Resolution is required."
    return report.values | {"resolution": resolution, "resolutiondate": call.now}, report
