"""Mail, and the chats that take cards, each set up beside its stand-in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import requests

from bot.ports import Chat
from bot.sandbox import RunningSandbox, Service
from bot.services.dingtalk.chat import DingtalkChat
from bot.services.dingtalk.config import DingtalkSection, DingtalkWebhookSection
from bot.services.dingtalk.webhook import DingtalkWebhookChat
from bot.services.feishu.chat import FeishuChat
from bot.services.feishu.config import FeishuSection, FeishuWebhookSection
from bot.services.feishu.webhook import FeishuWebhookChat
from bot.services.mail.chat import MailChat
from bot.services.mail.config import MailSection
from bot.services.teams.chat import TeamsChat
from bot.services.teams.config import TeamsSection
from bot.services.wecom.chat import WecomChat
from bot.services.wecom.config import WecomSection

TIMEOUT = timedelta(seconds=5)


@dataclass(frozen=True)
class RobotBench:
    sandbox: RunningSandbox
    service: Service
    make: Callable[..., Chat]
    channel: str
    secret: str  # that no error may carry
    posting: str  # the path that posts

    @property
    def page(self) -> str:
        """Return what people see in the group."""
        return requests.get(f"{self.sandbox.url}/{self.service}/", timeout=5).text

    @property
    def count(self) -> int:
        return self.page.count('<article class="message"')


def mail_chat(sandbox: RunningSandbox) -> MailChat:
    values = {"host": "127.0.0.1", "port": sandbox.mail_port, "security": "none", "sender": "Herald <h@example.com>"}
    return MailChat(MailSection.model_validate(values))


def robot_bench(sandbox: RunningSandbox, name: str) -> RobotBench:
    seed = sandbox.seed.robots

    def chat(adapter: Any, section: Any, **values: Any) -> Callable[..., Chat]:
        return lambda **more: adapter(section(**{"timeout": TIMEOUT, **values, **more}))

    app = {"app_secret": seed.app_secret}
    match name:
        case "teams":
            make = chat(TeamsChat, TeamsSection, webhook_url=sandbox.teams_webhook_url)
            return RobotBench(sandbox, Service.TEAMS, make, "any", seed.teams_signature, "invoke")
        case "feishu":
            make = chat(FeishuChat, FeishuSection, url=sandbox.feishu_url, app_id=seed.feishu_app, **app)
            return RobotBench(sandbox, Service.FEISHU, make, seed.feishu_chat, seed.app_secret, "messages$")
        case "feishu_webhook":
            hook = {"webhook_url": sandbox.feishu_webhook_url, "signing_secret": seed.signing_secret}
            make = chat(FeishuWebhookChat, FeishuWebhookSection, **hook)
            return RobotBench(sandbox, Service.FEISHU, make, "any", seed.feishu_hook, "hook")
        case "dingtalk":
            make = chat(DingtalkChat, DingtalkSection, url=sandbox.dingtalk_url, app_key=seed.dingtalk_app, **app)
            return RobotBench(sandbox, Service.DINGTALK, make, seed.dingtalk_group, seed.app_secret, "Deliver")
        case "dingtalk_webhook":
            hook = {"webhook_url": sandbox.dingtalk_webhook_url, "signing_secret": seed.signing_secret}
            make = chat(DingtalkWebhookChat, DingtalkWebhookSection, **hook)
            return RobotBench(sandbox, Service.DINGTALK, make, "any", seed.dingtalk_hook, "send")
        case "wecom":
            make = chat(WecomChat, WecomSection, webhook_url=sandbox.wecom_webhook_url)
            return RobotBench(sandbox, Service.WECOM, make, "any", seed.wecom_key, "send")
    raise AssertionError(name)
