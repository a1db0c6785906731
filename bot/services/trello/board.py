"""What is known of a board: the ids behind the names of its lists and labels."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.domain.capabilities import TicketState
from bot.errors import MissingError
from bot.services.trello.config import ListNames, TrelloSection
from bot.services.trello.connection import TrelloConnection, TrelloList


@dataclass(frozen=True, slots=True)
class Board:
    """The ids behind names."""

    board_id: str
    states: Mapping[str, TicketState]  # by id of a list
    lists: Mapping[TicketState, str]
    names: Mapping[str, str]  # of all open lists, by their ids


class KnownBoard:
    """A board as it was learnt last; threads share it."""

    def __init__(self, link: TrelloConnection, config: TrelloSection) -> None:
        self._link = link
        self._config = config
        self._board: Board | None = None
        self._labels: dict[str, str] | None = None  # ids by name
        self._lock = threading.RLock()  # a label is made for a board that has to be known

    def ids(self) -> Board:
        """Learn the lists of the board; raises MissingError where one that config names is not there."""
        with self._lock:
            return self._board or self.ids_now()

    def ids_now(self) -> Board:
        """Learn the lists anew before a card is put into one: Trello puts it into an archived one without a word."""
        with self._lock:
            self._board = None  # where they cannot be learnt, the next one asks too
            self._board = _board_of(self._link.lists(), self._config)
            return self._board

    def ids_with(self, list_id: str) -> Board:
        """Learn the lists anew where the one of that id is not known yet: people may have made it meanwhile."""
        with self._lock:
            known = self.ids()
            return known if list_id in known.names else self.ids_now()

    def label(self, board: Board, name: str) -> str:
        """Return the id of a label, which is made where the board has none of that name."""
        with self._lock:
            if self._labels is None:
                self._labels = self._link.labels()
            if name not in self._labels:
                known, self._labels = self._labels, None  # a failure may have made it: then they are listed anew
                known[name] = self._link.make_label(board.board_id, name)
                self._labels = known
            return self._labels[name]

    def forget_labels(self) -> None:
        with self._lock:
            self._labels = None


def _board_of(found: Sequence[TrelloList], config: TrelloSection) -> Board:
    """Put ids behind the names; the cards of a list that says how they were closed are done too."""
    names = config.lists
    missing = missing_lists(found, names)
    if missing:
        wanted = ", ".join(f"{state} = {name!r}" for state, name in missing)
        there = ", ".join(repr(each.name) for each in found) or "none"
        raise MissingError(
            f"lists: the board has no open list for {wanted}; it has {there}. "
            "`herald doctor --fix` makes what is missing."
        )
    ids = {each.name: each.list_id for each in reversed(found)}  # of two of one name, the first on the board
    lists = {TicketState(state): ids[name] for state, name in names.model_dump().items()}
    closing = {name.casefold() for _, name in config.answers.names}
    closed = [each.list_id for each in found if not closing.isdisjoint({each.list_id.casefold(), each.name.casefold()})]
    states = {**dict.fromkeys(closed, TicketState.DONE), **{list_id: state for state, list_id in lists.items()}}
    return Board(found[0].board_id, states, lists, {each.list_id: each.name for each in found})


def missing_lists(found: Sequence[TrelloList], names: ListNames) -> list[tuple[str, str]]:
    """Return state and name of each list that config names and the board lacks."""
    there = {each.name for each in found}
    return [(state, name) for state, name in names.model_dump().items() if name not in there]
