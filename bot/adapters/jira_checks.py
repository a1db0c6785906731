"""Whether a Jira lets Herald do what it will have to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from bot.adapters.checking import check_clock, listed, unanswered
from bot.adapters.jira import JiraLink, demanded, easiest, quoted_jql, quoted_path, state_of
from bot.checks import Check, TicketWants
from bot.config import JiraSection
from bot.errors import IntegrationError, PermanentError
from bot.ports import TicketState

_OLDEST = (8, 14)  # Data Center: the first with personal access tokens
_PAGE = 200
_SAMPLE = 20
_FILLED_BY_JIRA = {"project", "issuetype", "reporter"}
_PERMISSIONS = {
    "CREATE_ISSUES": "create tickets",
    "ADD_COMMENTS": "comment",
    "TRANSITION_ISSUES": "transition tickets",
    "CREATE_ATTACHMENTS": "attach files",
    "LINK_ISSUES": "link",
}
_ASSIGNING = {"ASSIGN_ISSUES": "assign tickets"}


def check_jira(config: JiraSection, wants: TicketWants, now: datetime) -> Iterator[Check]:
    """Look at everything that a ticket's life leans on; what cannot be looked at after a failure is left out."""
    link = JiraLink(config)
    try:
        server, headers = link.wire.read(
            "show its version",
            partial(link.request, "GET", "serverInfo"),
            lambda answer: (answer.json(), answer.headers),
        )
    except IntegrationError as error:
        yield from unanswered(error, config.base)
        return
    yield Check("address", ok=True, said=f"{config.base} answers")
    if (clock := check_clock(headers, now)) is not None:
        yield clock
    deployment = _check_deployment(config, server)
    yield deployment
    if not deployment.ok:
        return
    try:
        name = link.get("show who we are", "myself", lambda answer: str(answer.get("displayName", "somebody")))
    except IntegrationError as error:
        remedy = "Make a new token and set it where config says; on Cloud, email is the token's account."
        yield Check("credentials", ok=False, said=str(error), remedy=remedy)
        return
    yield Check("credentials", ok=True, said=f"we are {name}")
    yield from _check_project(link, config, wants)


def _check_deployment(config: JiraSection, server: Mapping[str, Any]) -> Check:
    found = "cloud" if server.get("deploymentType") == "Cloud" else "datacenter"
    version = str(server.get("version", "unknown"))
    if found != config.deployment:
        said = f"config says {config.deployment}, the server says {found}"
        return Check("deployment", ok=False, said=said, remedy=f'Set deployment = "{found}".')
    numbers = tuple(server.get("versionNumbers") or _OLDEST)
    if found == "datacenter" and numbers < _OLDEST:
        return Check("version", ok=False, said=version, remedy="Herald needs Jira Data Center 8.14 or later.")
    return Check("deployment", ok=True, said=f"{found}, version {version}")


def _check_project(link: JiraLink, config: JiraSection, wants: TicketWants) -> Iterator[Check]:
    try:
        name = link.get(
            f"show the project {config.project}",
            f"project/{quoted_path(config.project)}",
            lambda answer: str(answer.get("name", config.project)),
        )
    except IntegrationError as error:
        remedy = "Check project (its key), and give the account Browse Projects there."
        yield Check("project", ok=False, said=str(error), remedy=remedy)
        return
    yield Check("project", ok=True, said=f"{config.project}, {name}")
    allowed = _permissions(link, config, wants)
    for key, what in {**_PERMISSIONS, **(_ASSIGNING if wants.assignees else {})}.items():
        remedy = f"Give the account the permission {key} in project {config.project}."
        may = allowed.get(key, False)
        yield Check(f"may {what}", ok=may, said="yes" if may else "no", remedy="" if may else remedy)
    if allowed.get("CREATE_ISSUES"):
        yield from _check_fields(link, config, wants)
    if allowed.get("CREATE_ATTACHMENTS"):
        yield _check_attachments(link)
    if allowed.get("TRANSITION_ISSUES"):
        yield from _check_transitions(link, config)


def _permissions(link: JiraLink, config: JiraSection, wants: TicketWants) -> dict[str, bool]:
    keys = [*_PERMISSIONS, *(_ASSIGNING if wants.assignees else ())]
    return link.get(
        "list our permissions",
        "mypermissions",
        lambda answer: {key: bool(each["havePermission"]) for key, each in answer["permissions"].items()},
        projectKey=config.project,
        permissions=",".join(keys),
    )


def _check_fields(link: JiraLink, config: JiraSection, wants: TicketWants) -> Iterator[Check]:
    base = f"issue/createmeta/{quoted_path(config.project)}/issuetypes"
    types = _paged(link, "list the issue types", base, "issueTypes")
    chosen = next((each for each in types if each["name"] == config.issue_type), None)
    if chosen is None:
        said = f"{config.project} has no {config.issue_type!r}; it has {listed([each['name'] for each in types])}"
        yield Check("issue type", ok=False, said=said, remedy="Set issue_type to one of them.")
        return
    yield Check("issue type", ok=True, said=config.issue_type)
    rows = _paged(link, "list the fields of a new ticket", f"{base}/{quoted_path(str(chosen['id']))}", "fields")
    fields = {str(each.get("fieldId") or each.get("key")): each for each in rows}
    given = _given(config, wants)
    absent = [name for name in given if name not in fields]
    said = f"the create screen of {config.issue_type} lacks {listed(absent)}" if absent else listed(given)
    remedy = "Put the fields on that screen, or take out of config what sets them." if absent else ""
    yield Check("fields", ok=not absent, said=said, remedy=remedy)
    yield _check_required(config, fields, given)
    yield from _check_values(config, fields, wants)
    for account in wants.assignees:
        yield _check_assignee(link, config, account)


def _paged(link: JiraLink, doing: str, path: str, name: str) -> list[Mapping[str, Any]]:
    """Read createmeta to its end: Cloud calls the list by *name*, Data Center `values`."""
    rows: list[Mapping[str, Any]] = []
    while True:
        page, total = link.get(
            doing,
            path,
            lambda answer: (answer.get(name, answer.get("values", [])), int(answer.get("total", 0))),
            startAt=len(rows),
            maxResults=_PAGE,
        )
        rows += page
        if not page or len(rows) >= total:
            return rows


def _given(config: JiraSection, wants: TicketWants) -> list[str]:
    given = ["summary", "description", "labels"]
    given += [name for name, values in (("priority", wants.priorities), ("components", wants.components)) if values]
    return given + (["assignee"] if wants.assignees else []) + list(config.fields)


def _check_required(config: JiraSection, fields: Mapping[str, Mapping[str, Any]], given: Sequence[str]) -> Check:
    open_ones = [
        f"{name} ({each.get('name', name)})"
        for name, each in fields.items()
        if each.get("required") and not each.get("hasDefaultValue") and name not in {*given, *_FILLED_BY_JIRA}
    ]
    if not open_ones:
        return Check("required fields", ok=True, said="all have a value")
    said = f"a new {config.issue_type} also needs {listed(open_ones)}"
    remedy = f"Add fields = {{ {open_ones[0].split(' ')[0]} = … }} to the tracker, or make the field optional."
    return Check("required fields", ok=False, said=said, remedy=remedy)


def _check_values(config: JiraSection, fields: Mapping[str, Mapping[str, Any]], wants: TicketWants) -> Iterator[Check]:
    for name, values in (("priority", wants.priorities), ("components", wants.components)):
        allowed = [str(each.get("name")) for each in fields.get(name, {}).get("allowedValues", [])]
        if not values or not allowed:
            continue
        unknown = [value for value in values if value not in allowed]
        said = f"{config.project} has no {listed(unknown)}; it has {listed(allowed)}" if unknown else listed(values)
        remedy = f"Set tickets.{name} of the pipeline to one of them, or add it in Jira." if unknown else ""
        yield Check(name, ok=not unknown, said=said, remedy=remedy)


def _check_assignee(link: JiraLink, config: JiraSection, account: str) -> Check:
    key = "accountId" if config.deployment == "cloud" else "name"
    asked = "accountId" if config.deployment == "cloud" else "username"
    found = link.get(
        f"say whether {account} can be assigned",
        "user/assignable/search",
        lambda answer: [str(each.get("displayName", account)) for each in answer if each.get(key) == account],
        **{"project": config.project, asked: account},
    )
    if found:
        return Check("assignee", ok=True, said=found[0])
    remedy = f"Set assignee of the pipeline to the {key} of somebody who can be assigned tickets of {config.project}."
    return Check("assignee", ok=False, said=f"{account} cannot be assigned tickets", remedy=remedy)


def _check_attachments(link: JiraLink) -> Check:
    enabled = link.get("say whether files may be attached", "attachment/meta", lambda answer: bool(answer["enabled"]))
    remedy = "" if enabled else "Let an administrator of Jira turn attachments on; until then tickets have no chart."
    return Check("attachments", ok=enabled, said="on" if enabled else "are turned off for all of Jira", remedy=remedy)


def _check_transitions(link: JiraLink, config: JiraSection) -> Iterator[Check]:
    """Look at the ways out of tickets that are there, one of each state."""
    jql = (
        f"project = {quoted_jql(config.project)} AND issuetype = {quoted_jql(config.issue_type)} ORDER BY created DESC"
    )
    try:
        tickets: list[tuple[str, TicketState]] = link.search(
            "list tickets to look at",
            jql,
            lambda answer: [(str(each["key"]), state_of(each["fields"]["status"])) for each in answer["issues"]],
            size=_SAMPLE,
            fields="status",
        )
    except PermanentError:
        tickets = []  # an issue type that is not there: said above
    samples = {state: key for key, state in reversed(tickets)}
    if not samples.keys() - {TicketState.DONE}:
        yield Check("transitions", ok=True, said="no open ticket is there yet to look at; look again after the first")
        return
    offered = {state: link.transitions(key) for state, key in samples.items()}
    for target in (TicketState.DOING, TicketState.DONE):
        yield _check_way(samples, offered, target)


def _check_way(
    samples: Mapping[TicketState, str], offered: Mapping[TicketState, Sequence[Mapping[str, Any]]], target: TicketState
) -> Check:
    """Say whether some transition leads to *target*, and what its screen demands."""
    name = f"transition to {target}"
    direct = [easiest(list(ways), target) for state, ways in offered.items() if state is not target]
    chosen = next((each for each in direct if each is not None), None)
    if chosen is None and target is TicketState.DOING and TicketState.DOING in samples:
        return Check(name, ok=True, said=f"{samples[TicketState.DOING]} is there")
    if chosen is None:
        stepwise = any(easiest(list(ways), TicketState.DOING) for ways in offered.values())
        if target is TicketState.DONE and stepwise and TicketState.DOING not in samples:
            return Check(name, ok=True, said="by way of work in progress, as far as can be seen")
        remedy = "Give the workflow such a transition, and the account the right to take it."
        tried = listed([key for state, key in samples.items() if state is not target])
        return Check(name, ok=False, said=f"none is offered ({tried})", remedy=remedy)
    needed = demanded(chosen)
    if needed:
        remedy = "Give the field a default, or take it off the transition's screen."
        return Check(name, ok=False, said=f"{chosen['name']} demands {listed(needed)}", remedy=remedy)
    return Check(name, ok=True, said=str(chosen["name"]))
