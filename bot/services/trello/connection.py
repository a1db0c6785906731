"""The connection to Trello: its REST API, and the questions that the tracker and the doctor share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import requests

from bot.services.evidence import id_in, rows_in, text_in
from bot.services.http import Wire, make_session
from bot.services.refusals import Service
from bot.services.trello.answers import board_in, made_named, member_name
from bot.services.trello.config import TrelloSection

_LONGEST_ADDRESS = 6_000  # characters of arguments in it; gateways refuse more than about 8,000
_MOST_LABELS = 1_000
_COLOUR = "sky"  # of the labels that we make
_ADVICE = {
    401: "Check key and token of the tracker, and that the token's account is a member of the board with write access.",
    403: "Check that the token's account is a member of the board with write access.",
    404: "Check board, and that the token's account may see it: Trello hides what it does not permit.",
}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TrelloList:
    list_id: str
    name: str
    board_id: str


class TrelloConnection:
    """The connection to Trello, which the tracker and the doctor use."""

    def __init__(self, config: TrelloSection) -> None:
        self._config = config
        self.wire = Wire(
            Service(
                "Trello",
                config.base,
                config.timeout.total_seconds(),
                advice=_ADVICE,
                secrets=(config.key, config.token),
                refuses_things_by_401=True,
            )
        )
        self._session = _make_session(config)

    def get(self, doing: str, path: str, parse: Callable[[Any], T], **params: str) -> T:
        return self.wire.ask(doing, partial(self.request, "GET", path, params), parse)

    def who(self) -> str:
        """Ask who we are."""
        return self.get("say who we are", "members/me", member_name)

    def board(self) -> Mapping[str, Any]:
        """Show the board with our membership, where our account may see it."""
        path = f"boards/{quoted_path(self._config.board)}"
        return self.get("show the board", path, board_in, fields="name,closed", memberships="me")

    def lists(self) -> list[TrelloList]:
        """List the board's open lists, from left to right."""
        return self.get(
            "list the board's lists",
            f"boards/{quoted_path(self._config.board)}/lists",
            lambda answer: [
                TrelloList(id_in(each), text_in(each, "name"), id_in(each, "idBoard")) for each in rows_in(answer)
            ],
            filter="open",
        )

    def labels(self) -> dict[str, str]:
        """Return the ids of the board's labels by their names."""
        return self.get(
            "list the board's labels",
            f"boards/{quoted_path(self._config.board)}/labels",
            lambda answer: {str(each["name"]): id_in(each) for each in rows_in(answer)},  # one of colour alone has none
            limit=str(_MOST_LABELS),
        )

    def make_label(self, board_id: str, name: str) -> str:
        """Make a label and return its id; nothing else leans on it yet, so a doubtful end does no harm."""
        arguments = {"name": name, "color": _COLOUR, "idBoard": board_id}
        send = partial(self.request, "POST", "labels", arguments)
        return self.wire.ask(f"make the label {name}", send, partial(made_named, name))

    def make_list(self, board_id: str, name: str) -> str:
        """Make a list at the right end of the board and return its id."""
        send = partial(self.request, "POST", "lists", {"name": name, "idBoard": board_id, "pos": "bottom"})
        return self.wire.ask(f"make the list {name}", send, partial(made_named, name), write=True)

    def request(
        self, method: str, path: str, arguments: Mapping[str, str] | None = None, *, files: Any = None
    ) -> requests.Response:
        """Send one request; arguments stand in its address as Trello describes them, but long text in its body."""
        inside, body = dict(arguments or {}), {}
        while len(urlencode(inside)) > _LONGEST_ADDRESS:
            longest = max(inside, key=lambda name: len(inside[name]))
            body[longest] = inside.pop(longest)
        return self._session.request(
            method,
            f"{self._config.base}/{path}",
            params=inside,
            json=body or None,
            files=files,
            timeout=self._config.timeout.total_seconds(),
            verify=self._session.verify,
        )


def _make_session(config: TrelloSection) -> requests.Session:
    """Build a session that names its credentials in a header, never in an address."""
    key, token = config.key.get_secret_value(), config.token.get_secret_value()
    session = make_session(config.ca_file)
    session.headers["Authorization"] = f'OAuth oauth_consumer_key="{key}", oauth_token="{token}"'
    return session


def quoted_path(part: str) -> str:
    return quote(part, safe="")
