"""WeCom: the webhook of a group's robot.

Its numbers: developer.work.weixin.qq.com/document/path/90313; 93000, 93004 and 93008 as clients in Go and Python carry
that table, 45009 and 93000 also as answers that others met.
"""

from __future__ import annotations

from collections.abc import Mapping

from bot.domain.message import MessageDocument
from bot.ports import Posted
from bot.services.coded_refusals import Coded, Meaning, refusal_by_code
from bot.services.evidence import json_in, number_in
from bot.services.hook_chats import HookChat
from bot.services.refusals import Answer
from bot.services.wecom.config import WecomSection
from bot.services.wecom.markdown import build_markdown

CODES: Mapping[int | str, Coded] = {
    -1: Coded(Meaning.BUSY, "WeCom is busy."),
    40008: Coded(Meaning.KIND, "The robot takes no Markdown."),
    45009: Coded(Meaning.BUSY, "A robot takes 20 messages a minute.", wait=60.0),
    45033: Coded(Meaning.BUSY, "Too much at once.", wait=60.0),
    93000: Coded(Meaning.MISSING, "Check webhook_url: the robot was removed from its group."),
    93004: Coded(Meaning.ACCOUNT, "The robot was disabled: ask an administrator."),
    93008: Coded(Meaning.MISSING, "The robot is no longer in the group."),
}


class WecomChat(HookChat):
    """A group's robot as :class:`bot.ports.Chat`."""

    who = "A robot of WeCom"

    def __init__(self, config: WecomSection) -> None:
        super().__init__("WeCom's robot", config, {})

    def post(self, channel: str, mark: str, document: MessageDocument) -> Posted:
        """Send to the robot, which knows its group itself; *channel* and *mark* stay with us."""
        content = build_markdown(document, self.capabilities.budget)
        self._hook.send({"msgtype": "markdown", "markdown": {"content": content}}, self._check_taken)
        return Posted(channel, mark)

    def _check_taken(self, answer: Answer) -> None:
        said = json_in(answer)
        code = number_in(said, "errcode")
        if code:
            raise refusal_by_code(self._hook.service, "post", code, str(said.get("errmsg")), CODES, write=True)
