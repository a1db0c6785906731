"""Whether a Jira lets Herald do what it will have to; long, since each thing it may lack is looked at alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from bot.domain.capabilities import TicketState
from bot.domain.checks import Check
from bot.errors import AccountError, IntegrationError, PermanentError
from bot.ports import Right
from bot.services.checks import PROBE, TicketWants, check_clock, listed, unanswered, unsaid, walled
from bot.services.evidence import held_in, json_in, prove, rows_in, text_in
from bot.services.jira.answer_checks import check_answers
from bot.services.jira.answers import demanded, easiest, is_called, state_of
from bot.services.jira.config import JiraSection
from bot.services.jira.connection import PERMISSIONS, JiraConnection, quoted_jql, quoted_path
from bot.services.jira.tracker import JiraTracker
from bot.services.refusals import lacks_scope

_OLDEST = (8, 14)  # Data Center: the first with personal access tokens
_PAGE = 200
_FORBIDDEN = 403
_SAMPLE = 20
_NEW_TOKEN = "Make a new token and set it where config says; on Cloud, email is the token's account."  # noqa: S105 - an advice
_FILLED_BY_JIRA = {"project", "issuetype", "reporter"}
_SENTENCES = {
    Right.CREATE: "create tickets",
    Right.COMMENT: "comment",
    Right.MOVE: "transition tickets",
    Right.ATTACH: "attach files",
    Right.LINK: "link",
}
_ASSIGNING = ("ASSIGN_ISSUES", "assign tickets")


def check_jira(config: JiraSection, wants: TicketWants, now: datetime, *, fix: bool = False) -> Iterator[Check]:
    """Look at everything that a ticket's life leans on, each thing by itself, by the calls that tickets take."""
    del fix  # nothing of what may be missing is safe to make
    link = JiraConnection(config)
    try:
        yield from _check_server(link, config, now)
    except _OtherDeploymentError as error:
        yield error.check
        return
    except IntegrationError as error:
        if not isinstance(error, PermanentError) or error.status != _FORBIDDEN:
            yield from unanswered(error, config.base)
            return
        yield Check("address", ok=True, said=f"{config.base} answers")
        yield unsaid("deployment", "Jira", str(error))
    known = list(walled("credentials", partial(_check_account, link), _NEW_TOKEN))
    yield from known
    if all(check.ok for check in known):
        yield from _check_project(link, config, wants)


class _OtherDeploymentError(Exception):
    """The server is not what config says, so that nothing else that is asked means anything."""

    def __init__(self, check: Check) -> None:
        super().__init__(check.said)
        self.check = check


def _check_server(link: JiraConnection, config: JiraSection, now: datetime) -> Iterator[Check]:
    server, headers = link.wire.read(
        "show its version",
        partial(link.request, "GET", "serverInfo"),
        lambda answer: (_server_in(json_in(answer)), answer.headers),
    )
    yield Check("address", ok=True, said=f"{config.base} answers")
    if (clock := check_clock(headers, now)) is not None:
        yield clock
    deployment = _check_deployment(config, server)
    if not deployment.ok:
        raise _OtherDeploymentError(deployment)
    yield deployment


def _server_in(answer: Any) -> Mapping[str, Any]:
    prove(any(name in answer for name in ("deploymentType", "version", "baseUrl")), "shows no Jira")
    return answer  # type: ignore[no-any-return]


def _check_account(link: JiraConnection) -> Iterator[Check]:
    try:
        yield Check("credentials", ok=True, said=f"we are {link.who()}")
    except AccountError as error:
        if not lacks_scope(error):
            raise
        yield unsaid("credentials", "Jira", str(error))


def _check_deployment(config: JiraSection, server: Mapping[str, Any]) -> Check:
    version = str(server.get("version", "unknown"))
    if "deploymentType" not in server:
        return unsaid("deployment", "Jira", f"version {version}")
    found = "cloud" if server["deploymentType"] == "Cloud" else "datacenter"
    if found != config.deployment:
        said = f"config says {config.deployment}, the server says {found}"
        return Check("deployment", ok=False, said=said, remedy=f'Set deployment = "{found}".')
    if found == "datacenter" and _numbers(server) < _OLDEST:
        return Check("version", ok=False, said=version, remedy="Herald needs Jira Data Center 8.14 or later.")
    return Check("deployment", ok=True, said=f"{found}, version {version}")


def _numbers(server: Mapping[str, Any]) -> tuple[int, ...]:
    """Read the version; what does not say it in numbers is taken to be new enough."""
    numbers = server.get("versionNumbers")
    return tuple(numbers) if isinstance(numbers, list) and all(isinstance(each, int) for each in numbers) else _OLDEST


def _check_project(link: JiraConnection, config: JiraSection, wants: TicketWants) -> Iterator[Check]:
    """Look at the project, and where it is shown at all that lies in it."""
    remedy = "Check project (its key), and give the account Browse Projects there."
    shown = list(walled("project", partial(_check_shown, link, config), remedy))
    yield from shown
    if not all(check.ok for check in shown):
        return
    yield from walled("search", partial(_check_search, config))
    allowed: dict[str, bool] = {}
    yield from walled("permissions", partial(_check_permissions, link, config, wants, allowed), asks="Jira")
    if allowed.get(PERMISSIONS[Right.CREATE], True):
        yield from walled("fields", partial(_check_fields, link, config, wants), asks="Jira")
        for account in wants.assignees:
            yield from walled("assignee", partial(_check_assignee, link, config, account), asks="Jira")
    if allowed.get(PERMISSIONS[Right.ATTACH], True):
        yield from walled("attachments", partial(_check_attachments, link), asks="Jira")
    yield from check_answers(link, config)
    if allowed.get(PERMISSIONS[Right.MOVE], True):
        yield from walled("transitions", partial(_check_transitions, link, config))


def _check_shown(link: JiraConnection, config: JiraSection) -> Iterator[Check]:
    project = link.project()
    if project.get("archived"):
        remedy = "Restore it in Jira, or name another."
        yield Check("project", ok=False, said=f"{config.project} is archived", remedy=remedy)
        return
    yield Check("project", ok=True, said=f"{config.project}, {project.get('name', config.project)}")


def _check_search(config: JiraSection) -> Iterator[Check]:
    """Search as a ticket is searched for whose opening ended in doubt."""
    JiraTracker(config).find(PROBE)
    yield Check("search", ok=True, said="tickets are found by their labels")


def _check_permissions(
    link: JiraConnection, config: JiraSection, wants: TicketWants, allowed: dict[str, bool]
) -> Iterator[Check]:
    """Ask what we may do in the project, and note it in *allowed* for what is looked at next."""
    sentences = {PERMISSIONS[right]: sentence for right, sentence in _SENTENCES.items()}
    sentences |= dict([_ASSIGNING]) if wants.assignees or config.answers.listen else {}
    allowed |= link.permissions(sentences)
    for key, what in sentences.items():
        if key not in allowed:
            yield unsaid(f"may {what}", "Jira")
            continue
        remedy = f"Give the account the permission {key} in project {config.project}."
        may = allowed[key]
        yield Check(f"may {what}", ok=may, said="yes" if may else "no", remedy="" if may else remedy)


def _check_fields(link: JiraConnection, config: JiraSection, wants: TicketWants) -> Iterator[Check]:
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


def _paged(link: JiraConnection, doing: str, path: str, name: str) -> list[Mapping[str, Any]]:
    """Read createmeta to its end: Cloud calls the list by *name*, Data Center `values`."""
    rows: list[Mapping[str, Any]] = []
    while True:
        page, total = link.get(
            doing,
            path,
            lambda answer: (rows_in(answer, name if name in answer else "values"), int(answer.get("total", 0))),
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


def _check_assignee(link: JiraConnection, config: JiraSection, account: str) -> Iterator[Check]:
    key = "accountId" if config.deployment == "cloud" else "name"
    asked = "accountId" if config.deployment == "cloud" else "username"
    found = link.get(
        f"say whether {account} can be assigned",
        "user/assignable/search",
        lambda answer: [str(each.get("displayName", account)) for each in rows_in(answer) if each.get(key) == account],
        **{"project": config.project, asked: account},
    )
    if found:
        yield Check("assignee", ok=True, said=found[0])
        return
    remedy = f"Set assignee of the pipeline to the {key} of somebody who can be assigned tickets of {config.project}."
    yield Check("assignee", ok=False, said=f"{account} cannot be assigned tickets", remedy=remedy)


def _check_attachments(link: JiraConnection) -> Iterator[Check]:
    enabled = link.get(
        "say whether files may be attached", "attachment/meta", lambda answer: held_in(answer, "enabled") is True
    )
    remedy = "" if enabled else "Let an administrator of Jira turn attachments on; until then tickets have no chart."
    yield Check("attachments", ok=enabled, said="on" if enabled else "are turned off for all of Jira", remedy=remedy)


def _check_transitions(link: JiraConnection, config: JiraSection) -> Iterator[Check]:
    """Look at the ways out of tickets that are there, one of each state."""
    jql = (
        f"project = {quoted_jql(config.project)} AND issuetype = {quoted_jql(config.issue_type)} ORDER BY created DESC"
    )
    try:
        tickets: list[tuple[str, TicketState]] = link.search(
            "list tickets to look at",
            jql,
            lambda answer: [
                (text_in(each, "key"), state_of(each["fields"]["status"])) for each in rows_in(answer, "issues")
            ],
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
        yield _check_way(config, samples, offered, target)


def _check_way(
    config: JiraSection,
    samples: Mapping[TicketState, str],
    offered: Mapping[TicketState, Sequence[Mapping[str, Any]]],
    target: TicketState,
) -> Check:
    """Say whether some transition leads to *target*, the one that config names, and what its screen demands."""
    name, named, filled = f"transition to {target}", config.transitions.into(target), config.transition_fields
    direct = [easiest(ways, target, named, filled) for state, ways in offered.items() if state is not target]
    chosen = next((each for each in direct if each is not None), None)
    if chosen is not None and named is not None and not is_called(chosen, named):
        ways = [str(each["name"]) for held in offered.values() for each in held if each["state"] is target]
        remedy = f"Set transitions.{target} to one of them, or to the status that it leads to."
        return Check(name, ok=False, said=f"none is called {named!r}; there is {listed(ways)}", remedy=remedy)
    if chosen is None and target is TicketState.DOING and TicketState.DOING in samples:
        return Check(name, ok=True, said=f"{samples[TicketState.DOING]} is there")
    if chosen is None:
        stepwise = any(easiest(ways, TicketState.DOING) for ways in offered.values())
        if target is TicketState.DONE and stepwise and TicketState.DOING not in samples:
            return Check(name, ok=True, said="by way of work in progress, as far as can be seen")
        remedy = "Give the workflow such a transition, and the account the right to take it."
        tried = listed([key for state, key in samples.items() if state is not target])
        return Check(name, ok=False, said=f"none is offered ({tried})", remedy=remedy)
    needed = demanded(chosen, filled)
    if needed:
        remedy = "Give it in transition_fields of the tracker, or a default in Jira, or take it off that screen."
        return Check(name, ok=False, said=f"{chosen['name']} demands {listed(needed)}", remedy=remedy)
    return Check(name, ok=True, said=str(chosen["name"]))
