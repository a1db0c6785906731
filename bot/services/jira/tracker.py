"""Jira, Cloud and Data Center, over REST v2 through the `jira` package."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any

from bot.domain.capabilities import TextForm, TicketState
from bot.domain.rate_limits import Allowance
from bot.errors import AccountError, FullError, MissingError, PermanentError, Reach
from bot.ports import Attachment, MarkedTicket, RemoteLink, Right, Ticket, TicketDraft
from bot.services.evidence import created_in, nothing_in, rows_in, text_in
from bot.services.jira.answers import (
    PROPERTY,
    USUAL_RESOLUTION,
    Files,
    check_comment,
    check_file,
    check_link,
    due_of,
    files_of,
    key_of,
    labels_of,
    marks_of,
    state_of,
)
from bot.services.jira.config import JiraSection
from bot.services.jira.connection import PERMISSIONS, JiraConnection, quoted_jql, quoted_path
from bot.services.jira.fields import fields_of, refusal_of_fields
from bot.services.jira.transitions import move_by_transitions
from bot.services.last_seen import BRIEFLY, LastSeen
from bot.services.paging import each_page
from bot.services.refusals import about_us, unless_gone

_LONGEST_IDENTITY = 255
_COMMENT_PAGE = 100
_SEARCH_PAGE = 10
_LIST_PAGE = 100
_BAD_REQUEST, _TOO_MUCH = 400, 413
_SEARCHED = "status,labels"
_DUPLICATE = "Duplicate"  # the resolution, where it is called so


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
        self._link = JiraConnection(config)
        self._files: LastSeen[Files] = LastSeen(BRIEFLY)  # by key of the ticket

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
        issues = self._link.labelled(f"search for {marker}", jql, marker, size=_SEARCH_PAGE, fields=_SEARCHED)
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
        return self._link.show(key, "status,issuelinks,resolution", _repeats_another)

    def due(self, key: str) -> date | None:
        return self._link.show(key, "status,duedate", due_of)

    def marked(self, family: str) -> Sequence[MarkedTicket]:
        jql = f"project = {quoted_jql(self._config.project)} AND labels = {quoted_jql(family)} ORDER BY created ASC"
        return [
            MarkedTicket(label, self._ticket(issue))
            for issue in self._link.labelled("list our tickets", jql, family, size=_LIST_PAGE, fields=_SEARCHED)
            for label in labels_of(issue)
            if label.startswith(f"{family}-")
        ]

    def read(self, key: str) -> Ticket | None:
        return unless_gone(partial(self._link.show, key, "status", self._ticket), self.confirm_access)

    def create(self, marker: str, draft: TicketDraft) -> Ticket:
        fields = fields_of(self._config, marker, draft)
        send = partial(self._link.post, "issue", {"fields": fields})
        try:
            made = self._link.wire.ask("create the ticket", send, key_of, write=True)
        except PermanentError as error:
            if error.status != _BAD_REQUEST:
                raise
            raise refusal_of_fields(error, self._config, draft, fields) from error
        self._files.keep(made, {})
        return Ticket(made, self._link.browse(made), TicketState.TODO)

    def comment(self, key: str, mark: str, body: str) -> None:
        comment = {
            "body": body,
            "properties": [{"key": PROPERTY, "value": {"mark": mark}}],
        }
        send = partial(self._link.post, f"issue/{quoted_path(key)}/comment", comment)
        try:
            self._link.wire.ask(f"comment on {key}", send, partial(check_comment, mark), write=True)
        except PermanentError as error:
            if error.status != _TOO_MUCH or error.from_gateway:
                raise
            raise FullError(str(error), status=error.status) from error

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
        self._move(key, state, USUAL_RESOLUTION)

    def _move(self, key: str, state: TicketState, resolution: str) -> None:
        current = self._link.show(key, "status", self._ticket).state
        move_by_transitions(self._link, self._config, key, current, state, resolution)

    def assign(self, key: str, account: str) -> None:
        body = {"accountId" if self._config.deployment == "cloud" else "name": account}
        send = partial(self._link.request, "PUT", f"issue/{quoted_path(key)}/assignee", data=json.dumps(body))
        self._link.wire.read(f"assign {key}", send, nothing_in, write=True)

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

    def forget(self, key: str) -> None:
        self._files.forget(key)

    def attach(self, key: str, attachment: Attachment) -> None:
        there = self._files.take(key)
        if there is None:
            there = self._link.show(key, "attachment", files_of)
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

    def _ticket(self, issue: Mapping[str, Any]) -> Ticket:
        key = text_in(issue, "key")
        return Ticket(key, self._link.browse(key), state_of(issue["fields"]["status"]))


def _global_id(identity: str) -> str:
    """Fit the identity of a link into what Jira takes, still unique."""
    if len(identity) <= _LONGEST_IDENTITY:
        return identity
    digest = hashlib.sha256(identity.encode()).hexdigest()
    return f"{identity[: _LONGEST_IDENTITY - len(digest) - 1]}-{digest}"
