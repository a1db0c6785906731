"""Trello, over its REST API: a card is a ticket, its list the state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urldefrag

from bot.domain.capabilities import TextForm, TicketState
from bot.domain.rate_limits import Allowance
from bot.errors import AccountError, FieldsRefusedError, MissingError, PermanentError, own_words
from bot.ports import Attachment, MarkedTicket, RemoteLink, Right, Ticket, TicketDraft
from bot.services.evidence import held_in, id_in, moment_in, prove, text_in
from bot.services.paging import each_page
from bot.services.refusals import about_us, unless_gone
from bot.services.trello.answers import (
    REPEATS,
    card_of,
    cards_of,
    check_comment,
    check_member,
    looks_on_only,
    mark_line,
    members_of,
    of_family,
    texts_of,
    whole,
)
from bot.services.trello.board import Board, KnownBoard
from bot.services.trello.card_files import CardFiles
from bot.services.trello.config import TrelloSection
from bot.services.trello.connection import TrelloConnection, quoted_path

_PAGE = 1_000
_BAD_REQUEST = 400
_MEMBERS, _LABELS = "idMembers", "idLabels"  # name what was refused of a card
_CARD_FIELDS = "idList,closed,idShort,shortUrl"


class TrelloTracker:
    """A board of Trello as :class:`bot.ports.Tracker`.

    Trello keeps nothing of ours out of sight, so a card carries its marker at the end of its description, a comment its
    mark in its last line, a link its identity behind the `#` of its address.
    """

    def __init__(self, config: TrelloSection, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._config = config
        self._clock = clock
        self._link = TrelloConnection(config)
        self._files = CardFiles(self._link)
        self._board = KnownBoard(self._link, config)

    def __repr__(self) -> str:
        return f"TrelloTracker(board={self._config.board!r})"

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
        with about_us():
            self._link.who()
        with about_us(what_config_names=True):
            board = self._link.board()
        if board.get("closed"):
            raise MissingError(f"board: {board.get('name')} is closed; open it again in Trello, or name another.")
        if right is not None and looks_on_only(board):
            raise AccountError("Trello lets our account only look on: make it a normal member of the board.")

    def find(self, marker: str) -> Ticket | None:
        """Look through all cards of the board, archived ones too; the oldest open one wins where several carry it."""
        board, ours = self._board.ids(), whole(marker)
        cards = sorted((card for card in self._cards() if ours.search(card["desc"])), key=lambda card: str(card["id"]))
        found = [self._ticket(board, card) for card in cards]
        opened = next((each for each in found if each.state is not TicketState.DONE), None)
        return opened or next((each for each in found if not self.is_duplicate(each.key)), None)

    def is_duplicate(self, key: str) -> bool:
        """Say whether a closed card is attached the one that it repeats."""
        card = self._card(key, "idList,closed")
        is_done = self._state(self._board.ids(), card) is TicketState.DONE
        return is_done and any(urldefrag(each.url).fragment == REPEATS for each in self._files.listed(key))

    def due(self, key: str) -> date | None:
        """Return when the card is due; none that people have marked as complete is."""
        card = self._card(key, "due,dueComplete,idList,closed,shortLink")
        is_done = card["dueComplete"] is True or self._state(self._board.ids(), card) is TicketState.DONE
        return None if is_done or card["due"] is None else moment_in(card, "due")

    def marked(self, family: str) -> Sequence[MarkedTicket]:
        ours, board = of_family(family), self._board.ids()
        cards = sorted(self._cards(), key=lambda card: str(card["id"]))
        found = ((ours.search(card["desc"]), card) for card in cards)
        return [MarkedTicket(marker[0], self._ticket(board, card)) for marker, card in found if marker]

    def read(self, key: str) -> Ticket | None:
        send = partial(self._link.request, "GET", f"cards/{quoted_path(key)}", {"fields": _CARD_FIELDS})
        show = partial(
            self._link.wire.ask,
            f"show {key}",
            send,
            lambda card: self._ticket(self._board.ids_with(id_in(card_of(key, card), "idList")), card),
        )
        return unless_gone(show, self.confirm_access)

    def create(self, marker: str, draft: TicketDraft) -> Ticket:
        """Add the card on top of its list; priority and components, which a card has no place for, become labels.

        Labels whose ids Trello no longer knows are learnt anew, once.
        """
        board = self._board.ids_now()
        try:
            return self._create(board, marker, draft)
        except PermanentError as error:
            if error.status != _BAD_REQUEST or _LABELS not in str(error):
                raise
        self._board.forget_labels()
        return self._create(board, marker, draft)

    def _create(self, board: Board, marker: str, draft: TicketDraft) -> Ticket:
        names = [*draft.labels, *draft.components, *([draft.priority] if draft.priority else [])]
        labels = [self._board.label(board, name) for name in dict.fromkeys(names)]
        arguments = {
            "idList": board.lists[TicketState.TODO],
            "name": " ".join(draft.title.split()),
            "desc": _with_marker(draft.body, marker),
            "pos": "top",
        }
        if labels:
            arguments["idLabels"] = ",".join(labels)
        if draft.assignee:
            arguments["idMembers"] = draft.assignee
        if self._config.due is not None:
            arguments["due"] = (self._clock() + self._config.due).astimezone(UTC).date().isoformat()

        def parse(card: Any) -> Ticket:
            prove(id_in(card, "idList") == arguments["idList"], "shows a card of another list")
            prove(whole(marker).search(text_in(card, "desc")) is not None, "shows another card")
            return self._ticket(board, card)

        send = partial(self._link.request, "POST", "cards", arguments)
        try:
            made = self._link.wire.ask("create the card", send, parse, write=True)
        except PermanentError as error:
            if draft.assignee is None or error.status != _BAD_REQUEST or _MEMBERS not in str(error):
                raise
            refused = {"assignee": own_words(error)}
            values = {"assignee": draft.assignee}
            raise FieldsRefusedError(str(error), values=values, fields=refused, status=error.status) from error
        self._files.know(made.key, ())
        return made

    def comment(self, key: str, mark: str, body: str) -> None:
        arguments = {"text": body + mark_line(mark)}
        send = partial(self._link.request, "POST", f"cards/{quoted_path(key)}/actions/comments", arguments)
        self._link.wire.ask(f"comment on {key}", send, partial(check_comment, key, mark), write=True)

    def has_comment(self, key: str, mark: str) -> bool:
        def fetch(page: int) -> tuple[list[str], int | None]:
            arguments = {"filter": "commentCard", "limit": str(_PAGE), "page": str(page)}
            send = partial(self._link.request, "GET", f"cards/{quoted_path(key)}/actions", arguments)
            texts = self._link.wire.ask(f"list the comments of {key}", send, partial(texts_of, key))
            return texts, page + 1 if len(texts) >= _PAGE else None

        return any(text.rstrip().endswith(mark_line(mark)) for text in each_page("Trello", fetch, 0))

    def move(self, key: str, state: TicketState) -> None:
        board = self._board.ids_now()
        card = self._card(key, "idList,closed")
        archived = state is TicketState.DONE and self._config.archive
        if self._state(board, card) is state and card["closed"] is archived:
            return
        arguments = {"idList": board.lists[state], "closed": "true" if archived else "false"}

        def check(answer: Any) -> None:
            moved = card_of(key, answer)
            there = (id_in(moved, "idList"), held_in(moved, "closed"))
            prove(there == (arguments["idList"], archived), "shows the card elsewhere")

        send = partial(self._link.request, "PUT", f"cards/{quoted_path(key)}", arguments)
        self._link.wire.ask(f"move {key}", send, check, write=True)

    def assign(self, key: str, account: str) -> None:
        """Add somebody to the card; who is on it stays."""
        show = partial(self._link.request, "GET", f"cards/{quoted_path(key)}", {"fields": "idMembers"})
        if account in self._link.wire.ask(f"show who is on {key}", show, partial(members_of, key)):
            return
        send = partial(self._link.request, "POST", f"cards/{quoted_path(key)}/idMembers", {"value": account})
        self._link.wire.ask(f"assign {key}", send, partial(check_member, account), write=True)

    def close_duplicate(self, key: str, original: Ticket) -> None:
        address = f"{urldefrag(original.url).url}#{REPEATS}"
        self.link(key, RemoteLink(f"duplicate-of-{original.key}", address, original.name or original.key))
        self.move(key, TicketState.DONE)

    def link(self, key: str, link: RemoteLink) -> None:
        self._files.link(key, link)

    def attach(self, key: str, attachment: Attachment) -> None:
        self._files.attach(key, attachment)

    def forget(self, key: str) -> None:
        self._files.forget(key)

    def _cards(self) -> Iterator[Mapping[str, Any]]:
        """Yield every card of the board, the newest page first."""

        def fetch(before: str) -> tuple[list[Mapping[str, Any]], str | None]:
            arguments = {"fields": f"{_CARD_FIELDS},desc", "filter": "all", "limit": str(_PAGE)}
            if before:
                arguments["before"] = before
            path = f"boards/{quoted_path(self._config.board)}/cards"
            send = partial(self._link.request, "GET", path, arguments)
            page = self._link.wire.ask("list the cards of the board", send, cards_of)
            return page, min(card["id"] for card in page) if len(page) >= _PAGE else None

        return each_page("Trello", fetch, "")

    def _card(self, key: str, fields: str) -> Mapping[str, Any]:
        send = partial(self._link.request, "GET", f"cards/{quoted_path(key)}", {"fields": fields})
        return self._link.wire.ask(
            f"show {key}", send, lambda card: {name: held_in(card_of(key, card), name) for name in fields.split(",")}
        )

    def _ticket(self, board: Board, card: Mapping[str, Any]) -> Ticket:
        name = f"#{id_in(card, 'idShort')}"
        return Ticket(id_in(card), text_in(card, "shortUrl"), self._state(board, card), name)

    def _state(self, board: Board, card: Mapping[str, Any]) -> TicketState:
        """Read the state off the list: one of people's own is work in progress, an archived card is done."""
        closed = held_in(card, "closed")
        prove(isinstance(closed, bool), "does not say whether the card is archived")
        return TicketState.DONE if closed else board.states.get(id_in(card, "idList"), TicketState.DOING)


def _with_marker(text: str, marker: str) -> str:
    """Let a description hold its marker: our template says it in a sentence, a team's own may not."""
    return text if f"`{marker}`" in text else text + mark_line(marker)
