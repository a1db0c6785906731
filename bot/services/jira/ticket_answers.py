"""What people answer in Jira's tickets, Cloud and Data Center."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from bot.domain.capabilities import TicketState
from bot.domain.rules import Person
from bot.ports import Comment, Resolution, Speakers, Ticket, TicketReading
from bot.services.clocks import CLOCKS_MAY_DIFFER
from bot.services.evidence import held_in, id_in, moment_in, number_in, object_in, prove, rows_in, text_in
from bot.services.jira.answers import counted, labels_of, mark_of, state_of
from bot.services.jira.config import JiraSection
from bot.services.jira.connection import JiraConnection, quoted_jql, quoted_path
from bot.services.jira.people import JiraPeople, author_in, person_in
from bot.services.jira.tracker import JiraTracker
from bot.services.paging import each_page
from bot.services.refusals import unless_gone
from bot.text.comment_lines import Markup

_MINUTE = timedelta(minutes=1)  # the index counts in whole ones
_LONG = timedelta(days=7)  # looking back further is asked in days
_LIST_PAGE, _COMMENT_PAGE = 100, 50
_MOST_COMMENTS = 5_000  # that Cloud lets a ticket have; Data Center only says so where it refuses one
_LAST_WORD = 1  # while there is room for it, it can be said that there will be no other
_FIELDS = "status,resolution,assignee,labels,issuelinks,updated"


@dataclass(frozen=True, slots=True)
class _Said:
    comments: tuple[Comment, ...]  # oldest first
    total: int  # of all that the ticket has


@dataclass(frozen=True, slots=True)
class _Page:
    """A page of comments, as Jira orders them."""

    comments: tuple[Comment, ...]
    following: int | None
    total: int

    def reaches(self, since: datetime) -> bool:
        """Say whether what follows is older than *since*: the newest stand first, and the last here is older."""
        times = [each.created for each in self.comments]
        return bool(times) and times[0] > times[-1] and times == sorted(times, reverse=True) and times[-1] < since


class JiraTicketAnswers:
    """The tickets of a Jira as :class:`bot.ports.TicketAnswers`."""

    def __init__(self, config: JiraSection, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._config = config
        self._clock = clock
        self._link = JiraConnection(config)
        self._people = JiraPeople(config, self._link)
        self._tracker = JiraTracker(config)
        self._overlap = config.search_lag + CLOCKS_MAY_DIFFER + _MINUTE

    def __repr__(self) -> str:
        return f"JiraTicketAnswers(project={self._config.project!r})"

    def me(self) -> Person:
        return self._people.me()

    def may_speak(self, person: Person, speakers: Speakers) -> bool:
        return self._people.may_speak(person, speakers)

    def changed(self, family: str, since: datetime) -> Sequence[str]:
        """Search the project for what changed so long ago: dates are read in the time zone of the account that asks."""
        jql = (
            f"project = {quoted_jql(self._config.project)} AND labels = {quoted_jql(family)} "
            f'AND updated >= "{self._ago(since)}" ORDER BY updated DESC'
        )
        found = self._link.labelled("list what changed", jql, family, size=_LIST_PAGE, fields="labels")
        return list(dict.fromkeys(text_in(issue, "key") for issue in found))

    def read(self, key: str, since: datetime | None) -> TicketReading | None:
        show = partial(self._link.show, key, _FIELDS, self._reading, expand="changelog")
        reading = unless_gone(show, self._tracker.confirm_access)
        if reading is None:
            return None
        said = self._said(reading.ticket.key, None if since is None else since - self._overlap)
        is_full = self._config.deployment == "cloud" and said.total >= _MOST_COMMENTS - _LAST_WORD
        return replace(reading, comments=said.comments, is_full=is_full)

    def _reading(self, issue: Any) -> TicketReading:
        """Read a ticket without its comments."""
        fields, key = object_in(issue, "fields"), text_in(issue, "key")
        status = object_in(fields, "status")
        state = state_of(status)
        return TicketReading(
            ticket=Ticket(key, self._link.browse(key), state),
            resolution=_resolution_in(issue) if state is TicketState.DONE else None,
            assignee=person_in(fields["assignee"]) if fields.get("assignee") is not None else None,
            labels=tuple(labels_of(issue)),
            duplicate_of=_original_of(fields),
            changed=moment_in(fields, "updated"),
        )

    def _said(self, key: str, since: datetime | None) -> _Said:
        """Read the comments from the newest back to *since*; all of them, where Jira does not put the newest first."""
        total = 0

        def fetch(start: int) -> tuple[list[Comment], int | None]:
            nonlocal total
            page = self._link.get(
                f"list the comments of {key}",
                f"issue/{quoted_path(key)}/comment",
                partial(self._comments_in, key, start),
                startAt=start,
                maxResults=_COMMENT_PAGE,
                orderBy="-created",
                expand="properties",
            )
            total = page.total
            return list(page.comments), None if since is not None and page.reaches(since) else page.following

        by_id = {each.comment_id: each for each in each_page("Jira", fetch, 0)}  # one more moves all others on a place
        kept = [each for each in by_id.values() if since is None or each.created >= since]
        return _Said(tuple(sorted(kept, key=lambda each: (each.created, int(each.comment_id)))), total)

    def _comments_in(self, key: str, start: int, answer: Any) -> _Page:
        rows, following = counted("comments", start, answer)
        return _Page(tuple(self._comment_in(key, row) for row in rows), following, number_in(answer, "total"))

    def _comment_in(self, key: str, row: Mapping[str, Any]) -> Comment:
        comment_id, created = id_in(row), moment_in(row, "created")
        prove(comment_id.isdecimal(), "shows a comment without a number")
        body = held_in(row, "body")
        prove(isinstance(body, str), "shows a comment without words")
        return Comment(
            comment_id=comment_id,
            author=author_in(row.get("author")),
            created=created,
            body=body,
            markup=Markup.WIKI,
            mark=mark_of(row),
            is_edited="updated" in row and moment_in(row, "updated") != created,  # both are set at once
            url=f"{self._link.browse(key)}?focusedCommentId={comment_id}",
        )

    def _ago(self, since: datetime) -> str:
        """Say how far a search looks back, the overlap counted in."""
        back = max(self._clock() - since, timedelta(0)) + self._overlap
        return f"-{-(-back // _MINUTE)}m" if back <= _LONG else f"-{back.days + 1}d"


def _resolution_in(issue: Mapping[str, Any]) -> Resolution:
    """Read how a ticket was closed, and off its history by whom; where a project has no resolutions, by its status."""
    fields = issue["fields"]
    resolved, status = fields.get("resolution"), object_in(fields, "status")
    if resolved is None:
        name, resolution = "status", Resolution(f"status-{id_in(status)}", text_in(status, "name"))
    else:
        name, resolution = "resolution", Resolution(id_in(resolved), text_in(resolved, "name"))
    held = id_in(status) if resolved is None else resolution.id
    changes = (
        [
            each
            for each in rows_in(issue["changelog"], "histories")
            if any(item.get("field") == name and str(item.get("to")) == held for item in rows_in(each, "items"))
        ]
        if issue.get("changelog")
        else []
    )
    last = max(changes, key=lambda each: moment_in(each, "created"), default=None)
    if last is None:
        return resolution
    return replace(resolution, by=author_in(last.get("author")), at=moment_in(last, "created"))


def _original_of(fields: Mapping[str, Any]) -> str:
    """Read which ticket this one was linked to as its duplicate: of the two ends, the outward is what is repeated."""
    links = rows_in(fields, "issuelinks") if "issuelinks" in fields else []
    originals = (
        text_in(link["outwardIssue"], "key")
        for link in links
        if link.get("outwardIssue") and "duplicate" in text_in(object_in(link, "type"), "name").lower()
    )
    return next(originals, "")
