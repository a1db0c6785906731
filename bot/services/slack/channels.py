"""The ids behind channels' names, which are all that reading and editing take; asked for as scopes allow."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from bot.errors import AccountError, MissingError, Reach
from bot.services.evidence import rows_in, text_in
from bot.services.paging import each_page
from bot.services.slack.refusals import advice_for, is_lacking_scope, is_of_a_gone_channel

if TYPE_CHECKING:
    from bot.services.slack.connection import SlackConnection

T = TypeVar("T")

_PAGE = 200
_ID = re.compile(r"[CDG][A-Z0-9]{7,}")
_BOTH, _PUBLIC, _PRIVATE = "public_channel,private_channel", "public_channel", "private_channel"
_NEEDS = {_PUBLIC: "groups:read for private ones", _PRIVATE: "channels:read for public ones"}


def is_channel_id(channel: str) -> bool:
    """Tell an id, C0123456789, from a name."""
    return _ID.fullmatch(channel) is not None


class Channels:
    """Finds channels by name, each once."""

    def __init__(self, link: SlackConnection) -> None:
        self._link = link
        self._ids: dict[str, str] = {}

    def keep(self, channel: str, channel_id: str) -> None:
        """Take note of the id that an answer gave for a channel."""
        self._ids[channel] = channel_id

    def id_of(self, channel: str) -> str:
        """Return the id of a channel; raises AccountError where the app is shown none of that name, or no list."""
        if is_channel_id(channel):
            return channel
        if channel not in self._ids:
            self._ids[channel] = self._look_up(channel.removeprefix("#"))
        return self._ids[channel]

    def in_channel(self, channel: str, act: Callable[[str], T]) -> T:
        """Act by a channel's id; where that answers as gone, once more by the id that its name stands for now."""
        channel_id = self.id_of(channel)
        try:
            return act(channel_id)
        except AccountError as error:
            if not is_of_a_gone_channel(error) or self.learn_anew(channel) == channel_id:
                raise
        return act(self.id_of(channel))

    def learn_anew(self, channel: str) -> str:
        """Return the id that a channel's name stands for now."""
        self._ids.pop(channel, None)
        return self.id_of(channel)

    def _look_up(self, name: str) -> str:
        """Look through the channels of both kinds, or of the one kind that the app's scopes let it list."""
        refused: AccountError | None = None
        for kinds in (_BOTH, _PUBLIC, _PRIVATE):
            try:
                found = self._listed(name, kinds)
            except AccountError as error:
                if not is_lacking_scope(error):
                    raise
                refused = refused or error
                continue
            if found is None:
                raise _unseen(name, _NEEDS.get(kinds))
            return found
        assert refused is not None  # only a refusal leads here
        raise AccountError(
            f"{refused} Or name the channel {name!r} by its id, which takes no list.",
            reach=Reach.EFFECT,
            fields=refused.fields,
        )

    def _listed(self, name: str, kinds: str) -> str | None:
        def fetch(cursor: str) -> tuple[list[tuple[str, str]], str | None]:
            return self._link.call(
                f"find the channel {name}",
                lambda client: client.conversations_list(
                    cursor=cursor or None, limit=_PAGE, types=kinds, exclude_archived=True
                ),
                lambda answer: (
                    [(text_in(each, "name"), text_in(each, "id")) for each in rows_in(answer, "channels")],
                    (answer.get("response_metadata") or {}).get("next_cursor") or None,
                ),
            )

        return next((channel_id for found, channel_id in each_page("Slack", fetch, "") if found == name), None)


def _unseen(name: str, needed: str | None) -> MissingError:
    """Build the error for a name that is not in the list, which may lack what the app has no scope for."""
    said = f"Slack shows the app no channel named {name!r}. {advice_for('channel_not_found')}"
    if needed is None:
        return MissingError(said, reach=Reach.CHANNEL, fields={"error": "channel_not_found"})
    said += f" It lists only one kind of channel without {needed}; or name the channel by its id."
    return MissingError(said, reach=Reach.EFFECT, fields={"error": "channel_not_found"})
