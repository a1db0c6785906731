"""Slack: the Web API through slack_sdk's client."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from bot.domain.capabilities import ChatCapabilities, Promise, TextForm
from bot.domain.message import MessageDocument
from bot.domain.rate_limits import Allowance
from bot.errors import PermanentError, RetryableError
from bot.ports import Attachment, MarkedMessage, Posted, Right
from bot.services.block_kit import Message, build_message
from bot.services.evidence import text_in
from bot.services.paging import each_page
from bot.services.refusals import about_us
from bot.services.slack.answers import (
    EVENT,
    check_edited,
    check_reply,
    check_shared,
    mark_of,
    messages_in,
    next_page,
    posted_in,
    who_in,
)
from bot.services.slack.channels import Channels, is_channel_id
from bot.services.slack.config import SlackSection
from bot.services.slack.connection import SlackConnection
from bot.services.slack.threads import thread_of
from bot.text.escape import to_slack

_HISTORY_PAGE = 100
_CLOCKS_DIFFER = timedelta(minutes=5)  # our clock may be ahead of Slack's; a mark is unique, so looking further is safe


class SlackChat:
    """A workspace of Slack as :class:`bot.ports.Chat`."""

    def __init__(self, config: SlackSection) -> None:
        self._config = config
        self._link = SlackConnection(config)
        self._channels = Channels(self._link)
        self._permalinks: str | None = None  # what all addresses of messages start with

    def __repr__(self) -> str:
        return "SlackChat()"

    @property
    def text_form(self) -> TextForm:
        return self._config.text_form

    @property
    def capabilities(self) -> ChatCapabilities:
        return self._config.capabilities

    @property
    def promise(self) -> Promise:
        return Promise.ONCE

    @property
    def allowance(self) -> Allowance | None:
        return self._link.allowance

    def confirm_access(self, right: Right | None = None) -> None:
        del right  # a scope that is missing says so itself
        with about_us():
            self._link.call("say who we are", lambda client: client.auth_test(), who_in)

    def post(self, channel: str, mark: str, document: MessageDocument) -> Posted:
        message = build_message(document)
        channel_id, ts = self._link.call(
            f"post to {channel}",
            lambda client: client.chat_postMessage(
                channel=channel, unfurl_links=False, unfurl_media=False, **_arguments(mark, message)
            ),
            partial(posted_in, channel if is_channel_id(channel) else None, mark),
            write=True,
        )
        self._channels.keep(channel, channel_id)
        return Posted(channel_id, ts, self._permalink(channel_id, ts))

    def edit(self, posted: Posted, mark: str, document: MessageDocument) -> None:
        message = build_message(document)
        channel_id = self._channels.id_of(posted.channel)
        # what an edit leaves out stays as it was, so an absent bar is taken away by an empty list
        arguments = {"attachments": [], **_arguments(mark, message)}
        self._link.call(
            f"edit the message {posted.message_id} in {posted.channel}",
            lambda client: client.chat_update(channel=channel_id, ts=posted.message_id, **arguments),
            partial(check_edited, channel_id, posted.message_id),
            write=True,
        )

    def find(self, channel: str, mark: str, since: datetime) -> Posted | None:
        return self._channels.in_channel(channel, lambda channel_id: self._found(channel_id, mark, since))

    def _found(self, channel_id: str, mark: str, since: datetime) -> Posted | None:
        for ts, found in self._history(channel_id, since):
            if found == mark:
                return Posted(channel_id, ts, self._permalink(channel_id, ts))
        return None

    def has_moved(self, channel: str, posted: Posted) -> bool:
        return self._channels.learn_anew(channel) != posted.channel

    def marked(self, channel: str, since: datetime) -> Sequence[MarkedMessage]:
        return self._channels.in_channel(channel, lambda channel_id: self._marked(channel_id, since))

    def _marked(self, channel_id: str, since: datetime) -> Sequence[MarkedMessage]:
        ours = sorted((ts, mark) for ts, mark in self._history(channel_id, since) if mark is not None)
        return [MarkedMessage(mark, Posted(channel_id, ts, self._permalink(channel_id, ts))) for ts, mark in ours]

    def reply(self, posted: Posted, mark: str, document: MessageDocument) -> None:
        message = build_message(document)
        channel_id = self._channels.id_of(posted.channel)
        self._link.call(
            f"answer the message {posted.message_id} in {posted.channel}",
            lambda client: client.chat_postMessage(
                channel=channel_id,
                thread_ts=posted.message_id,
                unfurl_links=False,
                unfurl_media=False,
                **_arguments(mark, message),
            ),
            partial(check_reply, channel_id, posted.message_id, mark),
            write=True,
        )

    def has_reply(self, posted: Posted, mark: str) -> bool:
        return any(mark_of(each) == mark for each in thread_of(self._link, self._channels, posted))

    def share(self, posted: Posted, attachment: Attachment) -> None:
        shown = (file for each in thread_of(self._link, self._channels, posted) for file in each.get("files") or ())
        size = len(attachment.content)
        if any(file.get("name") == attachment.filename and file.get("size") in (None, size) for file in shown):
            return
        address, file_id = self._link.call(
            f"take the file {attachment.filename}",
            lambda client: client.files_getUploadURLExternal(
                filename=attachment.filename, length=len(attachment.content), alt_txt=attachment.alt or None
            ),
            lambda answer: (text_in(answer, "upload_url"), text_in(answer, "file_id")),
        )
        self._link.upload(address, attachment)
        channel_id = self._channels.id_of(posted.channel)
        self._link.call(
            f"show the file {attachment.filename} in {posted.channel}",
            lambda client: client.files_completeUploadExternal(
                files=[{"id": file_id, "title": attachment.filename}],
                channel_id=channel_id,
                thread_ts=posted.message_id,
                initial_comment=to_slack(attachment.caption) or None,
            ),
            partial(check_shared, file_id),
            write=True,
        )

    def _history(self, channel_id: str, since: datetime) -> Iterator[tuple[str, str | None]]:
        """Yield what was posted since then, each message with its mark, newest first."""
        oldest = f"{(since - _CLOCKS_DIFFER).timestamp():.6f}"

        def fetch(cursor: str) -> tuple[list[tuple[str, str | None]], str | None]:
            return self._link.call(
                f"show what was posted to {channel_id}",
                lambda client: client.conversations_history(
                    channel=channel_id,
                    cursor=cursor or None,
                    oldest=oldest,
                    limit=_HISTORY_PAGE,
                    include_all_metadata=True,
                    inclusive=True,
                ),
                lambda answer: ([(each["ts"], mark_of(each)) for each in messages_in(answer)], next_page(answer)),
            )

        return each_page("Slack", fetch, "")

    def _permalink(self, channel_id: str, ts: str) -> str:
        end = f"{channel_id}/p{ts.replace('.', '')}"
        if self._permalinks is None:
            try:
                address = self._link.call(
                    "give the address of a message",
                    lambda client: client.chat_getPermalink(channel=channel_id, message_ts=ts),
                    lambda answer: text_in(answer, "permalink"),
                )
            except (PermanentError, RetryableError):
                return ""  # the message stands; an address is a convenience that must not undo that
            if not address.endswith(end):
                return address
            self._permalinks = address.removesuffix(end)
        return self._permalinks + end


def _arguments(mark: str, message: Message) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "text": message.text,
        "blocks": list(message.blocks),
        "metadata": {"event_type": EVENT, "event_payload": {"mark": mark}},
    }
    if message.attachments:
        arguments["attachments"] = list(message.attachments)
    return arguments
