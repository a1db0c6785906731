"""The threads of messages, as the chat looks for what it said in them, and as others answer there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bot.ports import Posted
from bot.services.evidence import prove
from bot.services.paging import each_page
from bot.services.slack.answers import messages_in, next_page
from bot.services.slack.channels import Channels
from bot.services.slack.connection import SlackConnection

_PAGE = 100


def thread_of(
    link: SlackConnection, channels: Channels, posted: Posted, oldest: str | None = None
) -> Iterator[Mapping[str, Any]]:
    """Yield the message and what was said and shown below it since *oldest*, in that order."""
    channel_id = channels.id_of(posted.channel)

    def fetch(cursor: str) -> tuple[list[Mapping[str, Any]], str | None]:
        return link.call(
            f"show the thread of {posted.message_id} in {posted.channel}",
            lambda client: client.conversations_replies(
                channel=channel_id,
                ts=posted.message_id,
                cursor=cursor or None,
                limit=_PAGE,
                oldest=oldest,
                include_all_metadata=True,
            ),
            lambda answer: (_of_thread(posted.message_id, messages_in(answer)), next_page(answer)),
        )

    return each_page("Slack", fetch, "")


def _of_thread(ts: str, messages: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    strangers = [each for each in messages if each.get("thread_ts", each["ts"]) != ts]
    prove(not strangers, "shows messages of another thread")
    return messages
