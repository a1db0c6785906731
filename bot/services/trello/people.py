"""Who people are to a Trello, and who of them may give commands on a board."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.domain.rules import Person
from bot.errors import AccountError, PermanentError
from bot.ports import Speakers
from bot.services.evidence import id_in, rows_in, text_in
from bot.services.last_seen import BRIEFLY, LastSeen
from bot.services.trello.config import MEMBERS, TrelloSection
from bot.services.trello.connection import TrelloConnection, quoted_path

_UNTOLD = {401, 403, 404}  # how Trello refuses to show who is on a board
_ALL = "all"


def member_in(member: Any) -> Person:
    """Read somebody; Trello does not tell an app from the person who let it in."""
    return Person(id_in(member), str(member.get("fullName") or member.get("username") or ""))


class TrelloPeople:
    """Tells whether somebody may give commands: no, wherever Trello does not say so for certain."""

    def __init__(self, config: TrelloSection, link: TrelloConnection) -> None:
        self._config = config
        self._link = link
        self._known: LastSeen[Mapping[str, str]] = LastSeen(BRIEFLY)  # kinds of the board's members by their ids
        self._me: Person | None = None

    def me(self) -> Person:
        if self._me is None:
            self._me = self._link.get("say who we are", "members/me", member_in)
        return self._me

    def may_speak(self, person: Person, speakers: Speakers) -> bool:
        if person.is_app or not person.account:
            return False
        if person.account in speakers.accounts:
            return True
        if not speakers.is_open and not speakers.roles:
            return False
        kinds = self._known.see(_ALL)
        if kinds is None:
            kinds = self.kinds()
            self._known.keep(_ALL, kinds)
        return kinds.get(person.account) in (speakers.roles or MEMBERS)

    def kinds(self) -> Mapping[str, str]:
        """List the board's members, without those who left or were only invited; nobody, where they are not shown."""
        try:
            return self._link.get(
                "list the members of the board",
                f"boards/{quoted_path(self._config.board)}",
                _kinds_in,
                fields="name",
                memberships=_ALL,
            )
        except (PermanentError, AccountError) as error:
            if error.status in _UNTOLD:
                return {}
            raise


def _kinds_in(board: Any) -> dict[str, str]:
    return {
        id_in(each, "idMember"): text_in(each, "memberType")
        for each in rows_in(board, "memberships")
        if each.get("deactivated") is False and each.get("unconfirmed") is False
    }
