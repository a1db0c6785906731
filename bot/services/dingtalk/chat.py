"""DingTalk: an app's cards, each known by an outTrackId of ours, under which it is edited and never made twice."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from bot.domain.capabilities import ChatCapabilities, Promise, TextForm
from bot.domain.message import MessageDocument
from bot.domain.rate_limits import Allowance
from bot.errors import MissingError, Reach
from bot.ports import Posted, Right
from bot.services.dingtalk.config import DingtalkSection
from bot.services.dingtalk.connection import DingtalkConnection
from bot.services.dingtalk.markdown import build_markdown
from bot.services.evidence import held_in, object_in, prove, text_in
from bot.services.posting import PostingOnly
from bot.services.refusals import about_us, with_advice
from bot.text.escape import to_plain

_WORDS = 400  # characters of DingTalk's own words that an error repeats
_GROUP = "dtv1.card//IM_GROUP."


class DingtalkChat(PostingOnly):
    """An app of DingTalk as :class:`bot.ports.Chat`; a channel is a group's openConversationId, `cid…`."""

    who = "DingTalk's app"

    def __init__(self, config: DingtalkSection) -> None:
        self._config = config
        self._link = DingtalkConnection(config)

    def __repr__(self) -> str:
        return "DingtalkChat()"

    @property
    def text_form(self) -> TextForm:
        return self._config.text_form

    @property
    def capabilities(self) -> ChatCapabilities:
        return self._config.capabilities

    @property
    def promise(self) -> Promise:
        """Send again what may have been sent: there is one card of an outTrackId."""
        return Promise.KEYED

    @property
    def allowance(self) -> Allowance | None:
        return self._link.allowance

    def confirm_access(self, right: Right | None = None) -> None:
        del right  # a permission that is missing says so itself
        with about_us():
            self._link.say_who_we_are()

    def post(self, channel: str, mark: str, document: MessageDocument) -> Posted:
        track = track_id(channel, mark)
        body = {
            "cardTemplateId": self._config.card_template,
            "outTrackId": track,
            "cardData": self._card_data(document),
            "openSpaceId": f"{_GROUP}{channel}",
            "imGroupOpenSpaceModel": {"supportForward": True},
            "imGroupOpenDeliverModel": {"robotCode": self._config.robot_code or self._config.app_key},
        }
        path = "card/instances/createAndDeliver"
        self._link.call(f"post to {channel}", "POST", path, lambda said: _check_delivered(said, track, channel), body)
        return Posted(channel, track)

    def edit(self, posted: Posted, mark: str, document: MessageDocument) -> None:
        del mark
        body = {
            "outTrackId": posted.message_id,
            "cardData": self._card_data(document),
            "cardUpdateOptions": {"updateCardDataByKey": True},
        }
        self._link.call(f"edit the card {posted.message_id}", "PUT", "card/instances", _check_edited, body)

    def _card_data(self, document: MessageDocument) -> dict[str, Any]:
        said = build_markdown(document, self.capabilities.budget)
        return {"cardParamMap": {"title": said.title, "markdown": said.text}}

    def has_moved(self, channel: str, posted: Posted) -> bool:
        return channel != posted.channel


def track_id(channel: str, mark: str) -> str:
    """Name the card of a mark in a group, the same each time."""
    return f"herald-{hashlib.sha256(f'{channel} {mark}'.encode()).hexdigest()[:32]}"


def _check_delivered(said: Mapping[str, Any], track: str, channel: str) -> None:
    """Let the answer prove that the card is in the group: it may be made and yet not be shown there."""
    prove(held_in(said, "success") is True, "does not say that it was done")
    result = object_in(said, "result")
    prove(text_in(result, "outTrackId") == track, "is about another card")
    for each in result.get("deliverResults") or ():
        if isinstance(each, Mapping) and each.get("success") is False:
            words = to_plain(str(each.get("errorMsg") or "it does not say why"))[:_WORDS]
            refused = f"DingTalk did not post to {channel}: {words}"
            raise MissingError(with_advice(refused, "Add the app's robot to the group."), reach=Reach.CHANNEL)


def _check_edited(said: Mapping[str, Any]) -> None:
    prove(held_in(said, "success") is True, "does not say that it was done")
