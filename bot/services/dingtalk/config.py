"""The sections of DingTalk in the configuration: an app, and a group's webhook."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Literal

from pydantic import AnyHttpUrl, SecretStr

from bot.domain.capabilities import ChatCapabilities, TextForm
from bot.sections import Language, Secret, ServiceSection, Url
from bot.services.webhook_section import HookSection

BUDGET = 18_000  # bytes of Markdown; a robot's request may have 20,000: open.dingtalk.com, custom-robot-access
# The card of DingTalk's own stream SDK (dingtalk_stream/card_instance.py), of a title and a text in Markdown.
_MARKDOWN_CARD = "589420e2-c1e2-46ef-a5ed-b8728e654da9.schema"
_TEXT_FORM = TextForm("DingTalk", dialect="markdown", folder="chat", limit=20_000)


class DingtalkSection(ServiceSection):
    kind: Literal["dingtalk"] = "dingtalk"
    url: Url = AnyHttpUrl("https://api.dingtalk.com")
    app_key: str  # the app's client id, which is its robot's code too
    app_secret: Secret
    robot_code: str = ""  # where it is another
    card_template: str = _MARKDOWN_CARD  # with the variables `title` and `markdown`
    locales: dict[str, Language] = {}  # languages of single groups

    text_form: ClassVar[TextForm] = _TEXT_FORM
    capabilities: ClassVar[ChatCapabilities] = ChatCapabilities(
        edits=True, budget=BUDGET
    )  # an outTrackId counts for ever


class DingtalkWebhookSection(HookSection):
    kind: Literal["dingtalk_webhook"] = "dingtalk_webhook"
    signing_secret: Secret = SecretStr("")  # SEC…; empty: the robot asks for no signature

    text_form: ClassVar[TextForm] = _TEXT_FORM
    # 20 messages a minute; above that a robot is silent for 10 minutes: open.dingtalk.com, custom-robot-access
    capabilities: ClassVar[ChatCapabilities] = ChatCapabilities(
        budget=BUDGET, gap=timedelta(seconds=3.2), is_one_place=True
    )
