"""Jira, Cloud and Data Center, over REST v2 through the `jira` package."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

import requests
from jira import JIRA

from bot.domain.rate_limits import Allowance
from bot.errors import AccountError, FieldsRefusedError, MissingError, PermanentError, Reach, own_words
from bot.ports import (
    Attachment,
    MarkedTicket,
    RemoteLink,
    Right,
    TextForm,
    Ticket,
    TicketDraft,
    TicketState,
)
from bot.services.evidence import created_in, held_in, nothing_in, object_in, prove, rows_in, text_in
from bot.services.http import Wire, limit_time_and_size
from bot.services.jira.answers import (
    PROPERTY,
    USUAL_RESOLUTION,
    Files,
    check_comment,
    check_file,
    check_link,
    counted,
    easiest,
    files_of,
    key_of,
    labelled,
    labels_of,
    marks_of,
    name_of,
    next_token,
    project_in,
    resolution_for,
    state_of,
)
from bot.services.jira.config import JiraSection
from bot.services.last_seen import Remembered
from bot.services.paging import each_page
from bot.services.refusals import Service, about_us, unless_gone

T = TypeVar("T")

_LONGEST_IDENTITY = 255
_COMMENT_PAGE = 100
_SEARCH_PAGE = 10
_LIST_PAGE = 100
_BAD_REQUEST = 400
PERMISSIONS = {
    Right.CREATE: "CREATE_ISSUES",
    Right.COMMENT: "ADD_COMMENTS",
    Right.MOVE: "TRANSITION_ISSUES",
    Right.LINK: "LINK_ISSUES",
    Right.ATTACH: "CREATE_ATTACHMENTS",
    Right.EDIT: "EDIT_ISSUES",
}
_DUPLICATE = "Duplicate"  # the resolution, where it is called so
_ADVICE = {
    401: "Check the token (and email, on Cloud) of the tracker.",
    403: "Check that the account of the token may do this in the project.",
    404: "Check url and project, and that the account of the token may see them: Jira hides what it does not permit.",
}


class JiraLink:
    """The connection to a Jira, which the tracker and the doctor use."""

    def __init__(self, config: JiraSection) -> None:
        self._config = config
        self.wire = Wire(
            Service("Jira", config.base, config.timeout.total_seconds(), advice=_ADVICE, secrets=(config.token,))
        )
        self._client: JIRA | None = None
        self._lock = threading.Lock()

    def get(self, doing: str, path: str, parse: Callable[[Any], T], **params: Any) -> T:
        """Read what stands at a path below `rest/api/2`."""
        return self.wire.ask(doing, partial(self.request, "GET", path, params=params), parse)

    def who(self) -> str:
        """Ask who we are."""
        return self.get("show who we are", "myself", name_of)

    def project(self) -> Mapping[str, Any]:
        """Show the project, where our account may see it."""
        key = self._config.project
        return self.get(f"show the project {key}", f"project/{quoted_path(key)}", project_in)

    def permissions(self, keys: Iterable[str]) -> dict[str, bool]:
        """Tell which of these permissions our account has in the project."""
        return self.get(
            "list our permissions",
            "mypermissions",
            lambda answer: {
                key: held_in(each, "havePermission") is True for key, each in object_in(answer, "permissions").items()
            },
            projectKey=self._config.project,
            permissions=",".join(keys),
        )

    def search(self, doing: str, jql: str, parse: Callable[[Any], T], *, size: int, fields: str) -> T:
        path = "search/jql" if self._config.deployment == "cloud" else "search"
        return self.get(doing, path, parse, jql=jql, maxResults=size, fields=fields)

    def transitions(self, key: str) -> list[Mapping[str, Any]]:
        """List the transitions open to the ticket, each with the state that it leads to."""
        return self.get(
            f"list the transitions of {key}",
            f"issue/{quoted_path(key)}/transitions",
            lambda answer: [{**each, "state": state_of(each["to"])} for each in rows_in(answer, "transitions")],
            expand="transitions.fields",
        )

    def post(self, path: str, body: Mapping[str, Any]) -> requests.Response:
        return self.request("POST", path, data=json.dumps(body))

    def request(self, method: str, path: str, **arguments: Any) -> requests.Response:
        session, url = _session_of(self._connected()), f"{self._config.base}/rest/api/2/{path}"
        seconds = self._config.timeout.total_seconds()
        # Past the package's own handling of answers, which stumbles over what some of them hold.
        return requests.Session.request(session, method, url, timeout=seconds, verify=session.verify, **arguments)

    def _connected(self) -> JIRA:
        """Build the client at the first request, without a request of its own."""
        with self._lock:
            if self._client is None:
                self._client = _make_client(self._config)
            return self._client


def _repeats_another(issue: Mapping[str, Any]) -> bool:
    """Say whether a ticket was closed as another's duplicate: by its resolution, or by a link to the other."""
    fields = issue["fields"]
    if state_of(fields["status"]) is not TicketState.DONE:
        return False
    kinds = [str(link["type"]["name"]) for link in fields.get("issuelinks") or () if link.get("outwardIssue")]
    kinds.append(str((fields.get("resolution") or {}).get("name", "")))
    return any("duplicate" in kind.lower() for kind in kinds)


class JiraTracker:
    """A project of Jira as :class:`bot.ports.Tracker`."""

    def __init__(self, config: JiraSection) -> None:
        self._config = config
        self._link = JiraLink(config)
        self._files: Remembered[Files] = Remembered()  # by key of the ticket

    def __repr__(self) -> str:
        return f"JiraTracker(project={self._config.project!r})"

    @property
    def text_form(self) -> TextForm:
        return self._config.text_form

    @property
    def allowance(self) -> Allowance | None:
        return self._link.wire.allowance

    @property
    def search_lag(self) -> timedelta:
        return self._config.search_lag

    def confirm_access(self, right: Right | None = None) -> None:
        with about_us(unless_silent=True):
            self._link.who()
        with about_us(what_config_names=True):
            project = self._link.project()
        if project.get("archived") or project.get("deleted"):
            raise MissingError(f"project: {self._config.project} is archived; restore it in Jira, or name another.")
        if right is None:
            return
        key = PERMISSIONS[right]
        allowed: Mapping[str, bool] = {}
        with about_us(unless_silent=True):
            allowed = self._link.permissions([key])
        if not allowed.get(key, True):
            raise AccountError(
                f"Jira does not let our account do this in the project {self._config.project}: give it the permission "
                f"{key}.",
                reach=Reach.KIND,
            )

    def find(self, marker: str) -> Ticket | None:
        """Search the project for the label; the oldest open ticket wins where several carry it.

        That nothing is found proves something only while the account sees the project.
        """
        jql = f"project = {quoted_jql(self._config.project)} AND labels = {quoted_jql(marker)} ORDER BY created ASC"
        issues = self._issues(f"search for {marker}", jql, marker, _SEARCH_PAGE)
        closed: list[Ticket] = []
        for issue in issues:
            if marker in labels_of(issue):  # JQL compares labels without regard to case
                ticket = self._ticket(issue)
                if ticket.state is not TicketState.DONE:
                    return ticket
                closed.append(ticket)
        if not closed:
            self.confirm_access()
        return next((each for each in closed if not self.is_duplicate(each.key)), None)

    def is_duplicate(self, key: str) -> bool:
        return self._read(key, "status,issuelinks,resolution", _repeats_another)

    def marked(self, family: str) -> Sequence[MarkedTicket]:
        jql = f"project = {quoted_jql(self._config.project)} AND labels = {quoted_jql(family)} ORDER BY created ASC"
        return [
            MarkedTicket(label, self._ticket(issue))
            for issue in self._issues("list our tickets", jql, family, _LIST_PAGE)
            for label in labels_of(issue)
            if label.startswith(f"{family}-")
        ]

    def read(self, key: str) -> Ticket | None:
        return unless_gone(partial(self._read, key, "status", self._ticket), self.confirm_access)

    def create(self, marker: str, draft: TicketDraft) -> Ticket:
        fields = self._fields(marker, draft)
        send = partial(self._link.post, "issue", {"fields": fields})
        try:
            made = self._link.wire.ask("create the ticket", send, key_of, write=True)
        except PermanentError as error:
            if error.status != _BAD_REQUEST:
                raise
            values = {**self._spared(draft), **_values_of(draft)}
            raise _of_the_fields(error, {name: values[name] for name in values if name in fields}) from error
        self._files.keep(made, {})
        return Ticket(made, self._url(made), TicketState.TODO)

    def comment(self, key: str, mark: str, body: str) -> None:
        comment = {
            "body": body,
            "properties": [{"key": PROPERTY, "value": {"mark": mark}}],
        }
        send = partial(self._link.post, f"issue/{quoted_path(key)}/comment", comment)
        self._link.wire.ask(f"comment on {key}", send, partial(check_comment, mark), write=True)

    def has_comment(self, key: str, mark: str) -> bool:
        def fetch(start: int) -> tuple[list[str | None], int | None]:
            params = {"startAt": start, "maxResults": _COMMENT_PAGE, "expand": "properties"}
            return self._link.wire.ask(
                f"list the comments of {key}",
                partial(self._link.request, "GET", f"issue/{quoted_path(key)}/comment", params=params),
                partial(marks_of, start),
            )

        return mark in each_page("Jira", fetch, 0)

    def move(self, key: str, state: TicketState) -> None:
        """Take the transition that leads to *state*, or, in a workflow without one, two by way of work in progress."""
        self._move(key, state, USUAL_RESOLUTION)

    def _move(self, key: str, state: TicketState, resolution: str) -> None:
        current = self._read(key, "status", self._ticket).state
        if current is state:
            return
        offered = self._link.transitions(key)
        chosen = easiest(offered, state)
        if chosen is None and TicketState.DOING not in (current, state):
            step = easiest(offered, TicketState.DOING)
            if step is not None:
                self._transit(key, step, {})
                offered = self._link.transitions(key)
                chosen = easiest(offered, state)
        if chosen is None:
            names = ", ".join(f"{each['name']} (to {each['to']['name']})" for each in offered) or "none"
            raise PermanentError(
                f"{key} cannot be moved to a status of the category {state}: the transitions that its workflow offers "
                f"this account are {names}."
            )
        self._arrive(key, chosen, state, resolution)

    def close_duplicate(self, key: str, original: Ticket) -> None:
        """Link the two by the type that says so, where there is one, and resolve the later as a duplicate."""
        kinds = self._link.wire.ask(
            "list the kinds of links",
            partial(self._link.request, "GET", "issueLinkType"),
            lambda answer: [text_in(each, "name") for each in rows_in(answer, "issueLinkTypes")],
        )
        kind = next((name for name in kinds if "duplicate" in name.lower()), None)
        if kind is not None:  # of the two ends, Jira calls the one that does the duplicating the inward
            body = {"type": {"name": kind}, "inwardIssue": {"key": key}, "outwardIssue": {"key": original.key}}
            send = partial(self._link.post, "issueLink", body)
            self._link.wire.read(f"link {key} to {original.key}", send, created_in, write=True)
        self._move(key, TicketState.DONE, _DUPLICATE)

    def link(self, key: str, link: RemoteLink) -> None:
        body = {
            "globalId": _global_id(link.identity),
            "object": {"url": link.url, "title": link.title, "summary": link.summary},
        }
        send = partial(self._link.post, f"issue/{quoted_path(key)}/remotelink", body)
        self._link.wire.ask(f"link {link.url} to {key}", send, check_link, write=True)

    def attach(self, key: str, attachment: Attachment) -> None:
        there = self._files.take(key)
        if there is None:
            there = self._read(key, "attachment", files_of)
        if len(attachment.content) in there.get(attachment.filename, ()):
            self._files.keep(key, there)
            return
        files = {"file": (attachment.filename, attachment.content, attachment.media_type)}
        # requests writes the multipart content type only where the session's own is taken out
        headers = {"X-Atlassian-Token": "no-check", "Content-Type": None}
        send = partial(
            self._link.request, "POST", f"issue/{quoted_path(key)}/attachments", files=files, headers=headers
        )
        check = partial(check_file, attachment)
        self._link.wire.ask(f"attach {attachment.filename} to {key}", send, check, write=True)
        sizes = there.get(attachment.filename, frozenset()) | {len(attachment.content)}
        self._files.keep(key, {**there, attachment.filename: sizes})

    def _fields(self, marker: str, draft: TicketDraft) -> dict[str, Any]:
        fields: dict[str, Any] = {
            **{name: value for name, value in self._config.fields.items() if name not in draft.left_out},
            "project": {"key": self._config.project},
            "issuetype": {"name": self._config.issue_type},
            "summary": " ".join(draft.title.split()),
            "description": draft.body,
            "labels": list(dict.fromkeys([marker, *("-".join(label.split()) for label in draft.labels)])),
        }
        if draft.priority:
            fields["priority"] = {"name": draft.priority}
        if draft.assignee:
            fields["assignee"] = {"accountId" if self._config.deployment == "cloud" else "name": draft.assignee}
        if draft.components:
            fields["components"] = [{"name": name} for name in draft.components]
        return fields

    def _spared(self, draft: TicketDraft) -> dict[str, str]:
        """Return what config adds to the ticket, as people read it, by field."""
        added = {name: value for name, value in self._config.fields.items() if name not in draft.left_out}
        return {name: value if isinstance(value, str) else _shown(value) for name, value in added.items()}

    def _issues(self, doing: str, jql: str, label: str, size: int) -> Iterator[Mapping[str, Any]]:
        """Yield all tickets that a search for *label* finds."""
        params = {"jql": jql, "maxResults": size, "fields": "status,labels"}

        def fetch_on_cloud(token: str) -> tuple[list[Mapping[str, Any]], str | None]:
            more = {"nextPageToken": token} if token else {}
            send = partial(self._link.request, "GET", "search/jql", params={**params, **more})
            return self._link.wire.ask(doing, send, lambda answer: (labelled(answer, label), next_token(answer)))

        def fetch_in_datacenter(start: int) -> tuple[list[Mapping[str, Any]], int | None]:
            send = partial(self._link.request, "GET", "search", params={**params, "startAt": start})
            return self._link.wire.ask(
                doing, send, lambda answer: (labelled(answer, label), counted("issues", start, answer)[1])
            )

        if self._config.deployment == "cloud":
            return each_page("Jira", fetch_on_cloud, "")
        return each_page("Jira", fetch_in_datacenter, 0)

    def _read(self, key: str, fields: str, parse: Callable[[Any], T]) -> T:
        def parse_own(issue: Any) -> T:
            shown = text_in(issue, "key")
            is_moved = shown.rpartition("-")[0] != key.rpartition("-")[0]  # to another project, where it is renamed
            prove(shown == key or is_moved, f"shows {shown}")
            return parse(issue)

        send = partial(self._link.request, "GET", f"issue/{quoted_path(key)}", params={"fields": fields})
        return self._link.wire.ask(f"show {key}", send, parse_own)

    def _arrive(self, key: str, transition: Mapping[str, Any], state: TicketState, resolution: str) -> None:
        """Take the transition, giving a resolution where the ticket is done."""
        fields = resolution_for(transition, resolution) if state is TicketState.DONE else {}
        try:
            self._transit(key, transition, fields)
        except PermanentError as error:
            # What a screen demands or forbids is listed incompletely: once more, the other way round.
            if state is not TicketState.DONE or error.status != _BAD_REQUEST:
                raise
            try:
                self._transit(key, transition, {} if fields else {"resolution": {"name": resolution}})
            except PermanentError:
                raise error from None

    def _transit(self, key: str, transition: Mapping[str, Any], fields: Mapping[str, Any]) -> None:
        body: dict[str, Any] = {"transition": {"id": str(transition["id"])}}
        if fields:
            body["fields"] = fields
        send = partial(self._link.post, f"issue/{quoted_path(key)}/transitions", body)
        self._link.wire.read(f"move {key} by the transition {transition['name']}", send, nothing_in, write=True)

    def _ticket(self, issue: Mapping[str, Any]) -> Ticket:
        key = text_in(issue, "key")
        return Ticket(key, self._url(key), state_of(issue["fields"]["status"]))

    def _url(self, key: str) -> str:
        return f"{self._config.base}/browse/{quoted_path(key)}"


def _make_client(config: JiraSection) -> JIRA:
    token = config.token.get_secret_value()
    client = JIRA(
        config.base,
        options={"verify": config.ca_file or True, "rest_api_version": "2"},
        basic_auth=(config.email, token) if config.email else None,
        token_auth=None if config.email else token,
        timeout=config.timeout.total_seconds(),
        get_server_info=False,  # config says which deployment it is
        max_retries=0,  # it would repeat a create after a dropped connection
        logging=False,
    )
    client.deploymentType = "Cloud" if config.deployment == "cloud" else "Server"
    session = _session_of(client)
    session.max_redirects = 0  # nothing of ours goes to a host that config does not name
    limit_time_and_size(session)
    return client


def _session_of(client: JIRA) -> requests.Session:
    """Return what the package sends through: it has no public way to it, and its public calls send more than asked."""
    return client._session  # noqa: SLF001


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


def _of_the_fields(error: PermanentError, values: Mapping[str, str]) -> PermanentError:
    """Tell a refusal of fields that a ticket can do without, *values*, from one of the ticket.

    Where Jira complains of no field, its words may name one.
    """
    words = own_words(error)
    refused = error.fields or {
        name: words for name in values if re.search(rf"\b{re.escape(name)}\b", words, re.IGNORECASE)
    }
    if not refused or not refused.keys() <= values.keys():
        return error
    return FieldsRefusedError(str(error), values=values, fields=refused, status=error.status)


def _global_id(identity: str) -> str:
    """Fit the identity of a link into what Jira takes, still unique."""
    if len(identity) <= _LONGEST_IDENTITY:
        return identity
    digest = hashlib.sha256(identity.encode()).hexdigest()
    return f"{identity[: _LONGEST_IDENTITY - len(digest) - 1]}-{digest}"


def quoted_jql(text: str) -> str:
    """Write a string of JQL."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def quoted_path(part: str) -> str:
    return quote(part, safe="")
