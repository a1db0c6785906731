"""What people answer in the threads of Slack's messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from bot.domain.rules import Person
from bot.errors import AccountError, GoneError, PermanentError
from bot.ports import Comment, Posted, Speakers
from bot.services.clocks import CLOCKS_MAY_DIFFER
from bot.services.evidence import id_in, object_in, prove, text_in
from bot.services.last_seen import BRIEFLY, LastSeen
from bot.services.slack.answers import mark_of
from bot.services.slack.channels import Channels
from bot.services.slack.config import SlackSection
from bot.services.slack.connection import SlackConnection
from bot.services.slack.refusals import is_lacking_scope
from bot.services.slack.threads import thread_of
from bot.text.comment_lines import Markup

_SAID = {None, "bot_message", "file_share", "me_message", "thread_broadcast"}  # what else stands there nobody said
_OF_FULL_MEMBERS = ("deleted", "is_bot", "is_restricted", "is_ultra_restricted")  # all false


class SlackThreadAnswers:
    """A workspace of Slack as :class:`bot.ports.ThreadAnswers`."""

    def __init__(self, config: SlackSection) -> None:
        self._link = SlackConnection(config)
        self._channels = Channels(self._link)
        self._me: tuple[Person, str] | None = None  # and the id of our workspace
        self._users: LastSeen[Mapping[str, Any]] = LastSeen(BRIEFLY)

    def __repr__(self) -> str:
        return "SlackThreadAnswers()"

    def me(self) -> Person:
        return self._us()[0]

    def _us(self) -> tuple[Person, str]:
        if self._me is None:
            self._me = self._link.call(
                "say who we are",
                lambda client: client.auth_test(),
                lambda answer: (
                    Person(text_in(answer, "user_id"), str(answer.get("user") or ""), is_app=True),
                    text_in(answer, "team_id"),
                ),
            )
        return self._me

    def replies(self, posted: Posted, since: datetime | None) -> Sequence[Comment]:
        me = self.me()
        oldest = None if since is None else f"{(since - CLOCKS_MAY_DIFFER).timestamp():.6f}"
        try:
            thread = list(thread_of(self._link, self._channels, posted, oldest))
        except GoneError:
            return ()
        said = [each for each in thread if each["ts"] != posted.message_id and each.get("subtype") in _SAID]
        return [self._comment(posted, me, each) for each in said]

    def may_speak(self, person: Person, speakers: Speakers) -> bool:
        """Say whether config lists somebody, or else whether they are a full member of our own workspace."""
        if person.is_app or not person.account:
            return False
        if not speakers.is_open:
            return person.account in speakers.accounts
        user = self._user(person.account)
        is_full = all(user.get(name) is False for name in _OF_FULL_MEMBERS) and not user.get("is_stranger")
        return is_full and user.get("team_id") == self._us()[1]

    def _comment(self, posted: Posted, me: Person, message: Mapping[str, Any]) -> Comment:
        account, ts = str(message.get("user") or message.get("bot_id") or ""), str(message["ts"])
        is_app = any(message.get(name) for name in ("bot_id", "app_id")) or message.get("subtype") == "bot_message"
        author = me if account == me.account else Person(account, "" if is_app else self._name(account), is_app=is_app)
        return Comment(
            comment_id=ts,
            author=author,
            created=datetime.fromtimestamp(float(ts), UTC),
            body=str(message.get("text") or ""),
            markup=Markup.MRKDWN,
            mark=mark_of(message) if author == me else None,
            is_edited=bool(message.get("edited")),
            url=_permalink(posted, ts),
        )

    def _name(self, account: str) -> str:
        user = self._user(account)
        return str(user.get("real_name") or user.get("name") or "")

    def _user(self, account: str) -> Mapping[str, Any]:
        """Show somebody; nothing, where Slack does not let us see who they are."""
        known = self._users.see(account)
        if known is None:
            known = {}
            try:
                known = self._link.call(
                    f"show who {account} is", lambda client: client.users_info(user=account), partial(_user_in, account)
                )
            except PermanentError:
                pass  # nobody of that id
            except AccountError as error:
                if not is_lacking_scope(error):
                    raise
            self._users.keep(account, known)
        return known


def _user_in(account: str, answer: Any) -> Mapping[str, Any]:
    user = object_in(answer, "user")
    prove(id_in(user) == account, "shows somebody else")
    return user


def _permalink(posted: Posted, ts: str) -> str:
    """Return the address of a reply, made of that of the message."""
    if not posted.url:
        return ""
    place = posted.url.partition("?")[0].rpartition("/")[0]
    return f"{place}/p{ts.replace('.', '')}?thread_ts={posted.message_id}&cid={posted.channel}"
