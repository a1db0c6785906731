"""What people answer on Trello's cards: comments, the list they move a card to, the labels they give it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urldefrag, urlsplit

from bot.domain.capabilities import TicketState
from bot.domain.rules import Person
from bot.ports import Comment, Resolution, Speakers, Ticket, TicketReading
from bot.services.clocks import CLOCKS_MAY_DIFFER
from bot.services.evidence import held_in, id_in, moment_in, object_in, prove, rows_in, text_in
from bot.services.paging import each_page
from bot.services.refusals import unless_gone
from bot.services.trello.answers import REPEATS, card_of, of_family, written_mark
from bot.services.trello.board import Board, KnownBoard
from bot.services.trello.card_files import CardFiles
from bot.services.trello.config import TrelloSection
from bot.services.trello.connection import TrelloConnection, quoted_path
from bot.services.trello.people import TrelloPeople, member_in
from bot.services.trello.tracker import TrelloTracker
from bot.text.comment_lines import Markup

T = TypeVar("T")

_PAGE = 1_000
_MOVES = "updateCard:idList,updateCard:closed"
_CHANGES = f"commentCard,{_MOVES},addMemberToCard,removeMemberFromCard"
_FIELDS = "idList,closed,idShort,shortUrl,labels,idMembers,dateLastActivity"
_KINDS = {each.partition(":")[0] for each in _CHANGES.split(",")}
_ARCHIVED = Resolution("archived", "Archived")  # of a card that left the board before it was done


@dataclass(frozen=True, slots=True)
class _Card:
    key: str
    description: str
    labels: frozenset[str]  # their ids and names, in small letters


class TrelloTicketAnswers:
    """The cards of a board as :class:`bot.ports.TicketAnswers`.

    Trello tells what happened on a board, except that a card was given a label: labels are compared with those seen at
    the last look, and at the first one every card counts that bears one which config names.
    """

    def __init__(self, config: TrelloSection) -> None:
        self._config = config
        self._link = TrelloConnection(config)
        self._board = KnownBoard(self._link, config)
        self._files = CardFiles(self._link)
        self._people = TrelloPeople(config, self._link)
        self._tracker = TrelloTracker(config)
        self._overlap = config.search_lag + CLOCKS_MAY_DIFFER
        self._descriptions: dict[str, str] = {}  # by id of the card
        self._labels: dict[str, frozenset[str]] = {}  # ids and names by id of the card, as last seen

    def __repr__(self) -> str:
        return f"TrelloTicketAnswers(board={self._config.board!r})"

    def me(self) -> Person:
        return self._people.me()

    def may_speak(self, person: Person, speakers: Speakers) -> bool:
        return self._people.may_speak(person, speakers)

    def changed(self, family: str, since: datetime) -> Sequence[str]:
        self._board.ids_now()  # people may have made a list, or named one anew
        keys = self._relabelled() | self._acted_on(since - self._overlap)
        if not keys <= self._descriptions.keys():
            self._learn("closed")
        ours = of_family(family)
        return [key for key in sorted(keys) if ours.search(self._descriptions.get(key, ""))]

    def read(self, key: str, since: datetime | None) -> TicketReading | None:
        asked = {"fields": _FIELDS, "members": "true", "member_fields": "fullName"}
        send = partial(self._link.request, "GET", f"cards/{quoted_path(key)}", asked)
        parse = partial(self._reading, key)
        reading = unless_gone(partial(self._link.wire.ask, f"show {key}", send, parse), self._tracker.confirm_access)
        if reading is None:
            return None
        is_done = reading.ticket.state is TicketState.DONE
        return replace(
            reading,
            comments=self._comments(reading.ticket, None if since is None else since - self._overlap),
            resolution=self._with_author(key, reading.resolution) if reading.resolution is not None else None,
            duplicate_of=self._original_of(key) if is_done else "",
        )

    def _reading(self, key: str, card: Any) -> TicketReading:
        """Read a card without what hangs on it."""
        list_id, is_archived = id_in(card_of(key, card), "idList"), held_in(card, "closed")
        prove(isinstance(is_archived, bool), "does not say whether the card is archived")
        board = self._board.ids_with(list_id)
        state = TicketState.DONE if is_archived else board.states.get(list_id, TicketState.DOING)
        labels = [Resolution(id_in(each), str(held_in(each, "name"))) for each in rows_in(card, "labels")]
        members = [member_in(each) for each in rows_in(card, "members")]
        return TicketReading(
            ticket=Ticket(key, text_in(card, "shortUrl"), state, f"#{id_in(card, 'idShort')}"),
            resolution=self._resolution(board, list_id, labels, state),
            assignee=next(iter(members), None),
            labels=tuple(each.name for each in labels if each.name),
            changed=moment_in(card, "dateLastActivity"),
        )

    def _resolution(
        self, board: Board, list_id: str, labels: Sequence[Resolution], state: TicketState
    ) -> Resolution | None:
        """Take a label that means something; else, of a card that is done, its list, or that it was archived."""
        meant = next((each for each in labels if self._config.answers.kind_of(each) is not None), None)
        if meant is not None or state is not TicketState.DONE:
            return meant
        return Resolution(list_id, board.names[list_id]) if board.states.get(list_id) is state else _ARCHIVED

    def _with_author(self, key: str, resolution: Resolution) -> Resolution:
        """Add who moved or archived the card; who gave it a label is not told."""
        path = f"cards/{quoted_path(key)}/actions"
        closings = self._actions(path, _MOVES, None, partial(_closing_in, resolution))
        return next((each for each in closings if each is not None), resolution)

    def _comments(self, ticket: Ticket, since: datetime | None) -> tuple[Comment, ...]:
        parse = partial(_comment_in, ticket, self.me())
        said = list(self._actions(f"cards/{quoted_path(ticket.key)}/actions", "commentCard", since, parse))
        return tuple(reversed(said))

    def _original_of(self, key: str) -> str:
        """Return the id of the card that this one repeats, which is attached to it."""
        address = next((each.url for each in self._files.listed(key) if urldefrag(each.url).fragment == REPEATS), None)
        if address is None:
            return ""
        short = urlsplit(address).path.partition("/c/")[2].partition("/")[0]
        show = partial(self._link.get, f"show {short}", f"cards/{quoted_path(short)}", id_in, fields="id")
        return unless_gone(show, self._tracker.confirm_access) or ""

    def _acted_on(self, since: datetime) -> set[str]:
        """Return the ids of the cards on which something happened."""
        return set(self._actions(f"boards/{quoted_path(self._config.board)}/actions", _CHANGES, since, _card_in))

    def _relabelled(self) -> set[str]:
        """Return the ids of the open cards whose labels are others than at the last look."""
        before, self._labels = self._labels, self._learn("open")
        named = {name.casefold() for _, name in self._config.answers.names}
        return {
            key
            for key, labels in self._labels.items()
            if (labels != before[key] if key in before else not named.isdisjoint(labels))
        }

    def _learn(self, kind: str) -> dict[str, frozenset[str]]:
        """List cards with their labels' ids and names, and take note of their descriptions."""
        found = list(self._cards(kind))
        self._descriptions |= {each.key: each.description for each in found}
        return {each.key: each.labels for each in found}

    def _cards(self, kind: str) -> Iterator[_Card]:
        def fetch(before: str) -> tuple[list[_Card], str | None]:
            asked = {"fields": "desc,labels", "filter": kind, "limit": str(_PAGE)}
            page = self._link.get(
                "list the cards of the board",
                f"boards/{quoted_path(self._config.board)}/cards",
                lambda answer: [_labelled_card(each) for each in rows_in(answer)],
                **(asked | {"before": before} if before else asked),
            )
            return page, min(each.key for each in page) if len(page) >= _PAGE else None

        return each_page("Trello", fetch, "")

    def _actions(
        self, path: str, kinds: str, since: datetime | None, parse: Callable[[Mapping[str, Any]], T]
    ) -> Iterator[T]:
        """Yield what happened since then, newest first."""
        asked = {"filter": kinds, "limit": str(_PAGE)}
        if since is not None:
            asked["since"] = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

        def parse_page(answer: Any) -> tuple[list[T], str | None]:
            rows = rows_in(answer)
            prove(all(text_in(each, "type") in _KINDS for each in rows), "shows what was not asked for")
            return [parse(each) for each in rows], id_in(rows[-1]) if len(rows) >= _PAGE else None

        def fetch(before: str) -> tuple[list[T], str | None]:
            more = {"before": before} if before else {}
            return self._link.get("list what happened", path, parse_page, **asked, **more)

        return each_page("Trello", fetch, "")


def _labelled_card(card: Mapping[str, Any]) -> _Card:
    description = held_in(card, "desc")
    prove(isinstance(description, str), "shows cards without their description")
    labels = (str(each.get(name, "")).casefold() for each in rows_in(card, "labels") for name in ("id", "name"))
    return _Card(id_in(card), description, frozenset(labels))


def _card_in(action: Mapping[str, Any]) -> str:
    return id_in(object_in(object_in(action, "data"), "card"))


def _closing_in(resolution: Resolution, action: Mapping[str, Any]) -> Resolution | None:
    """Read who closed a card, where it was this way and by this action."""
    data = object_in(action, "data")
    is_archiving = resolution == _ARCHIVED and object_in(data, "card").get("closed") is True
    if not is_archiving and (data.get("listAfter") or {}).get("id") != resolution.id:
        return None
    return replace(resolution, by=_author_in(action), at=moment_in(action, "date"))


def _author_in(action: Mapping[str, Any]) -> Person:
    return member_in(action.get("memberCreator") or {"id": id_in(action, "idMemberCreator")})


def _comment_in(ticket: Ticket, me: Person, action: Mapping[str, Any]) -> Comment:
    data, comment_id, author = object_in(action, "data"), id_in(action), _author_in(action)
    prove(_card_in(action) == ticket.key, "shows a comment on another card")
    body = held_in(data, "text")
    prove(isinstance(body, str), "shows a comment without words")
    return Comment(
        comment_id=comment_id,
        author=author,
        created=moment_in(action, "date"),
        body=body,
        markup=Markup.MARKDOWN,
        mark=written_mark(body) if author.account == me.account else None,  # anybody may write such a line
        is_edited=bool(data.get("dateLastEdited")),
        url=f"{ticket.url}#comment-{comment_id}",
    )
